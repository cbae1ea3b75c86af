/*
 * State that a hypervisor switches late or not at all: floating-point and
 * vector registers, and the supervisor CSRs.
 *
 * All harts put known values there, sleep, spin and take interrupts, and look
 * again; with another guest that does the same on the same CPUs a register that
 * is not switched shows. Every setting of sstatus.FS and VS has to keep the
 * contents: the specification says that changing it never destroys them. Nor
 * does a write of their CSRs need an instruction of theirs after it.
 * `state_rounds=` (50).
 */
#include "guests/baremetal/archtest/archtest.h"

/* A register test of entry.S's: what was found in x1 to x31 at its end. */
struct keep {
	u64 spins, x[31];
};

void keep_all(struct keep *k, u64 pattern);

static u8 vec_want[MAX_HARTS][32 * VLENB_MAX];
static u8 vec_got[MAX_HARTS][32 * VLENB_MAX];

void set_fs(u64 fs)
{
	csr_clear(sstatus, SSTATUS_FS);
	csr_set(sstatus, fs << SSTATUS_FS_SHIFT);
}

void set_vs(u64 vs)
{
	csr_clear(sstatus, SSTATUS_VS);
	csr_set(sstatus, vs << SSTATUS_VS_SHIFT);
}

static u64 get_fs(void)
{
	return csr_read(sstatus) >> SSTATUS_FS_SHIFT & 3;
}

static u64 get_vs(void)
{
	return csr_read(sstatus) >> SSTATUS_VS_SHIFT & 3;
}

/* A sleep, an interrupt taken, a spin: whoever wants the CPU gets it. */
static void be_away(struct rand *r)
{
	csr_write(sie, IRQ_BIT(IRQ_S_SOFT) | IRQ_BIT(IRQ_S_TIMER));
	timer_set(time_now() + rand_below(r, us_to_ticks(300)));
	wfi();
	irq_on();
	irq_off();
	sbi_ipi_hart(this_hart()->id);
	irq_on();
	irq_off();
	timer_clear();
	csr_write(sie, 0);
	delay_ticks(rand_below(r, us_to_ticks(50)));
}

static void fp_hart(struct hart *h, void *arg)
{
	u64 rounds = *(u64 *)arg, want[32], got[32], fcsr;
	struct rand r;

	rand_seed(&r, h->id);
	for (u64 n = 0; n < rounds && !test_failed(); n++) {
		u64 frm = rand_below(&r, 5) << 5 | rand_below(&r, 32);
		u64 fs = rand_below(&r, 4);

		for (u32 i = 0; i < 32; i++)
			want[i] = rand_next(&r);
		set_fs(1);
		fp_load(want, frm);
		if (get_fs() != 3)
			test_fail("FS is %ld after a load", get_fs());
		set_fs(fs);
		be_away(&r);
		if (get_fs() != fs)
			test_fail("FS was %ld and is %ld", fs, get_fs());
		set_fs(2);
		/* By itself, of registers that have been saved. */
		if (n % 2) {
			frm ^= 0x3f;
			csr_write(0x003, frm);
			set_fs(fs);
			be_away(&r);
			set_fs(2);
		}
		fcsr = fp_store(got);
		if (memcmp(want, got, sizeof(want)) || fcsr != frm)
			test_fail("hart %ld round %ld FS %ld: registers are "
				  "not as they were",
				  h->id, n, fs);
	}
	set_fs(0);
}

static void fp_state(void)
{
	u64 rounds = arg_u64("state_rounds", 50);

	if (!isa_has("d")) {
		test_skip("no D extension");
		return;
	}
	harts_run(machine.hart_count, fp_hart, &rounds);
}

static void fp_off(void)
{
	struct probe p;

	if (!isa_has("d")) {
		test_skip("no D extension");
		return;
	}
	set_fs(0);
	run_insn(&p, 0x00053007); /* fld f0, 0(a0) */
	check_eq(p.scause, CAUSE_ILLEGAL, "scause of fld");
	run_insn(&p, INSN_CSRR(10, 3));
	check_eq(p.scause, CAUSE_ILLEGAL, "scause of csrr fcsr");
	check_eq(get_fs(), 0, "FS");
}

