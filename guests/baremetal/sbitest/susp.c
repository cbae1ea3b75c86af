/*
 * SUSP: the errors, and a suspend that the timer, a device and an interrupt
 * that pends already end.
 */
#include "guests/baremetal/sbitest/sbitest.h"

static bool present(void)
{
	if (!sbi_has(SBI_SUSP))
		check_spec(false, "SUSP is not there");
	return sbi_has(SBI_SUSP);
}

static long call(u64 type, u64 at)
{
	return sbi_call(SBI_SUSP, SBI_SUSP_SUSPEND, type, at, 0).error;
}

static void refusals(void)
{
	u64 pc = (u64)record_entry;

	if (!present() || !machine.rouse)
		return;
	check_eq(call(1, pc), SBI_ERR_INVALID_PARAM, "a reserved type");
	check_eq(call(0x80000000, pc), SBI_ERR_INVALID_PARAM, "a platform's");
	check_eq(call(0, HOLE), SBI_ERR_INVALID_ADDRESS, "a hole");
	check_eq(call(0, ram_end()), SBI_ERR_INVALID_ADDRESS, "the end of RAM");
	check_eq(call(0, pc + 1), SBI_ERR_INVALID_ADDRESS, "an odd address");
	check_eq(call(0, pc | 1UL << 32), SBI_ERR_INVALID_ADDRESS,
		 "an address above 4 GiB");
	check_eq(call(0, machine.uart.base), SBI_ERR_INVALID_ADDRESS,
		 "a device");
	check_eq(call(0x7fffffff, pc), SBI_ERR_INVALID_PARAM,
		 "the last reserved type");
	check_eq(call(0xffffffff, pc), SBI_ERR_INVALID_PARAM,
		 "a platform's last");
}

static void denied(void)
{
	struct hart *other;
	u64 go = 0;

	if (!present())
		return;
	other = other_start(spins, &go);
	if (!other)
		return;
	check_eq(call(0, (u64)record_entry), SBI_ERR_DENIED, "error");
	__atomic_store_n(&go, 1, __ATOMIC_RELEASE);
	hart_join(other);
}

/* Only a stopped one will do. */
static void denied_beside_a_sleeper(void)
{
	u32 type = HSM_SUSPEND_RETENTIVE;
	struct hart *other;

	if (!present())
		return;
	other = other_start(sleeps, &type);
	if (!other)
		return;
	check(wait_status(other->id, HSM_SUSPENDED), "it does not sleep");
	check_eq(call(0, (u64)record_entry), SBI_ERR_DENIED, "error");
	check_eq(sbi_ipi_hart(other->id), 0, "IPI");
	hart_join(other);
}

static void resumes_without_translation(void)
{
	if (present() && machine.rouse)
		resumes_bare(system_suspend, 0);
}

static void suspends(void)
{
	struct suspend s;
	u64 until;

	if (!present() || !machine.rouse)
		return;
	for (u32 i = 0; i < 10 && !test_failed(); i++) {
		until = time_now() + machine.hz / 200;
		timer_set(until);
		csr_write(sie, IRQ_BIT(IRQ_S_TIMER));
		/* The type is a number of 32 bits. */
		check_eq(system_suspend(&s, (i & 1UL) << 32), 1,
			 "how it came back");
		csr_write(sie, 0);
		check((s64)(time_now() - until) >= 0, "it woke too early");
		check(wait_timer(), "nothing has woken it");
		timer_clear();
		check_eq(s.hartid, this_hart()->id, "a0");
		check_eq(s.satp, 0, "satp");
		check_eq(s.sstatus & SSTATUS_SIE, 0, "sstatus.SIE");
	}
	soft_pend(true);
	csr_write(sie, IRQ_BIT(IRQ_S_SOFT));
	check_eq(system_suspend(&s, 0), 1, "with an interrupt pending");
	csr_write(sie, 0);
	soft_pend(false);
}

/* By the PLIC: an alarm is due some time after the machine sleeps. */
static void a_device_resumes(void)
{
	s32 context = machine.plic_context[this_hart()->index];
	struct suspend s;
	u64 when;

	if (!present() || !machine.rouse || !machine.rtc.bytes || context < 0)
		return;
	plic_priority(machine.rtc_irq, 1);
	plic_enable((u32)context, machine.rtc_irq, true);
	for (u32 i = 0; i < 10; i++) {
		when = rtc_now_ns() + 2000000 * (1 + i % 3);
		rtc_alarm(when);
		csr_write(sie, IRQ_BIT(IRQ_S_EXT));
		check_eq(system_suspend(&s, 0), 1, "how it came back");
		csr_write(sie, 0);
		check(rtc_now_ns() >= when, "it woke too early");
		check_eq(plic_claim((u32)context), machine.rtc_irq, "claim");
		rtc_quiet();
		plic_complete((u32)context, machine.rtc_irq);
	}
	plic_reset();
}

const struct test susp_tests[] = {
	{"susp_refuses_bad_types_and_addresses", refusals},
	{"susp_is_denied_while_another_hart_is_on", denied},
	{"susp_is_denied_while_another_hart_sleeps", denied_beside_a_sleeper},
	{"susp_sleeps_until_something_wakes_it", suspends},
	{"susp_is_ended_by_a_device", a_device_resumes},
	{"susp_resume_is_without_translation_and_interrupts",
	 resumes_without_translation},
};
TEST_LIST(susp_tests, susp_test_count);
