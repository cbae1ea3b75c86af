/*
 * Supervisor CSRs: which bits are writable, counters and their enables, time.
 */
#include "guests/baremetal/archtest/archtest.h"

static void plain_registers(void)
{
	u64 v = 0x0123456789abcdef;

	/* sscratch is the trap vector's: write it and put it back. */
	u64 got = 0;

	__asm__ volatile("csrrw %0, sscratch, %1\n\tcsrrw %0, sscratch, zero"
			 : "=&r"(got)
			 : "r"(v));
	check_eq(got, v, "sscratch");
	csr_write(sepc, 0x80201236);
	check_eq(csr_read(sepc), 0x80201236, "sepc");
	csr_write(stval, v);
	check_eq(csr_read(stval), v, "stval");
	csr_write(scause, SCAUSE_IRQ | 5);
	check_eq(csr_read(scause), SCAUSE_IRQ | 5, "scause");
	csr_write(0x10a, 0); /* senvcfg */
	check_eq(csr_read(0x10a) & 1, 0, "senvcfg.FIOM");
	csr_write(0x10a, 1);
	check_eq(csr_read(0x10a) & 1, 1, "senvcfg.FIOM");
	csr_write(0x10a, 0);
}

static void sstatus_bits(void)
{
	u64 old = csr_read(sstatus), v;

	check_eq(old >> 32 & 3, 2, "sstatus.UXL");
	csr_write(sstatus, old | SSTATUS_SUM | SSTATUS_MXR);
	v = csr_read(sstatus);
	check_eq(v & (SSTATUS_SUM | SSTATUS_MXR), SSTATUS_SUM | SSTATUS_MXR,
		 "SUM and MXR");
	csr_write(sstatus, old & ~(SSTATUS_SUM | SSTATUS_MXR));
	check_eq(csr_read(sstatus) & (SSTATUS_SUM | SSTATUS_MXR), 0,
		 "SUM and MXR");
	/* Machine mode's fields are not visible here. */
	csr_write(sstatus, old | 3UL << 11 | 1UL << 3 | 1UL << 7 | 1UL << 17);
	check_eq(csr_read(sstatus) &
			 (3UL << 11 | 1UL << 3 | 1UL << 7 | 1UL << 17),
		 0, "machine bits");
	csr_write(sstatus, old);
}

static void interrupt_bits(void)
{
	u64 std =
		IRQ_BIT(IRQ_S_SOFT) | IRQ_BIT(IRQ_S_TIMER) | IRQ_BIT(IRQ_S_EXT);

	csr_write(sie, UINT64_MAX);
	check_eq(csr_read(sie) & 0xfff & ~std, 0, "sie, reserved bits");
	check_eq(csr_read(sie) & std, std, "sie");
	csr_write(sie, 0);
	check_eq(csr_read(sie), 0, "sie");
	csr_clear(sip, UINT64_MAX);
	csr_set(sip, IRQ_BIT(IRQ_S_TIMER) | IRQ_BIT(IRQ_S_EXT));
	check_eq(csr_read(sip) & std, 0, "sip after setting STIP, SEIP");
	csr_set(sip, IRQ_BIT(IRQ_S_SOFT));
	check_eq(csr_read(sip) & std, IRQ_BIT(IRQ_S_SOFT), "sip");
	csr_clear(sip, IRQ_BIT(IRQ_S_SOFT));
	check_eq(csr_read(sip) & std, 0, "sip");
}

static void satp_modes(void)
{
	/* Reserved modes: the whole write has no effect. */
	for (u64 mode = 1; mode < 8; mode++) {
		csr_write(satp, mode << 60 | 0x12345);
		check_eq(csr_read(satp), 0, "satp after a reserved mode");
	}
	csr_write(satp, 0);
}

static void time_goes_on(void)
{
	u64 last = time_now();

	for (int i = 0; i < 100000; i++) {
		u64 now = time_now();

		if (!check(now >= last, "%ld after %ld", now, last))
			return;
		last = now;
	}
	delay_ticks(machine.hz / 1000);
	check(time_now() > last, "it stands still");
}

/* The time since boot, not since the machine was switched on. */
static void time_at_boot(void)
{
	if (!machine.rouse) {
		test_skip("only a guest's time starts at zero");
		return;
	}
	check(time_at_start < 30 * machine.hz, "it was %ld ms at boot",
	      ticks_to_ns(time_at_start) / 1000000);
}

static u64 other_time;

static void read_time(struct hart *h, void *arg)
{
	(void)h;
	(void)arg;
	__atomic_store_n(&other_time, time_now(), __ATOMIC_RELEASE);
}

/* All harts show one time: what one reads later is later. */
static void time_is_one(void)
{
	if (machine.hart_count < 2) {
		test_skip("needs two harts");
		return;
	}
	for (u32 i = 1; i < machine.hart_count; i++) {
		u64 before = time_now(), after;

		hart_start(&harts[i], read_time, NULL);
		hart_join(&harts[i]);
		after = time_now();
		check(other_time >= before && other_time <= after,
		      "hart %ld reads %ld between %ld and %ld", harts[i].id,
		      other_time, before, after);
	}
}

/*
 * U-mode may read a counter if S-mode may and scounteren allows it. Whether
 * S-mode may read cycle and instret is the machine's choice, time it must.
 */