static void vec_hart(struct hart *h, void *arg)
{
	u8 *want = vec_want[h->index], *got = vec_got[h->index];
	u64 rounds = *(u64 *)arg, lenb;
	struct vec_csrs csrs, got_csrs;
	struct rand r;

	rand_seed(&r, h->id);
	set_vs(1);
	lenb = vec_lenb();
	if (lenb > VLENB_MAX) {
		test_skip("vlenb is %ld", lenb);
		return;
	}
	for (u64 n = 0; n < rounds && !test_failed(); n++) {
		u64 vs = rand_below(&r, 4);

		/* VLEN elements are the most that there can be. */
		csrs = (struct vec_csrs){.vl = 1 + rand_below(&r, lenb),
					 .vtype = VTYPE_E16_M2,
					 .vcsr = rand_below(&r, 8),
					 .vstart = rand_below(&r, 8 * lenb)};
		for (u64 i = 0; i < 32 * lenb; i++)
			want[i] = (u8)rand_next(&r);
		set_vs(1);
		vec_load(want, &csrs);
		if (get_vs() != 3)
			test_fail("VS is %ld after a load", get_vs());
		set_vs(vs);
		be_away(&r);
		if (get_vs() != vs)
			test_fail("VS was %ld and is %ld", vs, get_vs());
		set_vs(2);
		/* By themselves, of registers that have been saved. */
		if (n % 2) {
			csrs.vcsr ^= 7;
			csrs.vstart = rand_below(&r, 8 * lenb);
			csr_write(0x00f, csrs.vcsr);
			csr_write(0x008, csrs.vstart);
			set_vs(vs);
			be_away(&r);
			set_vs(2);
		}
		vec_store(got, &got_csrs);
		if (memcmp(want, got, 32 * lenb) ||
		    memcmp(&csrs, &got_csrs, sizeof(csrs)))
			test_fail("hart %ld round %ld VS %ld: registers are "
				  "not as they were (vl %ld of %ld, vtype "
				  "0x%lx, vcsr %ld of %ld, vstart %ld of %ld)",
				  h->id, n, vs, got_csrs.vl, csrs.vl,
				  got_csrs.vtype, got_csrs.vcsr, csrs.vcsr,
				  got_csrs.vstart, csrs.vstart);
	}
	set_vs(0);
}

static void vec_state(void)
{
	u64 rounds = arg_u64("state_rounds", 50);

	if (!isa_has("v")) {
		test_skip("no V extension");
		return;
	}
	harts_run(machine.hart_count, vec_hart, &rounds);
}

static void vec_off(void)
{
	struct probe p;

	if (isa_has("v"))
		set_vs(0);
	run_insn(&p, 0x0d007057); /* vsetvli x0, x0, e32, m1, ta, ma */
	check_eq(p.scause, CAUSE_ILLEGAL, "scause");
}

/* FP's and vectors' CSRs: fcsr, vcsr, vstart. */
static void lone_read(u64 *csr, bool d, bool v)
{
	set_fs(2 * d);
	set_vs(2 * v);
	csr[0] = d ? csr_read(0x003) : 0;
	csr[1] = v ? csr_read(0x00f) : 0;
	csr[2] = v ? csr_read(0x008) : 0;
}

/* Of a hart that has executed no FP or vector instruction since it started, one
 * alone or all: they are its own, and nobody finds another's. */
static void lone_hart(struct hart *h, void *arg)
{
	bool d = isa_has("d"), v = isa_has("v");
	u64 round = *(u64 *)arg, put[3], got[3];
	struct rand r;

	rand_seed(&r, round * MAX_HARTS + h->id);
	lone_read(got, d, v);
	/* The one that boots has been at work before. */
	if (h->index && (got[0] | got[1] | got[2]))
		test_fail("fcsr, vcsr, vstart are %ld, %ld, %ld at first",
			  got[0], got[1], got[2]);
	for (u32 i = 0; i < 3; i++)
		put[i] = round % 4 == i || round % 4 == 3 ?
				 1 + rand_below(&r, i ? 7 : 255) : 0;
	if (d)
		csr_write(0x003, put[0]);
	if (v) {
		csr_write(0x00f, put[1]);
		csr_write(0x008, put[2]);
	}
	set_fs(rand_below(&r, 4));
	set_vs(rand_below(&r, 4));
	be_away(&r);
	lone_read(got, d, v);
	if ((d && got[0] != put[0]) ||
	    (v && (got[1] != put[1] || got[2] != put[2])))
		test_fail("hart %ld round %ld: fcsr, vcsr, vstart are %ld, "
			  "%ld, %ld, not %ld, %ld, %ld",
			  h->id, round, got[0], got[1], got[2], put[0], put[1],
			  put[2]);
	if (v)
		csr_write(0x008, 0);
	set_fs(0);
	set_vs(0);
}

static void lone_csrs(void)
{
	u64 rounds = arg_u64("state_rounds", 50);

	if (!isa_has("d")) {
		test_skip("no D extension");
		return;
	}
	for (u64 n = 0; n < rounds && !test_failed(); n++)
		harts_run(machine.hart_count, lone_hart, &n);
}

/* Of the AIA, which no guest is told of; harts may let it be written. */
static u64 siselect_probe(u64 a, u64 b, u64 c)
{
	(void)a;
	(void)b;
	(void)c;
	csr_write(0x150, 0);
	return csr_read(0x150);
}

