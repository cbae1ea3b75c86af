/*
 * Exceptions and what sstatus, sepc, scause and stval say of them
 * (privileged specification, "Supervisor Trap ..." and its WFI section).
 */
#include "guests/baremetal/archtest/archtest.h"

#define SPP_SPIE_SIE (SSTATUS_SPP | SSTATUS_SPIE | SSTATUS_SIE)

#define INSN_MRET 0x30200073u

/*
 * Who raises the exception: a hart may leave stval zero, and QEMU's leave an
 * older instruction there when mret is illegal; for VS-mode it is a virtual
 * instruction, and what Rouse makes of that has the instruction.
 */
enum raised { BY_HART, BY_ROUSE };

static bool stval_is_right(const struct probe *p, u32 insn, enum raised by)
{
	if (by == BY_ROUSE && machine.rouse)
		return p->stval == insn;
	return p->stval == insn || p->stval == 0 || insn == INSN_MRET;
}

void trap_expect(const char *name, const struct probe *p, u64 cause, u64 sepc,
		 u64 from)
{
	check(p->scause == cause, "%s: scause %ld, expected %ld", name,
	      p->scause, cause);
	check(p->sepc == sepc, "%s: sepc 0x%lx, expected 0x%lx", name, p->sepc,
	      sepc);
	check((p->sstatus & SPP_SPIE_SIE) == from,
	      "%s: sstatus 0x%lx, expected 0x%lx of SPP, SPIE, SIE", name,
	      p->sstatus, from);
}

static void illegal_with(bool irqs)
{
	static const u32 insns[] = {0xffffffff, 0x0000000b, 0xc0001073};
	struct probe p;

	for (size_t i = 0; i < ARRAY_LEN(insns); i++) {
		if (irqs)
			irq_on();
		run_insn(&p, insns[i]);
		irq_off();
		trap_expect("illegal", &p, CAUSE_ILLEGAL, (u64)code,
			    FROM_S(irqs));
		check(p.stval == insns[i] || p.stval == 0, "stval is 0x%lx",
		      p.stval);
	}
}

static void illegal_off(void)
{
	illegal_with(false);
}

static void illegal_on(void)
{
	illegal_with(true);
}

static void illegal_compressed(void)
{
	struct probe p;

	code_begin();
	code_add(0x0001); /* c.nop */
	code_add(0x0000); /* defined to be illegal */
	code_run(&p, 0, 0);
	trap_expect("illegal", &p, CAUSE_ILLEGAL, (u64)code + 2, FROM_S(false));
	check_eq(p.stval, 0, "stval");
}

static void ebreak(void)
{
	struct probe p;

	run_insn(&p, INSN_EBREAK);
	trap_expect("ebreak", &p, CAUSE_BREAKPOINT, (u64)code, FROM_S(false));
	check(p.stval == (u64)code || p.stval == 0, "stval is 0x%lx", p.stval);
	code_begin();
	code_add(0x9002); /* c.ebreak */
	code_run(&p, 0, 0);
	trap_expect("c.ebreak", &p, CAUSE_BREAKPOINT, (u64)code, FROM_S(false));
}

static void user_ecall(void)
{
	struct probe p;

	code_begin();
	code_add(0x00150513); /* addi a0, a0, 1 */
	code_add(INSN_ECALL);
	code_run_user(&p, 41);
	trap_expect("ecall", &p, CAUSE_ECALL_U, USER_CODE + 4, FROM_U);
	check_eq(p.stval, 0, "stval");
	check_eq(p.x10, 42, "a0");
}

static void user_illegal(void)
{
	/* Each is for S-mode only, or not there at all. */
	static const struct {
		const char *name;
		u32 insn;
		enum raised by;
	} insns[] = {
		{"csrr sstatus", INSN_CSRR(10, 0x100), BY_ROUSE},
		{"csrr sip", INSN_CSRR(10, 0x144), BY_ROUSE},
		{"csrw satp", INSN_CSRW(0x180, 0), BY_ROUSE},
		{"sret", INSN_SRET, BY_ROUSE},
		{"wfi", INSN_WFI, BY_ROUSE},
		{"sfence.vma", INSN_SFENCE_VMA, BY_ROUSE},
		{"csrr hstatus", INSN_CSRR(10, 0x600), BY_ROUSE},
		{"csrw hgatp", INSN_CSRW(0x680, 0), BY_ROUSE},
		{"csrr vsstatus", INSN_CSRR(10, 0x200), BY_ROUSE},
		{"csrr mstatus", INSN_CSRR(10, 0x300), BY_HART},
		{"mret", INSN_MRET, BY_HART},
		{"hfence.gvma", 0x62000073, BY_ROUSE},
		{"hfence.vvma", 0x22000073, BY_ROUSE},
		{"hlv.w", 0x68054573, BY_ROUSE},
		{"hsv.w", 0x6ab54073, BY_ROUSE},
		{"custom", 0x0000000b, BY_HART},
	};
	struct probe p;

	for (size_t i = 0; i < ARRAY_LEN(insns); i++) {
		run_insn_user(&p, insns[i].insn);
		check(p.scause == CAUSE_ILLEGAL, "%s: scause %ld",
		      insns[i].name, p.scause);
		check(p.sepc == USER_CODE, "%s: sepc 0x%lx", insns[i].name,
		      p.sepc);
		check(stval_is_right(&p, insns[i].insn, insns[i].by),
		      "%s: stval 0x%lx", insns[i].name, p.stval);
		check(!(p.sstatus & SSTATUS_SPP), "%s: SPP is set",
		      insns[i].name);
	}
}

