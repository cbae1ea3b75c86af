/*
 * SBI conformance (RISC-V SBI specification 3.0), as seen by S-mode.
 *
 * Every function of BASE, TIME, IPI, RFENCE, HSM, SRST, DBCN, STA, PMU, FWFT,
 * SUSP, SSE, DBTR and the legacy extensions, with the arguments that
 * specifications are about: all forms of hart masks, harts that don't exist,
 * addresses that aren't RAM, reserved values, calls that race. Firmware that
 * answers otherwise than the text says is reported as skipped with its answer;
 * Rouse fails.
 *
 * One file of sbitest/ an extension. `end=legacy` or `end=finisher` in the
 * boot arguments chooses how a run without failures powers off.
 */
#include "guests/baremetal/runtime/paging.h"
#include "guests/baremetal/sbitest/sbitest.h"

u64 absent_hart(void)
{
	u64 id = 0;

	for (u32 i = 0; i < machine.hart_count; i++)
		if (harts[i].id >= id)
			id = harts[i].id + 1;
	return id;
}

u64 ram_end(void)
{
	u32 last = machine.ram_count - 1;

	return machine.ram[last].base + machine.ram[last].bytes;
}

bool wait_word(u64 *word, u64 want)
{
	u64 start = time_now();

	while (__atomic_load_n(word, __ATOMIC_ACQUIRE) != want)
		if (time_now() - start > HANG_TICKS)
			return false;
	return true;
}

bool wait_status(u64 hartid, u64 want)
{
	u64 start = time_now();

	while (sbi_hart_status(hartid).value != want)
		if (time_now() - start > HANG_TICKS)
			return false;
	return true;
}

bool wait_timer(void)
{
	u64 start = time_now();

	while (!timer_pending())
		if (time_now() - start > HANG_TICKS)
			return false;
	return true;
}

struct hart *other_start(void (*fn)(struct hart *h, void *arg), void *arg)
{
	if (machine.hart_count < 2) {
		test_skip("needs two harts");
		return NULL;
	}
	if (hart_start(&harts[1], fn, arg)) {
		test_fail("hart %ld did not start", harts[1].id);
		return NULL;
	}
	return &harts[1];
}

void spins(struct hart *h, void *arg)
{
	(void)h;
	while (!__atomic_load_n((u64 *)arg, __ATOMIC_ACQUIRE))
		cpu_relax();
}

void sleeps(struct hart *h, void *arg)
{
	struct suspend s;

	(void)h;
	soft_pend(false);
	csr_write(sie, IRQ_BIT(IRQ_S_SOFT));
	if (hart_suspend(&s, *(u32 *)arg) < 0)
		test_fail("suspend refused");
	if (!soft_pending())
		test_fail("woken without an interrupt");
	soft_pend(false);
}

static void timer_again(struct hart *h, struct trap_frame *f)
{
	(void)h;
	(void)f;
	timer_set(time_now() + machine.hz / 100);
}

void resumes_bare(long (*suspend)(struct suspend *s, u64 type), u64 type)
{
	u64 *root = paging_new();
	struct suspend s;
	long ret;

	paging_on(root, 0);
	/* Again, if it comes before the hart sleeps. */
	irq_handler(IRQ_S_TIMER, timer_again);
	timer_again(NULL, NULL);
	csr_write(sie, IRQ_BIT(IRQ_S_TIMER));
	irq_on();
	ret = suspend(&s, type);
	irq_off();
	csr_write(sie, 0);
	irq_handler(IRQ_S_TIMER, NULL);
	timer_clear();
	check_eq(csr_read(satp), 0, "satp afterwards");
	paging_off();
	if (!check(ret == 1, "suspend gives %ld", ret))
		return;
	check_eq(s.hartid, this_hart()->id, "a0");
	check_eq(s.satp, 0, "satp");
	check_eq(s.sstatus & SSTATUS_SIE, 0, "sstatus.SIE");
}

static u32 add(struct test *all, u32 n, const struct test *t, size_t count)
{
	memcpy(all + n, t, count * sizeof(*t));
	return n + (u32)count;
}

int main(void)
{
	static struct test all[160];
	char end[16] = "";
	u32 n = 0;
	int failed;

	n = add(all, n, base_tests, base_test_count);
	n = add(all, n, time_tests, time_test_count);
	n = add(all, n, ipi_tests, ipi_test_count);
	n = add(all, n, rfence_tests, rfence_test_count);
	n = add(all, n, hsm_tests, hsm_test_count);
	n = add(all, n, dbcn_tests, dbcn_test_count);
	n = add(all, n, sta_tests, sta_test_count);
	n = add(all, n, pmu_tests, pmu_test_count);
	n = add(all, n, fwft_tests, fwft_test_count);
	n = add(all, n, susp_tests, susp_test_count);
	n = add(all, n, sse_tests, sse_test_count);
	n = add(all, n, sse_harts_tests, sse_harts_test_count);
	n = add(all, n, dbtr_tests, dbtr_test_count);
	n = add(all, n, legacy_tests, legacy_test_count);
	n = add(all, n, high_tests, high_test_count);
	failed = tests_run(all, n);
	arg_str("end", end, sizeof(end));
	if (!failed && !strcmp(end, "legacy"))
		sbi_legacy(SBI_LEGACY_SHUTDOWN, 0, 0, 0, 0);
	if (!failed && !strcmp(end, "finisher"))
		write32(machine.finisher.base, FINISHER_PASS);
	return failed;
}
