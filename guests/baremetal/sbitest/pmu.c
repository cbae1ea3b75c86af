/*
 * PMU: that the counters count what happens to this hart and nothing else.
 * Errors that need no hart behind them have their tests in tests/unit; here are
 * those of each function, and what only a hart can show: the trapped reads,
 * time asleep, and that other software finds the counters as before.
 */
#include "guests/baremetal/runtime/paging.h"
#include "guests/baremetal/sbitest/sbitest.h"

#define HW   5UL
#define FW   0xfffffff8UL
#define ALL  (has_cycle() ? HW | FW : FW)
#define NONE UINT64_MAX

static u64 page[2][512] __attribute__((aligned(4096)));

static bool present(void)
{
	if (!sbi_has(SBI_PMU) || !machine.rouse) {
		check_spec(false, "its counters are others");
		return false;
	}
	return true;
}

/* Harts without Zicntr have neither cycle nor instret, and so no hardware
 * counters. */
static bool has_cycle(void)
{
	return isa_has("zicntr");
}

static bool hw_present(void)
{
	if (!present())
		return false;
	if (!has_cycle())
		test_skip("its harts have no Zicntr");
	return has_cycle();
}

static struct sbi_ret pmu(u64 fid, u64 a0, u64 a1, u64 a2, u64 a3)
{
	return sbi_call6(SBI_PMU, fid, a0, a1, a2, a3, 0, 0);
}

/* The counter, or NONE. */
static u64 config(u64 set, u64 flags, u64 event)
{
	struct sbi_ret r = pmu(SBI_PMU_CONFIG, 0, set, flags, event);

	check_eq(r.error, 0, "error of config_matching");
	return r.error ? NONE : r.value;
}

static void all_off(void)
{
	pmu(SBI_PMU_STOP, 0, ALL, SBI_PMU_STOP_RESET, 0);
}

static u64 fw_value(u64 id)
{
	struct sbi_ret r = pmu(SBI_PMU_FW_READ, id, 0, 0, 0);

	check_eq(r.error, 0, "error of fw_read");
	return r.value;
}

static void describes(void)
{
	u64 n;

	if (!present())
		return;
	n = pmu(SBI_PMU_NUM, 0, 0, 0, 0).value;
	check(n > 3 && n <= 64, "%ld counters", n);
	for (u64 id = 0; id < 3; id += 2) {
		struct sbi_ret r = pmu(SBI_PMU_INFO, id, 0, 0, 0);
		bool here = has_cycle();

		check_eq(r.error, here ? 0 : SBI_ERR_INVALID_PARAM, "error");
		check_eq(r.value, here ? 0x3fc00 + id : 0, "counter");
	}
	for (u64 id = 3; id < n; id++)
		check_eq(pmu(SBI_PMU_INFO, id, 0, 0, 0).value >> 63, 1, "type");
	check_eq(pmu(SBI_PMU_INFO, n, 0, 0, 0).error, SBI_ERR_INVALID_PARAM,
		 "one too many");
}

/* What a narrower look takes for no flags. */
#define FLAGS_32 (1UL << 32)

