/*
 * No stale translation survives a fence: harts with shadow TLBs that keep what
 * they cached for as long as the architecture lets them.
 *
 * A random walk over what CPUs do, in steps as small as the functions that
 * order them: vCPUs of one guest are loaded, begin a turn, look, enter, access
 * memory, are rung (and exit some time later), leave, wait, move. When a
 * guest's fence is over (the call returned to the guest, or the wait ended),
 * every vCPU that it named must never again see what was there before it was
 * called. A vCPU that waits goes on only when it is told, so a lost wake shows
 * as one that is left over.
 */
/* sources: SBI tests/unit/fake_vsbi.c tests/unit/fake_trace.c */
#include "tests/unit/fake_vsbi.h"

#include "arch/riscv/vhw.h"

/* A request takes several turns, or one, and of those who wait for it some are
 * told at once. */
static u32 batch, wakes;
#define BATCH batch
#define WAKES_AT_ONCE wakes
#include "arch/riscv/vfence.c"
#include "arch/riscv/vfence_due.c"

#define HARTS 3
#define VCPUS 5
#define ASIDS 3
#define PAGES 6
#define NONE UINT32_MAX

enum where { OUT, BEGUN, INSIDE, ENDING, WAITS, IN_PLACE };

struct model_hart {
	char cpu; /* its address stands for a struct cpu */
	u32 tlb[ASIDS][PAGES]; /* 0: nothing cached */
	u32 icache;
	u32 vcpu_last;  /* whose entries these are */
	u32 vcpu;       /* loaded now, or NONE */
};

/* What a vCPU must see at least. */
struct model_floor {
	u32 page[ASIDS][PAGES];
	u32 code;
};

static struct model_hart hart[HARTS], *here;
static struct model_floor floors[VCPUS], promised[VCPUS];
static u32 promised_to[VCPUS]; /* mask of the fence that vCPU n waits for */
static u32 pt[ASIDS][PAGES], code;
static enum where where[VCPUS];
static u32 hart_of[VCPUS], hart_last[VCPUS];
static u64 rng;
static u64 waits, fences_over, in_place, told_later;
static u32 caller; /* who made the call that is being handled */
static u32 calls; /* vCPUs that wait in place, one in the other's time */

static u32 rnd(u32 below)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (u32)(rng >> 33) % below;
}

/* ---- The hart's fences ---- */

static void drop(u32 asid, u32 page)
{
	for (u32 a = 0; a < ASIDS; a++)
		for (u32 p = 0; p < PAGES; p++)
			if ((asid == NONE || a == asid) &&
			    (page == NONE || p == page))
				here->tlb[a][p] = 0;
}

void vhw_hfence_all(void)
{
	drop(NONE, NONE);
}

void vhw_hfence_va(u64 va)
{
	drop(NONE, (u32)(va >> PAGE_SHIFT));
}

void vhw_hfence_asid(u64 asid)
{
	drop((u32)asid, NONE);
}

void vhw_hfence_va_asid(u64 va, u64 asid)
{
	drop((u32)asid, (u32)(va >> PAGE_SHIFT));
}

void vhw_fence_i(void)
{
	here->icache = 0;
}

void virq_raise(struct vcpu *v, u32 bits)
{
	v->virq |= bits;
}

/* ---- The guest's task ---- */

static void step_task(void)
{
	if (!w.rests || rnd(4))
		return;
	told_later++;
	w.rests = arch_guest_tell_rest(&w.guest);
}

/* ---- The guest's steps ---- */

static void access_check(u32 n)
{
	u32 a = rnd(ASIDS), p = rnd(PAGES);

	if (!here->tlb[a][p])
		here->tlb[a][p] = pt[a][p];
	if (!here->icache)
		here->icache = code;
	assert_true(here->tlb[a][p] >= floors[n].page[a][p]);
	assert_true(here->icache >= floors[n].code);
}

static void floors_keep(u32 n)
{
	for (u32 t = 0; t < VCPUS; t++) {
		if (!(promised_to[n] >> t & 1))
			continue;
		for (u32 a = 0; a < ASIDS; a++)
			for (u32 p = 0; p < PAGES; p++)
				floors[t].page[a][p] =
					MAX(floors[t].page[a][p],
					    promised[n].page[a][p]);
		floors[t].code = MAX(floors[t].code, promised[n].code);
	}
	fences_over++;
}

/* Changes something, and asks that everyone in a mask see it. */
static void change_and_fence(u32 n)
{
	struct riscv_vcpu *v = fake_vcpu(n);
	u32 fid = rnd(3), asid = rnd(ASIDS), first = rnd(PAGES);
	u32 pages = rnd(3) ? 1 + rnd(PAGES - first) : 0, mask = rnd(1 << VCPUS);
	enum exit_next next;

	memset(&promised[n], 0, sizeof(promised[n]));
	promised_to[n] = mask;
	if (fid == 0)
		promised[n].code = ++code;
	for (u32 a = 0; fid && a < ASIDS; a++)
		for (u32 p = 0; p < PAGES; p++)
			if ((fid == 1 || a == asid) &&
			    (!pages || (p >= first && p < first + pages)))
				promised[n].page[a][p] = ++pt[a][p];
	v->x[REG_A7] = VSBI_EID_RFENCE;
	v->x[REG_A6] = fid;
	v->x[REG_A0] = mask;
	v->x[REG_A1] = 0;
	v->x[REG_A2] = pages ? first * PAGE_BYTES : 0;
	v->x[REG_A3] = pages * PAGE_BYTES;
	v->x[REG_A4] = asid;
	caller = n;
	next = vsbi_call(v);
	where[n] = INSIDE;
	assert_int_equal(v->x[REG_A0], 0);
	if (next == NEXT_ADVANCE) {
		floors_keep(n);
	} else {
		assert_int_equal(next, NEXT_BLOCK);
		where[n] = ENDING;
		waits++;
	}
}