static void counters(void)
{
	static const char *const names[] = {"cycle", "time", "instret"};
	struct probe p;

	for (u32 i = 0; i < 3; i++) {
		u32 insn = INSN_CSRR(10, 0xc00 + i);
		bool here = run_insn(&p, insn);

		if (!here)
			check_eq(p.scause, CAUSE_ILLEGAL, "scause in S-mode");
		check(here || i != 1, "S-mode can't read time");
		csr_write(scounteren, 0);
		run_insn_user(&p, insn);
		check(p.scause == CAUSE_ILLEGAL,
		      "%s forbidden in U-mode: scause %ld", names[i], p.scause);
		csr_write(scounteren, 7);
		run_insn_user(&p, insn);
		check(p.scause == (here ? CAUSE_ECALL_U : CAUSE_ILLEGAL),
		      "%s allowed in U-mode: scause %ld", names[i], p.scause);
		csr_write(scounteren, 0);
	}
}

static void stimecmp(void)
{
	struct probe p;
	bool here = run_insn(&p, INSN_CSRR(10, 0x14d));

	check_eq(here, machine.sstc, "stimecmp is there");
	if (!machine.sstc || !here)
		return;
	csr_write(0x14d, UINT64_MAX);
	check(!(csr_read(sip) & IRQ_BIT(IRQ_S_TIMER)), "STIP is set");
	csr_write(0x14d, 0);
	check(csr_read(sip) & IRQ_BIT(IRQ_S_TIMER), "STIP is not set");
	csr_write(0x14d, time_now() + 100 * machine.hz);
	check(!(csr_read(sip) & IRQ_BIT(IRQ_S_TIMER)), "STIP is set");
	csr_write(0x14d, UINT64_MAX);
	check_eq(csr_read(0x14d), UINT64_MAX, "stimecmp");
}

/* The tree doesn't promise what would trap, nor hide the base. */
static void isa_is_honest(void)
{
	static const char *const must[] = {"i", "m", "a", "c"};
	struct probe p;

	for (size_t i = 0; i < ARRAY_LEN(must); i++)
		check(isa_has(must[i]), "the tree has no %s", must[i]);
	check(!machine.rouse || !isa_has("h"), "a guest has no H");
	if (isa_has("zba")) /* sh1add a0, a0, a1 */
		check(run_insn(&p, 0x20b52533), "zba traps");
	if (isa_has("zbb")) /* andn a0, a0, a1 */
		check(run_insn(&p, 0x40b57533), "zbb traps");
	if (isa_has("zbs")) /* bset a0, a0, a1 */
		check(run_insn(&p, 0x28b51533), "zbs traps");
	if (isa_has("zicboz")) {
		code_begin();
		code_add(0x0045200f); /* cbo.zero (a0) */
		code_add(INSN_RET);
		memset(user_data, 0xff, 512);
		check(code_run(&p, (u64)user_data, 0), "cbo.zero traps");
		check_eq(user_data[0], 0, "what cbo.zero left");
	}
	if (isa_has("zicbom")) {
		code_begin();
		code_add(0x0025200f); /* cbo.flush (a0) */
		code_add(INSN_RET);
		check(code_run(&p, (u64)user_data, 0), "cbo.flush traps");
	}
}

#define CSRS	      0x1000u
#define CSR_LEVEL(csr) ((csr) >> 8 & 3)

/* One that can't be. OpenSBI makes htimedelta up where harts have no H. */
static void is_illegal(const char *what, u32 csr, u32 insn, u64 sepc, u64 from,
		       const struct probe *p)
{
	check_spec(p->scause == CAUSE_ILLEGAL && p->sepc == sepc &&
			   (p->stval == insn || !p->stval) &&
			   (p->sstatus & (SSTATUS_SPP | SSTATUS_SPIE |
					  SSTATUS_SIE)) == from,
		   "%s of CSR 0x%x: scause %ld, stval 0x%lx, sepc 0x%lx, "
		   "sstatus 0x%lx",
		   what, csr, p->scause, p->stval, p->sepc, p->sstatus);
}

static void of_other_levels(void)
{
	struct probe p;

	for (u32 csr = 0; csr < CSRS; csr++) {
		u32 level = CSR_LEVEL(csr);
		u32 read = INSN_CSRR(10, csr), write = INSN_CSRW(csr, 10);

		if (!run_insn(&p, read))
			is_illegal("read", csr, read, (u64)code, FROM_S(0), &p);
		else
			check_spec(level < 2 || (level == 2 && isa_has("h")),
				   "CSR 0x%x is there", csr);
		if (level == 3 || (level == 2 && !isa_has("h"))) {
			run_insn(&p, write);
			is_illegal("write", csr, write, (u64)code, FROM_S(0),
				   &p);
		}
		run_insn_user(&p, read);
		if (level || p.scause != CAUSE_ECALL_U)
			is_illegal("user's read", csr, read, USER_CODE, FROM_U,
				   &p);
		if (!level)
			continue;
		run_insn_user(&p, write);
		is_illegal("user's write", csr, write, USER_CODE, FROM_U, &p);
	}
}

const struct test csr_tests[] = {
	{"csr_of_a_higher_level_is_illegal", of_other_levels},
	{"csr_plain_registers_keep_what_is_written", plain_registers},
	{"csr_sstatus_shows_supervisor_bits_only", sstatus_bits},
	{"csr_sie_and_sip_have_three_bits", interrupt_bits},
	{"csr_satp_ignores_reserved_modes", satp_modes},
	{"csr_stimecmp_is_there_as_the_tree_says", stimecmp},
	{"time_never_goes_back", time_goes_on},
	{"time_starts_near_zero", time_at_boot},
	{"time_is_the_same_on_all_harts", time_is_one},
	{"counters_follow_scounteren", counters},
	{"isa_string_is_honest", isa_is_honest},
};
TEST_LIST(csr_tests, csr_test_count);