static const struct refusal {
	u64 fid, a0, a1, a2, a3;
	long error;
} refused[] = {
	{SBI_PMU_INFO, 1, 0, 0, 0, SBI_ERR_INVALID_PARAM},
	{SBI_PMU_CONFIG, 0, 2, 0, 1, SBI_ERR_INVALID_PARAM},
	{SBI_PMU_CONFIG, 64, 1, 0, 1, SBI_ERR_INVALID_PARAM},
	{SBI_PMU_CONFIG, 0, FW, 0, 0xf0100, SBI_ERR_NOT_SUPPORTED},
	{SBI_PMU_CONFIG, 0, FW, 0, 1, SBI_ERR_NOT_SUPPORTED},
	{SBI_PMU_START, 0, 2, 0, 0, SBI_ERR_INVALID_PARAM},
	{SBI_PMU_START, 0, 8, 2, 0, SBI_ERR_NO_SHMEM},
	/* Flags that there aren't. */
	{SBI_PMU_CONFIG, 0, FW, 0x100, SBI_PMU_FW(5), SBI_ERR_INVALID_PARAM},
	{SBI_PMU_CONFIG, 0, FW, FLAGS_32, SBI_PMU_FW(5),
	 SBI_ERR_INVALID_PARAM},
	{SBI_PMU_START, 0, 8, 3, 0, SBI_ERR_INVALID_PARAM},
	{SBI_PMU_START, 0, 8, 4, 0, SBI_ERR_INVALID_PARAM},
	{SBI_PMU_START, 0, 8, FLAGS_32, 0, SBI_ERR_INVALID_PARAM},
	{SBI_PMU_STOP, 0, 8, 4, 0, SBI_ERR_INVALID_PARAM},
	{SBI_PMU_STOP, 0, 8, FLAGS_32, 0, SBI_ERR_INVALID_PARAM},
	{SBI_PMU_SHMEM, (u64)page, 0, 1, 0, SBI_ERR_INVALID_PARAM},
	{SBI_PMU_SHMEM, (u64)page, 0, FLAGS_32, 0, SBI_ERR_INVALID_PARAM},
	{SBI_PMU_SHMEM, NONE, NONE, 1, 0, SBI_ERR_INVALID_PARAM},
	{SBI_PMU_EVENT_INFO, (u64)page, 0, 1, 1, SBI_ERR_INVALID_PARAM},
	{SBI_PMU_EVENT_INFO, (u64)page, 0, 1, FLAGS_32,
	 SBI_ERR_INVALID_PARAM},
	/* And what they came with was not done. */
	{SBI_PMU_STOP, UINT64_MAX, 1, 0, 0, SBI_ERR_INVALID_PARAM},
	{SBI_PMU_STOP, 0, 8, 2, 0, SBI_ERR_NO_SHMEM},
	{SBI_PMU_STOP, 0, 8, 0, 0, SBI_ERR_ALREADY_STOPPED},
	/* No counter, none that isn't there. */
	{SBI_PMU_CONFIG, 64, 0, 0, 1, SBI_ERR_NOT_SUPPORTED},
	{SBI_PMU_START, 64, 0, 0, 0, 0},
	{SBI_PMU_STOP, UINT64_MAX, 0, 0, 0, 0},
	{SBI_PMU_FW_READ, 0, 0, 0, 0, SBI_ERR_INVALID_PARAM},
	{SBI_PMU_FW_READ_HI, 2, 0, 0, 0, SBI_ERR_INVALID_PARAM},
	{SBI_PMU_SHMEM, 8, 0, 0, 0, SBI_ERR_INVALID_PARAM},
	{SBI_PMU_SHMEM, HOLE, 0, 0, 0, SBI_ERR_INVALID_ADDRESS},
	{SBI_PMU_EVENT_INFO, 8, 0, 1, 0, SBI_ERR_INVALID_PARAM},
	{SBI_PMU_EVENT_INFO, HOLE, 0, 1, 0, SBI_ERR_INVALID_ADDRESS},
	{9, 0, 0, 0, 0, SBI_ERR_NOT_SUPPORTED},
};

static void refusals(void)
{
	if (!present())
		return;
	all_off();
	/* One that could be started. */
	config(8, SBI_PMU_CLEAR, SBI_PMU_FW(5));
	memset(page[0], 0, 64);
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		const struct refusal *c = &refused[i];
		struct sbi_ret r = pmu(c->fid, c->a0, c->a1, c->a2, c->a3);

		check(r.error == c->error && !r.value,
		      "call %ld gives %ld, %ld; expected %ld", i, r.error,
		      r.value, c->error);
	}
	all_off();
}

/* Into a register that C keeps, and one that it doesn't. */
static u64 cycle_read(u64 *again)
{
	u64 a, b;

	__asm__ volatile("csrr s5, cycle\n\tmv %0, s5\n\tcsrr t1, cycle\n\t"
			 "mv %1, t1"
			 : "=r"(a), "=r"(b)::"s5", "t1");
	*again = b;
	return a;
}