static void supervisor_illegal(void)
{
	/* Machine mode's are never there; H's are not there in a guest. */
	static const struct {
		const char *name;
		u32 insn;
		bool h; /* there in a hart with H */
		enum raised by;
	} insns[] = {
		{"csrr mstatus", INSN_CSRR(10, 0x300), false, BY_HART},
		{"csrr mhartid", INSN_CSRR(10, 0xf14), false, BY_HART},
		{"mret", INSN_MRET, false, BY_HART},
		{"csrw time", INSN_CSRW(0xc01, 0), false, BY_HART},
		{"csrr of no CSR", INSN_CSRR(10, 0x5ff), false, BY_HART},
		{"csrr hstatus", INSN_CSRR(10, 0x600), true, BY_ROUSE},
		{"csrw hstatus", INSN_CSRW(0x600, 0), true, BY_ROUSE},
		{"csrr hedeleg", INSN_CSRR(10, 0x602), true, BY_ROUSE},
		{"csrr hgatp", INSN_CSRR(10, 0x680), true, BY_ROUSE},
		{"csrr htval", INSN_CSRR(10, 0x643), true, BY_ROUSE},
		{"csrr hvip", INSN_CSRR(10, 0x645), true, BY_ROUSE},
		{"csrr htimedelta", INSN_CSRR(10, 0x605), true, BY_ROUSE},
		{"csrr hgeip", INSN_CSRR(10, 0xe12), true, BY_ROUSE},
		{"csrr vsstatus", INSN_CSRR(10, 0x200), true, BY_ROUSE},
		{"csrr vsatp", INSN_CSRR(10, 0x280), true, BY_ROUSE},
		/* Without Sstc it's not there at all. */
		{"csrr vstimecmp", INSN_CSRR(10, 0x24d), true, BY_HART},
		{"hfence.gvma", 0x62000073, true, BY_ROUSE},
		{"hfence.vvma", 0x22000073, true, BY_ROUSE},
		{"hlv.w", 0x68054573, true, BY_ROUSE},
		{"hsv.w", 0x6ab54073, true, BY_ROUSE},
	};
	struct probe p;

	for (size_t i = 0; i < ARRAY_LEN(insns); i++) {
		if (insns[i].h && isa_has("h"))
			continue;
		run_insn(&p, insns[i].insn);
		check(p.scause == CAUSE_ILLEGAL, "%s: scause %ld",
		      insns[i].name, p.scause);
		check(stval_is_right(&p, insns[i].insn, insns[i].by),
		      "%s: stval 0x%lx", insns[i].name, p.stval);
		check(p.sepc == (u64)code, "%s: sepc 0x%lx", insns[i].name,
		      p.sepc);
	}
}

/*
 * Faults that the hardware can't give a guest, since they are the second
 * stage's or the hypervisor's: they look as all others do. Those of other
 * accesses, and from U-mode, are in page.c.
 */
static void access_insn(u32 insn, u64 cause, u64 at, bool irqs)
{
	struct probe p;

	if (irqs)
		irq_on();
	run_insn_with(&p, insn, at, 0);
	irq_off();
	trap_expect("reflected", &p, cause, (u64)code, FROM_S(irqs));
	check(cause == CAUSE_ILLEGAL ? stval_is_right(&p, insn, BY_ROUSE) :
	      p.stval == at, "stval is 0x%lx", p.stval);
}

static void reflected(void)
{
	for (u32 irqs = 0; irqs < 2; irqs++) {
		access_insn(0x00053503, CAUSE_LOAD_ACCESS, HOLE, irqs);
		access_insn(0x00b53023, CAUSE_STORE_ACCESS, HOLE + 8, irqs);
		if (!isa_has("h"))
			access_insn(INSN_CSRR(10, 0x600), CAUSE_ILLEGAL, 0,
				    irqs);
	}
}

/* With an interrupt pending and enabled WFI is a nop, whatever SIE says. */
static void wfi_pending(void)
{
	struct probe p;

	/* One that waits would wait for ever. */
	csr_set(sip, IRQ_BIT(IRQ_S_SOFT));
	csr_write(sie, IRQ_BIT(IRQ_S_SOFT));
	for (int i = 0; i < 100; i++)
		check(run_insn(&p, INSN_WFI), "scause %ld", p.scause);
	csr_write(sie, 0);
	csr_clear(sip, IRQ_BIT(IRQ_S_SOFT));
}

