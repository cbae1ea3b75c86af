/*
 * DBTR: its errors, and triggers that fire where they should and nowhere else:
 * by kind and size of the access, by mode, on the hart that has them, while
 * harts share the CPUs.
 */
#include "guests/baremetal/runtime/paging.h"
#include "guests/baremetal/sbitest/sbitest.h"

#define MC6	 (6UL << 60)
#define MC2	 (2UL << 60)
#define DMODE	 (1UL << 59)
#define SIZE(n)	 ((u64)(n) << 16)
#define CHAIN	 (1UL << 11)
#define MATCH(n) ((u64)(n) << 7)
#define M	 (1UL << 6)
#define S	 (1UL << 4)
#define U	 (1UL << 3)
#define EXECUTE	 (1UL << 2)
#define STORE	 (1UL << 1)
#define LOAD	 (1UL << 0)
#define STATE_S	 5 /* mapped, and the saved bit */
#define STATE_U	 3
#define ROUNDS	 50

static struct dbtr_entry shared[MAX_HARTS][64];
static u64 words[MAX_HARTS];

static struct sbi_ret call(u64 fid, u64 a0, u64 a1)
{
	return sbi_call(SBI_DBTR, fid, a0, a1, 0);
}

static struct dbtr_entry *mine(void)
{
	return shared[this_hart()->index];
}

static u64 triggers(void)
{
	return call(SBI_DBTR_NUM, 0, 0).value;
}

static bool present(void)
{
	if (!machine.rouse) {
		check_spec(false, "its answers are others");
		return false;
	}
	if (!sbi_has(SBI_DBTR)) {
		check_eq(call(SBI_DBTR_NUM, 0, 0).error, SBI_ERR_NOT_SUPPORTED,
			 "error");
		test_skip("the harts, or the firmware, have no triggers");
		return false;
	}
	check_eq(call(SBI_DBTR_SHMEM, (u64)mine(), 0).error, 0,
		 "error of set_shmem");
	return true;
}

static void set_up(u64 i, u64 tdata1, const void *at)
{
	mine()[i] = (struct dbtr_entry){77, tdata1, (u64)at, 0};
}

/* One trigger; it gets index `want`. */
static void install(u64 tdata1, const void *at, u64 want)
{
	struct sbi_ret r;

	set_up(0, tdata1, at);
	r = call(SBI_DBTR_INSTALL, 1, 0);
	check(r.error == 0 && r.value == 0, "install: %ld, %ld", r.error,
	      r.value);
	check_eq(mine()->first, want, "index");
}

static void uninstall_all(void)
{
	for (u64 i = 0; i < triggers(); i++)
		call(SBI_DBTR_UNINSTALL, i, 1);
}

static u64 access(u64 at, u64 how, u64 width)
{
	if (how == LOAD)
		return width == 1   ? *(volatile u8 *)at
		       : width == 2 ? *(volatile u16 *)at
		       : width == 4 ? *(volatile u32 *)at
				    : *(volatile u64 *)at;
	if (width == 1)
		*(volatile u8 *)at = 1;
	else if (width == 2)
		*(volatile u16 *)at = 1;
	else if (width == 4)
		*(volatile u32 *)at = 1;
	else
		*(volatile u64 *)at = 1;
	return 0;
}

/* Does such an access stop at a trigger? */
static bool stops(void *at, u64 how, u64 width)
{
	struct probe p;

	if (probe_call(&p, access, (u64)at, how, width))
		return false;
	check_eq(p.scause, CAUSE_BREAKPOINT, "scause");
	check_eq(p.stval, (u64)at, "stval");
	return true;
}

static __attribute__((noinline)) u64 somewhere(u64 a, u64 b, u64 c)
{
	return a + b + c;
}

static bool stops_at_somewhere(void)
{
	struct probe p;

	if (probe_call(&p, somewhere, 1, 2, 3)) {
		check_eq(p.value, 6, "value");
		return false;
	}
	check_eq(p.scause, CAUSE_BREAKPOINT, "scause");
	check_eq(p.sepc, (u64)somewhere, "sepc");
	return true;
}

static void counts(void)
{
	u64 n;

	if (!present())
		return;
	n = triggers();
	check(n > 0 && n <= 32, "%ld triggers", n);
	check_eq(call(SBI_DBTR_NUM, MC6, 0).value, n, "mcontrol6");
	check_eq(call(SBI_DBTR_NUM, MC6 | S | U | LOAD | STORE | EXECUTE, 0)
			 .value,
		 n, "with all that it has");
	check_eq(call(SBI_DBTR_NUM, MC2, 0).value, 0, "mcontrol");
	check_eq(call(SBI_DBTR_NUM, MC6 | CHAIN, 0).value, 0, "chained");
	check_eq(call(SBI_DBTR_NUM, MC6 | M, 0).value, 0, "in M-mode");
	check_eq(call(8, 0, 0).error, SBI_ERR_NOT_SUPPORTED, "function 8");
}