static void counts_from_its_start(void)
{
	u64 a, b, c;

	if (!hw_present() || config(1, SBI_PMU_CLEAR, SBI_PMU_CYCLES) == NONE)
		return;
	check_eq(cycle_read(&b), 0, "before the start");
	check_eq(pmu(SBI_PMU_START, 0, 1, SBI_PMU_SET_VALUE, 1000000).error, 0,
		 "error of start");
	check_eq(pmu(SBI_PMU_START, 0, 1, 0, 0).error, SBI_ERR_ALREADY_STARTED,
		 "error of a second start");
	a = cycle_read(&b);
	check(a >= 1000000 && b >= a, "%ld, then %ld", a, b);
	check_eq(pmu(SBI_PMU_STOP, 0, 1, 0, 0).error, 0, "error of stop");
	a = cycle_read(&c);
	check(a >= b && a == c, "%ld, stopped %ld and %ld", b, a, c);
	all_off();
}

/* csrrs a1, cycle, x0 and the other forms, which write nothing, or write. */
#define CSRRS_A1_CYCLE 0xc00025f3u
#define WITH_FUNCT3(n) ((CSRRS_A1_CYCLE & ~0x7000u) | (n) << 12)
#define WITH_RS1(n)    ((u32)(n) << 15)
#define INSN_ECALL     0x00000073u

static u32 code[1024] __attribute__((aligned(4096)));

/* In U-mode: what it has read is in x11. */
static void user_runs(struct probe *p, u32 insn)
{
	u64 *root = paging_new();

	code[0] = insn;
	code[1] = INSN_ECALL;
	__asm__ volatile("fence.i" ::: "memory");
	paging_map(root, PAGING_FREE_VA, (u64)code, PTE_RX | PTE_U);
	paging_on(root, 0);
	probe_user(p, PAGING_FREE_VA, 0, 0);
	paging_off();
}

static u64 supervisor_runs(u64 insn, u64 unused, u64 unused2)
{
	(void)unused;
	(void)unused2;
	code[0] = (u32)insn;
	code[1] = 0x00058513; /* mv a0, a1 */
	code[2] = 0x00008067; /* ret */
	__asm__ volatile("fence.i" ::: "memory");
	return ((u64(*)(void))code)();
}

/* A counter of one's own is read as one of the hart: by every form that writes
 * nothing, and from U-mode if scounteren says so. */
static void is_read_as_ever(void)
{
	static const u32 reads[] = {WITH_FUNCT3(2), WITH_FUNCT3(3),
				    WITH_FUNCT3(6), WITH_FUNCT3(7)};
	static const u32 writes[] = {
		WITH_FUNCT3(1), WITH_FUNCT3(5),
		/* Of x5, and of 5, also where no bit of these is set. */
		WITH_FUNCT3(2) | WITH_RS1(5), WITH_FUNCT3(3) | WITH_RS1(5),
		WITH_FUNCT3(6) | WITH_RS1(5), WITH_FUNCT3(7) | WITH_RS1(5)};
	u64 old = csr_read(scounteren);
	struct probe p;

	if (!hw_present() || config(1, SBI_PMU_CLEAR, SBI_PMU_CYCLES) == NONE)
		return;
	pmu(SBI_PMU_START, 0, 1, SBI_PMU_SET_VALUE, 1000000);
	pmu(SBI_PMU_STOP, 0, 1, 0, 0);
	for (u64 open = 0; open < 2; open++) {
		u64 value = csr_read(cycle);

		csr_write(scounteren, open);
		check(value >= 1000000, "cycle is %ld", value);
		for (size_t i = 0; i < ARRAY_LEN(reads); i++) {
			probe_call(&p, supervisor_runs, reads[i], 0, 0);
			check(!p.scause && p.value == value,
			      "0x%x: scause %ld, %ld", reads[i], p.scause,
			      p.value);
			user_runs(&p, reads[i]);
			if (open)
				check(p.scause == CAUSE_ECALL_U &&
					      p.x11 == value,
				      "user's 0x%x: scause %ld, %ld", reads[i],
				      p.scause, p.x11);
			else
				check(p.scause == CAUSE_ILLEGAL &&
					      p.stval == reads[i] &&
					      p.sepc == PAGING_FREE_VA,
				      "user's 0x%x: scause %ld, stval 0x%lx",
				      reads[i], p.scause, p.stval);
		}
		for (size_t i = 0; i < ARRAY_LEN(writes); i++) {
			probe_call(&p, supervisor_runs, writes[i], 0, 0);
			check_eq(p.scause, CAUSE_ILLEGAL, "scause of a write");
			user_runs(&p, writes[i]);
			check_eq(p.scause, CAUSE_ILLEGAL, "of a user's write");
		}
		check_eq(csr_read(cycle), value, "cycle afterwards");
	}
	csr_write(scounteren, old);
	all_off();
}