static void on_timer(struct hart *h, struct trap_frame *f)
{
	(void)h;
	timer_clear();
	user_data[0] = 1;
	user_data[1] = f->sstatus & SSTATUS_SPP;
	user_data[2] = f->sepc;
}

/* U-mode spins until the handler of a timer interrupt says stop. */
static void user_interrupted(void)
{
	struct probe p;

	for (int i = 0; i < 20; i++) {
		user_data[0] = 0;
		irq_handler(IRQ_S_TIMER, on_timer);
		csr_write(sie, IRQ_BIT(IRQ_S_TIMER));
		code_begin();
		code_add(0x00053583); /* ld a1, 0(a0) */
		code_add(0xfe058ee3); /* beqz a1, -4 */
		code_add(INSN_ECALL);
		timer_set(time_now() + us_to_ticks(100 * (u64)i));
		code_run_user(&p, USER_DATA);
		csr_write(sie, 0);
		irq_handler(IRQ_S_TIMER, NULL);
		check_eq(p.scause, CAUSE_ECALL_U, "scause");
		check_eq(p.x11, 1, "a1");
		check_eq(user_data[1], 0, "SPP in the handler");
		check(user_data[2] - USER_CODE < 12, "sepc 0x%lx",
		      user_data[2]);
	}
}

/* Vectored stvec: interrupts go to base + 4 * cause, exceptions to base. */
extern char vectored_table[];
u64 vectored_hit;
#define NO_ENTRY 99

static void vectored(void)
{
	u64 old = csr_read(stvec);

	vectored_hit = NO_ENTRY;
	csr_write(stvec, (u64)vectored_table | 1);
	csr_write(sie, IRQ_BIT(IRQ_S_SOFT));
	csr_set(sip, IRQ_BIT(IRQ_S_SOFT));
	irq_on();
	irq_off();
	csr_write(sie, 0);
	csr_write(stvec, old);
	csr_clear(sip, IRQ_BIT(IRQ_S_SOFT));
	check_eq(vectored_hit, IRQ_S_SOFT, "table entry");
}

/* None that firmware hands down, as illegal ones that the hart finds: OpenSBI
 * jumps to all of stvec, and QEMU then to an odd address. Without a hypervisor
 * these are handed down, too. */
static void vectored_exceptions(void)
{
	static const struct {
		u32 insn;
		u64 cause, at;
	} insns[] = {
		{0x00053503, CAUSE_LOAD_ACCESS, HOLE}, /* ld a0, 0(a0) */
		{0x00b53023, CAUSE_STORE_ACCESS, HOLE}, /* sd a1, 0(a0) */
		{INSN_CSRR(10, 0x680), CAUSE_ILLEGAL, 0}, /* hgatp */
	};
	u64 old = csr_read(stvec);

	if (!machine.rouse) {
		test_skip("OpenSBI takes stvec's mode for its address");
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(insns) - isa_has("h"); i++) {
		vectored_hit = NO_ENTRY;
		csr_write(stvec, (u64)vectored_table | 1);
		access_insn(insns[i].insn, insns[i].cause, insns[i].at, false);
		csr_write(stvec, old);
		check_eq(vectored_hit, 0, "table entry");
	}
}

/* The table: entry n leaves n in vectored_hit; then it is a trap as ever. */
#define EACH_ENTRY ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
__asm__(".pushsection .text\n"
	".balign 256\n"
	"vectored_table:\n"
	".option push\n"
	".option norvc\n"
	EACH_ENTRY
	"	j	.Lvectored_\\n\n"
	".endr\n"
	".option pop\n"
	EACH_ENTRY
	".Lvectored_\\n:\n"
	"	addi	sp, sp, -16\n"
	"	sd	t0, 0(sp)\n"
	"	li	t0, \\n\n"
	"	j	1f\n"
	".endr\n"
	"1:	sd	t1, 8(sp)\n"
	"	la	t1, vectored_hit\n"
	"	sd	t0, 0(t1)\n"
	"	ld	t0, 0(sp)\n"
	"	ld	t1, 8(sp)\n"
	"	addi	sp, sp, 16\n"
	"	j	trap_vector\n"
	".popsection\n");

const struct test trap_tests[] = {
	{"trap_illegal_instruction_with_interrupts_off", illegal_off},
	{"trap_illegal_instruction_with_interrupts_on", illegal_on},
	{"trap_illegal_compressed_instruction", illegal_compressed},
	{"trap_ebreak", ebreak},
	{"trap_ecall_from_user_mode", user_ecall},
	{"trap_user_mode_may_not_what_supervisors_may", user_illegal},
	{"trap_supervisors_may_not_what_is_above_them", supervisor_illegal},
	{"trap_reflected_by_a_hypervisor_looks_like_any", reflected},
	{"trap_wfi_with_a_pending_interrupt_returns", wfi_pending},
	{"trap_user_mode_is_interrupted_and_goes_on", user_interrupted},
	{"trap_vectored_interrupts", vectored},
	{"trap_vectored_exceptions_go_to_the_base", vectored_exceptions},
};
TEST_LIST(trap_tests, trap_test_count);