static void memory_refusals(void)
{
	u64 at;

	if (!present())
		return;
	at = (u64)mine();
	check_eq(sbi_call(SBI_DBTR, SBI_DBTR_SHMEM, at, 0, 1).error,
		 SBI_ERR_INVALID_PARAM, "flags");
	check_eq(call(SBI_DBTR_SHMEM, at + 4, 0).error, SBI_ERR_INVALID_PARAM,
		 "alignment");
	check_eq(call(SBI_DBTR_SHMEM, at, 1).error, SBI_ERR_INVALID_ADDRESS,
		 "2^64");
	check_eq(call(SBI_DBTR_SHMEM, HOLE, 0).error, SBI_ERR_INVALID_ADDRESS,
		 "a hole");
	check_eq(call(SBI_DBTR_SHMEM, ram_end() - 8, 0).error,
		 SBI_ERR_INVALID_ADDRESS, "over the end of RAM");
	check_eq(call(SBI_DBTR_SHMEM, UINT64_MAX, UINT64_MAX).error, 0, "none");
	check_eq(call(SBI_DBTR_READ, 0, 0).error, SBI_ERR_NO_SHMEM, "read");
	check_eq(call(SBI_DBTR_INSTALL, 1, 0).error, SBI_ERR_NO_SHMEM,
		 "install");
	check_eq(call(SBI_DBTR_UPDATE, 1, 0).error, SBI_ERR_NO_SHMEM, "update");
}

static void refusals(void)
{
	static const struct {
		u64 tdata1;
		long error;
	} bad[] = {
		{MC6 | DMODE | S | LOAD, SBI_ERR_INVALID_PARAM},
		{MC6 | M | LOAD, SBI_ERR_INVALID_PARAM},
		{MC2 | S | LOAD, SBI_ERR_FAILED},
		{S | LOAD, SBI_ERR_FAILED},
		{15UL << 60, SBI_ERR_FAILED},
		{MC6 | S | LOAD | CHAIN, SBI_ERR_NOT_SUPPORTED},
		{MC6 | S | LOAD | MATCH(2), SBI_ERR_NOT_SUPPORTED},
		{MC6 | S | LOAD | 1UL << 12,
		 SBI_ERR_NOT_SUPPORTED}, /* action */
		{MC6 | S | LOAD | 1UL << 21,
		 SBI_ERR_NOT_SUPPORTED},			 /* select */
		{MC6 | LOAD | 1UL << 23, SBI_ERR_NOT_SUPPORTED}, /* vu */
		{MC6 | LOAD | 1UL << 24, SBI_ERR_NOT_SUPPORTED}, /* vs */
		{MC6 | S | LOAD | SIZE(7), SBI_ERR_NOT_SUPPORTED},
	};
	u64 n;

	if (!present())
		return;
	n = triggers();
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		set_up(0, bad[i].tdata1, words);
		check(call(SBI_DBTR_INSTALL, 1, 0).error == bad[i].error,
		      "install of 0x%lx", bad[i].tdata1);
	}
	set_up(0, MC6 | S | LOAD, words);
	mine()->tdata3 = 1;
	check_eq(call(SBI_DBTR_INSTALL, 1, 0).error, SBI_ERR_NOT_SUPPORTED,
		 "tdata3");
	check_eq(call(SBI_DBTR_INSTALL, n, 0).error, SBI_ERR_BAD_RANGE,
		 "too many");
	check_eq(call(SBI_DBTR_UPDATE, n, 0).error, SBI_ERR_BAD_RANGE,
		 "too many");
	check_eq(call(SBI_DBTR_READ, n, 0).error, SBI_ERR_BAD_RANGE, "base");
	check_eq(call(SBI_DBTR_READ, 0, n).error, SBI_ERR_BAD_RANGE, "count");
	check_eq(call(SBI_DBTR_READ, 0, UINT64_MAX).error, SBI_ERR_BAD_RANGE,
		 "count");
	for (u64 fid = SBI_DBTR_UNINSTALL; fid <= SBI_DBTR_DISABLE; fid++) {
		check_eq(call(fid, 0, 1).error, SBI_ERR_INVALID_PARAM,
			 "not installed");
		check_eq(call(fid, n, 1).error, SBI_ERR_INVALID_PARAM, "base");
		check_eq(call(fid, UINT64_MAX, 1).error, SBI_ERR_INVALID_PARAM,
			 "base -1");
		check_eq(call(fid, 0, 1UL << n).error, SBI_ERR_INVALID_PARAM,
			 "mask");
		check_eq(call(fid, 0, 0).error, 0, "none");
	}
	set_up(0, MC6 | S | LOAD, words);
	mine()->first = n;
	check_eq(call(SBI_DBTR_UPDATE, 1, 0).error, SBI_ERR_INVALID_PARAM,
		 "index");
	mine()->first = 0;
	check_eq(call(SBI_DBTR_UPDATE, 1, 0).error, SBI_ERR_FAILED,
		 "not installed");
	check(!stops(words, LOAD, 8), "it fires all the same");
}