/* ---- The CPU's steps ---- */

/* As vmid_enter does it (arch/riscv/vmid.h). */
static void load(u32 n, u32 h)
{
	here = &hart[h];
	hart_of[n] = h;
	here->vcpu = n;
	fake_vcpu(n)->host = (struct cpu *)&here->cpu;
	if (here->vcpu_last != n || hart_last[n] != h)
		drop(NONE, NONE);
	here->vcpu_last = n;
	hart_last[n] = h;
}

static void unload(u32 n, enum where to)
{
	hart[hart_of[n]].vcpu = NONE;
	where[n] = to;
}

static void virq_flush(u32 n)
{
	struct riscv_vcpu *v = fake_vcpu(n);
	u32 bits = v->v.virq;

	v->v.virq = 0;
	if (bits & VIRQ_FENCE)
		vfence_before_entry(v);
}

static void step_out(u32 n)
{
	u32 h = rnd(HARTS);

	if (hart[h].vcpu != NONE)
		return;
	load(n, h);
	where[n] = ENDING;
	if (!vsbi_run_begin(fake_vcpu(n)))
		return;
	where[n] = BEGUN;
	if (promised_to[n]) {
		floors_keep(n);
		promised_to[n] = 0;
	}
}

static void step_inside(u32 n, bool quiet)
{
	/* It was rung, but bells take their time: an exit, and in again. */
	if (fake_vcpu(n)->v.virq && rnd(3) == 0) {
		virq_flush(n);
		return;
	}
	switch (rnd(8)) {
	case 0:
		/* In the end some never leave, */
		if (!quiet || n > 1)
			where[n] = ENDING;
		break;
	case 1:
		if (!quiet) {
			change_and_fence(n);
			if (where[n] == INSIDE)
				promised_to[n] = 0;
		}
		break;
	default:
		access_check(n);
	}
}

static void step(u32 n, bool quiet)
{
	struct riscv_vcpu *v = fake_vcpu(n);

	step_task();
	here = &hart[hart_of[n]];
	switch (where[n]) {
	case OUT:
		/* and the others never come back. */
		if (!quiet && rnd(8) == 0)
			step_out(n);
		break;
	case BEGUN:
		virq_flush(n);
		where[n] = INSIDE;
		break;
	case INSIDE:
		step_inside(n, quiet);
		break;
	case ENDING:
		vfence_run_end(v);
		unload(n, vfence_waits(v) ? WAITS : OUT);
		break;
	case WAITS:
		if (v->v.virq & VIRQ_FENCED)
			step_out(n);
		break;
	case IN_PLACE:
		fail();
	}
}

/*
 * The caller waits in place, and the others go on meanwhile, some of them into
 * a wait of their own. Mail, or a timer, may come before the answer.
 */
bool vhw_bell_wait(void)
{
	struct model_hart *mine = here;
	u32 n = caller, steps = rnd(60);
	bool rung;

	if (calls == VCPUS - 1)
		return false;
	calls++;
	where[n] = IN_PLACE;
	for (u32 i = 0; i < steps; i++) {
		u32 other = rnd(VCPUS);

		if (where[other] != IN_PLACE)
			step(other, false);
	}
	calls--;
	here = mine;
	caller = n;
	rung = fake_vcpu(n)->v.virq & VIRQ_FENCED;
	in_place += rung;
	return rung;
}

static void walk(u64 seed)
{
	fake_world_init(VCPUS);
	rng = seed;
	batch = 1 + rnd(rnd(2) ? VCPUS + 1 : 4 * VCPUS);
	wakes = rnd(4) ? 1 : VCPUS;
	code = 1;
	memset(hart, 0, sizeof(hart));
	memset(floors, 0, sizeof(floors));
	memset(promised_to, 0, sizeof(promised_to));
	for (u32 h = 0; h < HARTS; h++)
		hart[h].vcpu = hart[h].vcpu_last = NONE;
	for (u32 i = 0; i < ASIDS * PAGES; i++)
		pt[i / PAGES][i % PAGES] = 1;
	for (u32 n = 0; n < VCPUS; n++) {
		where[n] = OUT;
		hart_last[n] = NONE;
		hart_of[n] = 0;
		fake_started(n, VCPU_RUNNING);
		fake_vcpu(n)->fence.live = 0;
		fake_vcpu(n)->fence.cpu = NULL;
	}
	for (u32 i = 0; i < 20000; i++)
		step(rnd(VCPUS), false);
	for (u32 i = 0; i < 5000; i++)
		step(rnd(VCPUS), true);
	for (u32 n = 0; n < VCPUS; n++)
		assert_int_not_equal(where[n], WAITS);
}

static void nothing_stale_is_seen_and_nobody_is_left_waiting(void **state)
{
	(void)state;
	here = &hart[0];
	waits = fences_over = in_place = told_later = 0;
	for (u64 seed = 1; seed <= 40; seed++)
		walk(seed * 0x9e3779b97f4a7c15ULL);
	/* The walk went where the danger is. */
	assert_true(waits > 1000);
	assert_true(in_place > 1000);
	assert_true(told_later > 100);
	assert_true(fences_over > 10000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			nothing_stale_is_seen_and_nobody_is_left_waiting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
