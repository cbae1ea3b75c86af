/*
 * IPI: hart masks in all their forms. Every other hart runs a loop that counts
 * the SSIPs it sees, so each form can be held to the harts it names.
 */
#include "guests/baremetal/sbitest/sbitest.h"

static u64 seen[MAX_HARTS], ready, stop;

static void count(struct hart *h, void *arg)
{
	(void)arg;
	soft_pend(false);
	__atomic_fetch_add(&ready, 1, __ATOMIC_ACQ_REL);
	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
		if (!soft_pending())
			continue;
		soft_pend(false);
		__atomic_fetch_add(&seen[h->index], 1, __ATOMIC_ACQ_REL);
	}
}

static void counters_start(void)
{
	ready = stop = 0;
	memset(seen, 0, sizeof(seen));
	soft_pend(false);
	for (u32 i = 1; i < machine.hart_count; i++)
		if (hart_start(&harts[i], count, NULL))
			test_fail("hart %ld did not start", harts[i].id);
	if (!wait_word(&ready, machine.hart_count - 1))
		test_fail("harts did not come up");
}

static void counters_stop(void)
{
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	for (u32 i = 1; i < machine.hart_count; i++)
		hart_join(&harts[i]);
	soft_pend(false);
}

/* Sends, and checks that exactly the harts in `want` (by index) got it. */
static void send_and_check(u64 mask, u64 base, u64 want)
{
	long error = sbi_ipi(mask, base).error;
	u64 start = time_now();

	check(!error, "mask 0x%lx base %ld: error %ld", mask, base, error);
	for (u32 i = 0; i < machine.hart_count; i++) {
		u64 n = 0;

		if (!(want >> i & 1))
			continue;
		while (!n && time_now() - start < HANG_TICKS)
			n = i ? __atomic_load_n(&seen[i], __ATOMIC_ACQUIRE)
			      : soft_pending();
		check(n, "mask 0x%lx base %ld: hart %ld got none", mask, base,
		      harts[i].id);
	}
	delay_ticks(us_to_ticks(200));
	for (u32 i = 0; i < machine.hart_count; i++) {
		u64 n = i ? __atomic_exchange_n(&seen[i], 0, __ATOMIC_ACQ_REL)
			  : soft_pending();

		check(n == (want >> i & 1),
		      "mask 0x%lx base %ld: hart %ld "
		      "got %ld",
		      mask, base, harts[i].id, n);
	}
	soft_pend(false);
}

static void masks(void)
{
	u64 all = 0, everyone = 0;

	counters_start();
	for (u32 i = 0; i < machine.hart_count; i++) {
		send_and_check(1, harts[i].id, 1UL << i);
		send_and_check(1UL << harts[i].id, 0, 1UL << i);
		if (harts[i].id)
			send_and_check(2, harts[i].id - 1, 1UL << i);
		all |= 1UL << harts[i].id;
		everyone |= 1UL << i;
	}
	send_and_check(all, 0, everyone);
	send_and_check(0, 0, 0);
	send_and_check(0, 1, 0);
	counters_stop();
}

static void broadcast(void)
{
	u64 everyone = 0;

	for (u32 i = 0; i < machine.hart_count; i++)
		everyone |= 1UL << i;
	counters_start();
	send_and_check(0, UINT64_MAX, everyone);
	send_and_check(1, UINT64_MAX, everyone);
	/* As if from base -1 on, this would name hart 0 alone. */
	send_and_check(2, UINT64_MAX, everyone);
	send_and_check(UINT64_MAX, UINT64_MAX, everyone);
	counters_stop();
}

static void unknown_harts(void)
{
	u64 absent = absent_hart();
	struct {
		u64 mask, base;
	} bad[] = {
		{1, absent},
		{1UL << absent, 0},
		{1 | 1UL << absent, 0},
		{UINT64_MAX, 0},
		{1, 1UL << 32},
		{1, UINT64_MAX - 1},
		{3, UINT64_MAX - 1},
		{4, UINT64_MAX - 1},
		{1UL << 63, harts[0].id},
		{2, UINT64_MAX / 2},
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		long e = sbi_ipi(bad[i].mask, bad[i].base).error;

		check_spec(e == SBI_ERR_INVALID_PARAM,
			   "mask 0x%lx base 0x%lx gives %ld", bad[i].mask,
			   bad[i].base, e);
	}
	soft_pend(false);
}

static void self_trap(void)
{
	u64 before = this_hart()->irqs[IRQ_S_SOFT];

	csr_write(sie, IRQ_BIT(IRQ_S_SOFT));
	irq_on();
	check_eq(sbi_ipi_hart(this_hart()->id), 0, "error");
	delay_ticks(machine.hz / 1000);
	irq_off();
	csr_write(sie, 0);
	check_eq(this_hart()->irqs[IRQ_S_SOFT] - before, 1, "traps");
	check(!soft_pending(), "still pending");
}

static void to_stopped(void)
{
	u64 id;

	if (machine.hart_count < 2) {
		test_skip("needs two harts");
		return;
	}
	id = harts[1].id;
	sbi_ipi_hart(id);
	delay_ticks(machine.hz / 1000);
	check_eq(sbi_hart_status(id).value, HSM_STOPPED, "state");
	/* And it starts as if nothing had been. */
	counters_start();
	send_and_check(1, id, 2);
	counters_stop();
}

const struct test ipi_tests[] = {
	{"ipi_reaches_exactly_the_harts_in_the_mask", masks},
	{"ipi_with_base_minus_one_reaches_all", broadcast},
	{"ipi_to_unknown_harts_is_an_invalid_param", unknown_harts},
	{"ipi_to_self_traps_once", self_trap},
	{"ipi_to_a_stopped_hart_does_not_start_it", to_stopped},
};
TEST_LIST(ipi_tests, ipi_test_count);