static void instret_too(void)
{
	u64 a, b;

	if (!hw_present())
		return;
	if (config(ALL, SBI_PMU_CLEAR | SBI_PMU_AUTO, SBI_PMU_INSTRUCTIONS) !=
	    2)
		test_fail("instret is not counter 2");
	a = csr_read(instret);
	delay_ticks(machine.hz / 1000);
	b = csr_read(instret);
	check(b > a, "%ld, then %ld", a, b);
	all_off();
}

/* A hart that sleeps uses no cycles, whatever others do with them. */
static void sleep_is_not_counted(void)
{
	u64 busy, asleep, start, length = machine.hz / 20;

	if (!hw_present() ||
	    config(1, SBI_PMU_CLEAR | SBI_PMU_AUTO, SBI_PMU_CYCLES) == NONE)
		return;
	start = csr_read(cycle);
	delay_ticks(length);
	busy = csr_read(cycle) - start;
	start = csr_read(cycle);
	timer_set(time_now() + 4 * length);
	csr_write(sie, IRQ_BIT(IRQ_S_TIMER));
	while (!timer_pending())
		wfi();
	csr_write(sie, 0);
	timer_clear();
	asleep = csr_read(cycle) - start;
	check(asleep < busy,
	      "%ld cycles in 200 ms asleep, %ld in 50 ms at work",
	      asleep, busy);
	all_off();
}

/* Who configured nothing reads counters as ever, also after others did. */
static void others_are_left_alone(void)
{
	u64 a, b;

	if (!hw_present())
		return;
	config(1, SBI_PMU_CLEAR, SBI_PMU_CYCLES);
	a = csr_read(instret);
	delay_ticks(machine.hz / 1000);
	check(csr_read(instret) != a, "instret stands still");
	all_off();
	a = csr_read(cycle);
	delay_ticks(machine.hz / 1000);
	b = csr_read(cycle);
	check(a && b > a, "cycle is %ld, then %ld", a, b);
}

static void counts_its_calls(void)
{
	u64 timer, fence, load, cause, val;
	struct sbi_ret r;

	if (!present())
		return;
	timer = config(FW, SBI_PMU_CLEAR | SBI_PMU_AUTO, SBI_PMU_FW(5));
	fence = config(FW, SBI_PMU_CLEAR | SBI_PMU_AUTO, SBI_PMU_FW(10));
	load = config(FW, SBI_PMU_CLEAR | SBI_PMU_AUTO, SBI_PMU_FW(2));
	for (u32 i = 0; i < 10; i++) {
		sbi_call(SBI_TIME, 0, UINT64_MAX, 0, 0);
		sbi_call6(SBI_RFENCE, SBI_RFENCE_VMA, 0, UINT64_MAX, 0, 0, 0,
			  0);
	}
	check(!probe_load(HOLE, 4, &val, &cause), "a load from a hole");
	check_eq(fw_value(timer), 10, "set_timer");
	r = pmu(SBI_PMU_FW_READ_HI, timer, 0, 0, 0);
	check(!r.error && !r.value, "its upper half: %ld, %ld", r.error,
	      r.value);
	check_eq(fw_value(fence), 10 * (machine.hart_count - 1), "sfence sent");
	check_eq(fw_value(load), 1, "load access faults");
	all_off();
	sbi_call(SBI_TIME, 0, UINT64_MAX, 0, 0);
	check_eq(fw_value(timer), 10, "set_timer after the end");
}

static u64 got[3];

static void receiver(struct hart *h, void *arg)
{
	u64 ipi = config(FW, SBI_PMU_CLEAR | SBI_PMU_AUTO, SBI_PMU_FW(7));
	u64 fence = config(FW, SBI_PMU_CLEAR | SBI_PMU_AUTO, SBI_PMU_FW(9));

	(void)arg;
	__atomic_store_n(&got[2], 1, __ATOMIC_RELEASE);
	while (!soft_pending())
		cpu_relax();
	got[0] = fw_value(ipi);
	/* One's own is nobody's. */
	sbi_ipi_hart(h->id);
	soft_pend(false);
	got[0] += 10 * fw_value(ipi);
	got[1] = fw_value(fence);
	all_off();
}