static void all_in_use(void)
{
	u64 n;

	if (!present())
		return;
	n = triggers();
	for (u64 i = 0; i < n; i++)
		install(MC6 | S | STORE, &words[i], i);
	set_up(0, MC6 | S | STORE, words);
	check_eq(call(SBI_DBTR_INSTALL, 1, 0).error, SBI_ERR_FAILED,
		 "one too many");
	for (u64 i = 0; i < n; i++)
		check(stops(&words[i], STORE, 8), "trigger %ld doesn't fire",
		      i);
	check_eq(call(SBI_DBTR_UNINSTALL, 0, 1).error, 0, "uninstall");
	check(!stops(words, STORE, 8), "it fires when it is gone");
	check(n < 2 || stops(&words[n - 1], STORE, 8), "the other is gone");
	install(MC6 | S | LOAD, words, 0);
	check(stops(words, LOAD, 8), "the new one doesn't fire");
	uninstall_all();
}

static void kinds(void)
{
	if (!present())
		return;
	install(MC6 | S | LOAD, words, 0);
	check(stops(words, LOAD, 8), "load");
	check(!stops(words, STORE, 8), "a store fires a load's");
	check(!stops(&words[1], LOAD, 8), "another address");
	uninstall_all();
	install(MC6 | S | STORE, words, 0);
	check(stops(words, STORE, 8), "store");
	check(!stops(words, LOAD, 8), "a load fires a store's");
	uninstall_all();
	install(MC6 | S | EXECUTE, (void *)somewhere, 0);
	check(stops_at_somewhere(), "execution");
	uninstall_all();
	check(!stops_at_somewhere(), "after all");
	install(MC6 | S | EXECUTE | LOAD | STORE, words, 0);
	check(stops(words, LOAD, 8) && stops(words, STORE, 8), "all kinds");
	uninstall_all();
	/* None of a mode, and none of a kind. */
	install(MC6 | LOAD, words, 0);
	check(!stops(words, LOAD, 8), "no mode");
	uninstall_all();
	install(MC6 | S, words, 0);
	check(!stops(words, LOAD, 8), "no kind");
	uninstall_all();
}

static void sizes(void)
{
	static const u64 width[] = {0, 1, 2, 4, 0, 8};

	if (!present())
		return;
	for (u64 size = 1; size < ARRAY_LEN(width); size++) {
		if (!call(SBI_DBTR_NUM, MC6 | SIZE(size), 0).value)
			continue;
		install(MC6 | S | LOAD | SIZE(size), words, 0);
		check(stops(words, LOAD, width[size]), "size %ld", size);
		uninstall_all();
	}
}

static void switched(void)
{
	struct dbtr_entry *e = mine();

	if (!present() || triggers() < 2)
		return;
	install(MC6 | S | STORE, words, 0);
	check_eq(call(SBI_DBTR_READ, 0, 1).error, 0, "error of read");
	check(e->first == STATE_S && e->tdata1 == (MC6 | S | STORE) &&
		      e->tdata2 == (u64)words && e->tdata3 == 0,
	      "0x%lx 0x%lx 0x%lx", e->first, e->tdata1, e->tdata2);
	check_eq(call(SBI_DBTR_DISABLE, 0, 1).error, 0, "error of disable");
	check(!stops(words, STORE, 8), "it fires when it is disabled");
	check_eq(call(SBI_DBTR_READ, 0, 1).error, 0, "error of read");
	check(e->first == STATE_S && e->tdata1 == (MC6 | STORE),
	      "disabled: 0x%lx 0x%lx", e->first, e->tdata1);
	check_eq(call(SBI_DBTR_ENABLE, 0, 1).error, 0, "error of enable");
	check(stops(words, STORE, 8), "it doesn't fire again");
	set_up(0, MC6 | S | LOAD, &words[1]);
	e->first = 0;
	check_eq(call(SBI_DBTR_UPDATE, 1, 0).error, 0, "error of update");
	check(!stops(words, STORE, 8) && stops(&words[1], LOAD, 8),
	      "the update");
	set_up(0, MC2 | S | LOAD, &words[1]);
	e->first = 0;
	check_eq(call(SBI_DBTR_UPDATE, 1, 0).error, SBI_ERR_INVALID_PARAM,
		 "an update of the type");
	set_up(0, MC6 | S | LOAD | CHAIN, &words[1]);
	e->first = 0;
	check_eq(call(SBI_DBTR_UPDATE, 1, 0).error, SBI_ERR_NOT_SUPPORTED,
		 "an update of the chain");
	set_up(0, MC6 | M | LOAD, &words[1]);
	e->first = 0;
	check_eq(call(SBI_DBTR_UPDATE, 1, 0).error, SBI_ERR_INVALID_PARAM,
		 "an update to M-mode");
	check(stops(&words[1], LOAD, 8), "what was refused was done");
	check_eq(call(SBI_DBTR_UNINSTALL, 0, 1).error, 0, "error of uninstall");
	check_eq(call(SBI_DBTR_READ, 0, 1).error, 0, "error of read");
	check(e->first == 0 && e->tdata1 == 0 && e->tdata2 == 0,
	      "what is left");
	uninstall_all();
}

