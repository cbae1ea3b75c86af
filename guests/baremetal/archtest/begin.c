/*
 * What a hart begins with: nothing that was here before, neither its own last
 * life's nor another guest's, nor an address of the hypervisor's. That is
 * looked at where a hart begins, before any C: the one that boots and those
 * that HSM starts. `state_rounds=` (50).
 */
#include "guests/baremetal/archtest/archtest.h"

#define MARK 0x0123456789abcdefUL

/* What entry.S found when the hart began,
 * and whose hart it is (struct hart). */
struct seen {
	struct hart *hart;
	u64 x[31]; /* x1 to x31 */
	u64 sstatus, sie, stvec, sscratch, satp, sepc, scause, stval;
};

void seen_entry(void);

/* Not cleared as the guest begins: of the hart that boots. */
extern struct seen boot_seen;
static struct seen seen[MAX_HARTS];
static u8 vec_seen[32 * VLENB_MAX];

/* Zero, or what firmware and entry.S are known to have put there: the hart's
 * number, or the struct seen, and what came in a1. */
static void seen_judge(struct hart *h, const struct seen *n, u64 a0, u64 a1)
{
	for (u32 i = 0; i < 31; i++) {
		u64 want = i == 9 ? a0 : i == 10 ? a1 : 0;

		if (n->x[i] != want)
			test_fail("x%u of hart %ld begins as 0x%lx", i + 1,
				  h->id, n->x[i]);
	}
	check_eq(n->sstatus &
			 ~(3UL << 32 | SSTATUS_FS | SSTATUS_VS | 1UL << 63),
		 0, "sstatus at the beginning");
	check_eq(n->sie | n->stvec | n->sscratch | n->satp | n->sepc |
			 n->scause | n->stval,
		 0, "CSRs at the beginning");
}

/* Those that the runtime has not written yet on this hart. A hart that begins
 * once more finds a mark there if it's not its next life's own. */
static void seen_csrs(bool again)
{
	static const struct {
		const char *name;
		u32 csr;
		u64 want;
	} csrs[] = {
		{"scounteren", 0x106, 7},
		{"senvcfg", 0x10a, 0},
		{"sstateen0", 0x10c, 0},
		{"stimecmp", 0x14d, UINT64_MAX},
		{"siselect", 0x150, 0},
		{"jvt", 0x017, 0},
		/* What turns records on is the last. */
		{"sctrstatus", 0x14f, 0},
		{"sctrctl", 0x14e, 0},
	};
	struct probe p;

	for (size_t i = 0; i < ARRAY_LEN(csrs); i++) {
		if (!probe_call(&p, csr_one_read, csrs[i].csr, 0, 0))
			continue;
		if (p.value != csrs[i].want)
			test_fail("%s begins as 0x%lx", csrs[i].name, p.value);
		if (again)
			probe_call(&p, csr_one_write, csrs[i].csr, MARK, 0);
	}
}

static void seen_fp(void)
{
	u64 f[32], bits;

	if (!isa_has("d"))
		return;
	set_fs(2);
	bits = fp_store(f);
	for (u32 i = 0; i < 32; i++)
		bits |= f[i];
	set_fs(0);
	check_eq(bits, 0, "FP registers at the beginning");
}

static void seen_vector(bool again)
{
	u64 bits = 0, bytes;
	struct vec_csrs csrs;

	if (!isa_has("v"))
		return;
	set_vs(2);
	bytes = 32 * vec_lenb();
	if (bytes <= sizeof(vec_seen)) {
		vec_store(vec_seen, &csrs);
		for (u64 i = 0; i < bytes; i++)
			bits |= vec_seen[i];
		check_eq(bits, 0, "vector registers at the beginning");
		check_eq(csrs.vl | csrs.vtype | csrs.vcsr, 0,
			 "vl, vtype, vcsr at the beginning");
		check_eq(csrs.vstart, 0, "vstart at the beginning");
	}
	if (again && bytes <= sizeof(vec_seen)) {
		memset(vec_seen, (u8)MARK, bytes);
		csrs = (struct vec_csrs){.vl = 1, .vcsr = 7, .vstart = 5};
		vec_load(vec_seen, &csrs);
	}
	set_vs(0);
}

/* The only one that runs, but for who waits for it. */
static void seen_hart(struct hart *h, void *arg)
{
	struct seen *n = &seen[h->index];

	(void)arg;
	seen_judge(h, n, h->id, (u64)n);
	seen_csrs(true);
	seen_fp();
	seen_vector(true);
}

static void begins_clean(void)
{
	u64 rounds = arg_u64("state_rounds", 50);

	if (!machine.rouse || machine.hart_count < 2) {
		test_skip(machine.rouse ? "needs two harts"
					: "firmware leaves what it likes");
		return;
	}
	for (u64 n = 0; n < rounds && !test_failed(); n++) {
		struct hart *h = &harts[1 + n % (machine.hart_count - 1)];
		struct seen *s = &seen[h->index];

		s->hart = h;
		hart_prepare(h, seen_hart, NULL);
		check_eq(sbi_hart_start(h->id, (u64)seen_entry, (u64)s).error,
			 0, "start");
		hart_join(h);
	}
}

static void boots_clean(void)
{
	if (!machine.rouse) {
		test_skip("firmware leaves what it likes");
		return;
	}
	seen_judge(this_hart(), &boot_seen, (u64)&boot_seen, (u64)machine.dtb);
	seen_csrs(false);
	seen_fp();
	seen_vector(false);
}

const struct test begin_tests[] = {
	{"state_of_the_hart_that_boots_is_clean", boots_clean},
	{"state_of_a_hart_that_starts_is_clean", begins_clean},
};
TEST_LIST(begin_tests, begin_test_count);