static void counts_what_it_receives(void)
{
	struct hart *other;
	u64 sent;

	if (!present())
		return;
	got[2] = 0;
	other = other_start(receiver, NULL);
	if (!other)
		return;
	sent = config(FW, SBI_PMU_CLEAR | SBI_PMU_AUTO, SBI_PMU_FW(6));
	wait_word(&got[2], 1);
	sbi_call(SBI_RFENCE, SBI_RFENCE_I, 1, other->id, 0);
	sbi_ipi_hart(other->id);
	hart_join(other);
	check_eq(got[0], 11, "IPIs received");
	check_eq(got[1], 1, "fences received");
	check_eq(fw_value(sent), 1, "IPIs sent");
	all_off();
}

static void snapshot(void)
{
	u64 *p = page[0], at = (u64)p;

	if (!present())
		return;
	memset(page, 0x55, sizeof(page));
	check_eq(pmu(SBI_PMU_SHMEM, at, 0, 0, 0).error, 0,
		 "error of set_shmem");
	config(1UL << 4, SBI_PMU_CLEAR, SBI_PMU_FW(5));
	check_eq(pmu(SBI_PMU_START, 4, 1, SBI_PMU_SET_VALUE, 41).error, 0,
		 "error of start");
	sbi_call(SBI_TIME, 0, UINT64_MAX, 0, 0);
	check_eq(pmu(SBI_PMU_STOP, 4, 1, SBI_PMU_STOP_SNAPSHOT, 0).error, 0,
		 "error of stop");
	check_eq(p[0], 0, "overflow bits");
	check_eq(p[1], 42, "the value");
	check_eq(p[2], 0x5555555555555555, "the next value");
	p[1] = 7;
	pmu(SBI_PMU_START, 4, 1, SBI_PMU_START_SNAPSHOT, 0);
	check_eq(fw_value(4), 7, "started from the page");
	pmu(SBI_PMU_SHMEM, NONE, NONE, 0, 0);
	all_off();
}

static void event_info(void)
{
	u32 *e = (u32 *)page[1];

	if (!present())
		return;
	memset(e, 0, 64);
	e[0] = SBI_PMU_CYCLES;
	e[4] = 7;
	e[8] = SBI_PMU_FW(21);
	check_eq(pmu(SBI_PMU_EVENT_INFO, (u64)e, 0, 3, 0).error, 0, "error");
	check(e[1] == has_cycle() && e[5] == 0 && e[9] == 1, "%d %d %d",
	      (int)e[1], (int)e[5], (int)e[9]);
	e[4] = 1U << 20;
	check_eq(pmu(SBI_PMU_EVENT_INFO, (u64)e, 0, 3, 0).error,
		 SBI_ERR_INVALID_PARAM, "error, reserved bits");
	/* No event, but none of its bits is reserved. */
	for (u32 type = 4; type < 15; type++) {
		e[4] = type << 16;
		e[5] = UINT32_MAX;
		check_eq(pmu(SBI_PMU_EVENT_INFO, (u64)e, 0, 3, 0).error, 0,
			 "error, no such type");
		check_eq(e[5], 0, "no such type");
	}
}

const struct test pmu_tests[] = {
	{"pmu_describes_its_counters", describes},
	{"pmu_refuses_as_specified", refusals},
	{"pmu_cycle_counts_from_its_start", counts_from_its_start},
	{"pmu_counter_is_read_as_ever", is_read_as_ever},
	{"pmu_instret_counts", instret_too},
	{"pmu_sleep_is_not_counted", sleep_is_not_counted},
	{"pmu_leaves_other_counters_alone", others_are_left_alone},
	{"pmu_counts_calls_and_traps", counts_its_calls},
	{"pmu_counts_what_it_receives", counts_what_it_receives},
	{"pmu_snapshot_saves_and_starts", snapshot},
	{"pmu_knows_its_events", event_info},
};
TEST_LIST(pmu_tests, pmu_test_count);