/* CSRs without a copy for the guest have to be switched by software. */
static void csr_hart(struct hart *h, void *arg)
{
	u64 rounds = *(u64 *)arg;
	struct probe p;
	bool siselect = probe_call(&p, siselect_probe, 0, 0, 0);
	struct rand r;

	rand_seed(&r, h->id + 100);
	for (u64 n = 0; n < rounds && !test_failed(); n++) {
		u64 counters = rand_below(&r, 8), fiom = rand_below(&r, 2);
		u64 sum = rand_below(&r, 2) ? SSTATUS_SUM : 0, got;
		u64 select = rand_below(&r, 256);

		if (siselect)
			csr_write(0x150, select);
		csr_write(scounteren, counters);
		csr_write(0x10a, fiom);
		csr_clear(sstatus, SSTATUS_SUM);
		csr_set(sstatus, sum);
		be_away(&r);
		got = csr_read(scounteren) & 7;
		if (got != counters)
			test_fail("scounteren was %ld and is %ld", counters,
				  got);
		if ((csr_read(0x10a) & 1) != fiom)
			test_fail("senvcfg has changed");
		if ((csr_read(sstatus) & SSTATUS_SUM) != sum)
			test_fail("sstatus.SUM has changed");
		if (siselect && csr_read(0x150) != select)
			test_fail("siselect has changed");
	}
	csr_write(scounteren, 0);
	csr_write(0x10a, 0);
	csr_clear(sstatus, SSTATUS_SUM);
}

static void csr_state(void)
{
	u64 rounds = arg_u64("state_rounds", 50);

	harts_run(machine.hart_count, csr_hart, &rounds);
}

/* All registers at once, for as long as it takes to be interrupted by
 * others. */
static void kept_hart(struct hart *h, void *arg)
{
	u64 rounds = *(u64 *)arg;
	struct keep k;
	struct rand r;

	rand_seed(&r, h->id + 200);
	for (u64 n = 0; n < rounds && !test_failed(); n++) {
		u64 pattern = rand_next(&r);

		k.spins = rand_below(&r, 200000);
		keep_all(&k, pattern);
		for (u32 i = 0; i < 31; i++)
			if (k.x[i] != pattern + i + 1)
				test_fail("x%u was 0x%lx and is 0x%lx", i + 1,
					  pattern + i + 1, k.x[i]);
	}
}

static void x_state(void)
{
	u64 rounds = arg_u64("state_rounds", 50);

	harts_run(machine.hart_count, kept_hart, &rounds);
}

u64 csr_one_read(u64 csr, u64 b, u64 c)
{
	(void)b;
	(void)c;
	code_begin();
	code_add(INSN_CSRR(10, (u32)csr));
	code_add(INSN_RET);
	__asm__ volatile("fence.i" ::: "memory");
	return ((u64(*)(void))code)();
}

u64 csr_one_write(u64 csr, u64 val, u64 c)
{
	(void)c;
	code_begin();
	code_add(INSN_CSRW(csr, 10));
	code_add(INSN_CSRR(10, (u32)csr));
	code_add(INSN_RET);
	__asm__ volatile("fence.i" ::: "memory");
	return ((u64(*)(u64))code)(val);
}

/* What all CSRs of user and supervisor level are that keep what is written, by
 * what is known to switch them. */
static const struct {
	u32 first, last;
} switched[] = {
	{0x001, 0x003}, /* floating point */
	{0x008, 0x00f}, /* vectors */
	{0x017, 0x017}, {0x100, 0x100}, {0x104, 0x106},
	{0x10a, 0x10a}, {0x10c, 0x10c}, {0x140, 0x144},
	{0x14d, 0x14f}, {0x150, 0x150}, {0x180, 0x180},
};

static bool is_switched(u32 csr)
{
	for (size_t i = 0; i < ARRAY_LEN(switched); i++)
		if (csr >= switched[i].first && csr <= switched[i].last)
			return true;
	return false;
}

/* A CSR that keeps what is written and that nobody switches is a message to the
 * next guest on this hart. */
static void no_other_csr(void)
{
	struct probe p;

	if (!machine.rouse) {
		test_skip("it's for who shares harts");
		return;
	}
	set_fs(1);
	set_vs(1);
	for (u32 csr = 0; csr < 0xc00; csr++) {
		u64 old;

		/* User and supervisor level, not read-only. */
		if ((csr >> 8 & 3) > 1 || is_switched(csr) ||
		    !probe_call(&p, csr_one_read, csr, 0, 0))
			continue;
		old = p.value;
		if (!probe_call(&p, csr_one_write, csr, ~old, 0))
			continue;
		if (p.value != old)
			test_fail("CSR 0x%x was 0x%lx and keeps 0x%lx", csr,
				  old, p.value);
		probe_call(&p, csr_one_write, csr, old, 0);
	}
	set_fs(0);
	set_vs(0);
}

const struct test state_tests[] = {
	{"state_floating_point_is_kept", fp_state},
	{"state_floating_point_off_is_illegal", fp_off},
	{"state_vector_is_kept", vec_state},
	{"state_vector_off_is_illegal", vec_off},
	{"state_fp_and_vector_csrs_alone_are_kept", lone_csrs},
	{"state_csrs_are_kept", csr_state},
	{"state_integer_registers_are_kept", x_state},
	{"state_is_in_no_csr_that_is_not_switched", no_other_csr},
};
TEST_LIST(state_tests, state_test_count);