void sse_user(void); /* entry.S: stores 1 to *a0, and loads it */

static void in_user_mode(void)
{
	static u64 stack[64];
	struct probe p;

	if (!present())
		return;
	install(MC6 | U | STORE, words, 0);
	check(!stops(words, STORE, 8), "a trigger of U-mode fires in S-mode");
	words[0] = 0;
	probe_user(&p, (u64)sse_user, (u64)(stack + 64), (u64)words);
	check_eq(p.scause, CAUSE_BREAKPOINT, "scause");
	check_eq(p.stval, (u64)words, "stval");
	check_eq(words[0], 0, "what was stored");
	call(SBI_DBTR_READ, 0, 1);
	check_eq(mine()->first, STATE_U, "state");
	uninstall_all();
}

/* A trigger that is gone doesn't stay at another address. */
static void leaves_nothing(void)
{
	static u64 frame[512] __attribute__((aligned(4096)));
	u64 *root;
	bool stopped;

	if (!present())
		return;
	install(MC6 | S | LOAD | STORE | EXECUTE, words, 0);
	check_eq(call(SBI_DBTR_UNINSTALL, 0, 1).error, 0, "error");
	root = paging_new();
	*paging_entry(root, 0, 2) = 0; /* devices, meanwhile */
	paging_map(root, 0, (u64)frame, PTE_RW);
	paging_on(root, 0);
	stopped = stops(NULL, LOAD, 8) || stops(NULL, STORE, 8);
	paging_off();
	check(!stopped, "a trigger is left at address 0");
}

/* Each hart has a trigger at a word of its own, and reads them all. */
static void reads_all(struct hart *h, void *arg)
{
	(void)arg;
	if (!present())
		return;
	install(MC6 | S | LOAD, &words[h->index], 0);
	for (u32 n = 0; n < ROUNDS && !test_failed(); n++) {
		for (u32 i = 0; i < machine.hart_count; i++)
			check(stops(&words[i], LOAD, 8) == (i == h->index),
			      "hart %ld, word %u", h->id, i);
		/* Others have the CPU. */
		timer_set(time_now() + us_to_ticks(200));
		csr_write(sie, IRQ_BIT(IRQ_S_TIMER));
		while (!timer_pending())
			wfi();
		csr_write(sie, 0);
		timer_clear();
	}
	/* Stopped with the trigger installed: a new start has none. */
}

static void none_left(struct hart *h, void *arg)
{
	(void)arg;
	check_eq(call(SBI_DBTR_READ, 0, 0).error, SBI_ERR_NO_SHMEM,
		 "shared memory");
	check_eq(call(SBI_DBTR_DISABLE, 0, 1).error, SBI_ERR_INVALID_PARAM,
		 "a trigger");
	check(!stops(&words[h->index], LOAD, 8), "it fires");
}

static void on_its_hart_alone(void)
{
	struct hart *other;

	if (!present())
		return;
	harts_run(machine.hart_count, reads_all, NULL);
	uninstall_all();
	other = other_start(none_left, NULL);
	if (other)
		hart_join(other);
}

const struct test dbtr_tests[] = {
	{"dbtr_counts_its_triggers", counts},
	{"dbtr_refuses_bad_memory", memory_refusals},
	{"dbtr_refuses_as_specified", refusals},
	{"dbtr_has_as_many_as_it_says", all_in_use},
	{"dbtr_tells_kinds_of_accesses_apart", kinds},
	{"dbtr_knows_sizes", sizes},
	{"dbtr_disables_enables_updates_and_reads", switched},
	{"dbtr_fires_in_user_mode", in_user_mode},
	{"dbtr_leaves_no_trigger_behind", leaves_nothing},
	{"dbtr_fires_on_its_hart_alone", on_its_hart_alone},
};
TEST_LIST(dbtr_tests, dbtr_test_count);
