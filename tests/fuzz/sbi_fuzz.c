/*
 * SBI calls: several harts of a guest, each on a CPU of its own, that make
 * calls with whatever registers, run and wait as the run loop has them, and
 * reset their guest. The extensions are those of vsbi.c's table; ids of all
 * that the specification has are tried, so a new one is met without a word
 * here. Other harts may write to the memory that a call reads while it does:
 * what it reads twice can be two things.
 *
 * Whatever is called: the answer is one of the specification's, no register but
 * a0 and a1 changes, the harts that are on are counted right, a probe says what
 * a call finds, no hart waits for ever for the fences of others, software
 * events that would be delivered are told of, global ones run on one hart, and
 * a hart's triggers are its vCPU's and fire in guests alone.
 */
/* sources: SBI FENCES tests/unit/fake_vsbi.c
 *	tests/unit/fake_trace.c */
#include "kernel/arch.h"
#include "tests/unit/fake_vsbi.h"

#include "arch/riscv/isa.h"
#include "kernel/time.h"
#include "tests/fuzz/fuzz.h"

#define HARTS_MAX  130u
#define STEPS_MAX  2000
#define ROUNDS_MAX 1000

/* Errors that SBI 3.0 has: 0 to -14. */
#define ERROR_LAST -14

static struct fake_hart harts[HARTS_MAX];
static struct vdbtr_trigger trigger_memory[HARTS_MAX][3];
static u32 count;
static bool mostly_events, mostly_masks;

/* One of a vCPU's CPU is before us: its registers are the hart's. */
static struct riscv_vcpu *hart_take(u32 n)
{
	struct riscv_vcpu *v = fake_vcpu(n);

	w.hart = harts[n];
	w.cpu.loaded = v->v.state == VCPU_RUNNING ? v : NULL;
	return v;
}

static void hart_put(u32 n)
{
	harts[n] = w.hart;
}

/* ---- the scheduler and the loop, as far as a vCPU sees of them ---- */

void virq_raise(struct vcpu *v, u32 bits)
{
	v->virq |= bits;
	if (v->state == VCPU_BLOCKED)
		v->state = VCPU_QUEUED;
}

static bool ready(const struct riscv_vcpu *v)
{
	if (vfence_waits(v))
		return v->v.virq & VIRQ_FENCED;
	return v->v.virq != 0;
}

static void leave(u32 n, enum vcpu_state state)
{
	struct riscv_vcpu *v = fake_vcpu(n);

	vfence_run_end(v);
	if (v->hcounteren & VCPU_SAVE_RARE)
		vsbi_features_unload(v);
	MUST(w.hart.triggers_count == 0);
	MUST(!(w.hart.henvcfg & VCPU_HENVCFG_OURS));
	if (state == VCPU_BLOCKED) {
		v->v.state = VCPU_BLOCKING;
		state = ready(v) ? VCPU_QUEUED : VCPU_BLOCKED;
	}
	if (state == VCPU_QUEUED && v->v.waits)
		v->v.waits(&v->v, true);
	vtimer_save(v);
	w.cpu.loaded = NULL;
	v->v.state = state;
}

/* What is raised is looked at on the way into the guest. */
static void flush(struct riscv_vcpu *v)
{
	u32 bits = v->v.virq;

	v->v.virq = 0;
	if (bits & VIRQ_FENCE)
		vfence_before_entry(v);
	if (bits & VIRQ_SSE)
		vsse_deliver(v);
}

static void enter(u32 n)
{
	struct riscv_vcpu *v = hart_take(n);

	v->v.state = VCPU_RUNNING;
	w.cpu.loaded = v;
	vtimer_load(v);
	if (w.hart.henvcfg != v->henvcfg)
		vsbi_features_load(v);
	v->v.sched.ticks[RUNSTATE_RUNNABLE] += w.now_ticks & 0xff;
	if (v->v.waits)
		v->v.waits(&v->v, false);
	if (!vsbi_run_begin(v)) {
		leave(n, vfence_waits(v) ? VCPU_BLOCKED : VCPU_QUEUED);
	} else {
		flush(v);
	}
	hart_put(n);
}

static void reset_guest(void)
{
	for (u32 i = 0; i < count; i++) {
		struct vcpu *v = &fake_vcpu(i)->v;

		if (v->state == VCPU_RUNNING) {
			(void)hart_take(i);
			leave(i, VCPU_OFF);
			hart_put(i);
		}
		v->state = VCPU_OFF;
		v->virq = 0;
	}
	fake_guest_reset();
	w.ends = 0;
	fake_started(0, VCPU_QUEUED);
}

/* ---- what must be true ---- */

static u32 asked(u32 n)
{
	return fake_vcpu(n)->hsm_state & ((1u << VHSM_ASKED_BITS) - 1);
}

static void harts_check(void)
{
	u32 on = 0;

	for (u32 i = 0; i < count; i++) {
		u32 status = vsbi_hsm_status(fake_vcpu(i));

		MUST(status <= VHSM_RESUME_PENDING);
		if (fake_vcpu(i)->v.state == VCPU_OFF)
			MUST(status == VHSM_STOPPED);
		else
			MUST(status != VHSM_STOPPED);
		on += asked(i) != VHSM_STOPPED && asked(i) != VHSM_STOP_PENDING;
	}
	MUST(w.arch.harts_on == on);
	MUST(on || w.ends);
}

static struct vsse_event *event_of(struct riscv_vcpu *v, u32 i)
{
	return vsse_global(i) ? &w.arch.sse.event[i / 2] : &v->sse.local[i / 2];
}

static bool unmasked(u32 n)
{
	return fake_vcpu(n)->sse.ready & VSSE_UNMASKED;
}

/* The hart that a global event goes to, or `count`. */
static u32 hart_of(u32 i)
{
	u32 n = w.arch.sse.event[i / 2].hart;

	if (unmasked(n))
		return n;
	for (n = 0; n < count && !unmasked(n); n++)
		;
	return n;
}

/* Of those that vCPU n would be given, the most urgent; VSSE_EVENTS: none. */
static u32 event_due(u32 n, u32 set)
{
	struct riscv_vcpu *v = fake_vcpu(n);
	u32 best = VSSE_EVENTS;

	for (u32 i = 0; i < VSSE_EVENTS; i++)
		if ((set >> i & 1) &&
		    (best == VSSE_EVENTS ||
		     event_of(v, i)->priority < event_of(v, best)->priority))
			best = i;
	return best;
}

static void events_check(void)
{
	u32 globals = w.arch.sse.pending & w.arch.sse.enabled, on = 0;

	MUST(!w.arch.sse.busy);
	for (u32 n = 0; n < count; n++) {
		struct riscv_vcpu *v = fake_vcpu(n);
		u32 running = v->sse.running, set, i;

		if (v->v.state == VCPU_OFF) {
			MUST(!unmasked(n) && !(running & VSSE_GLOBALS));
			continue;
		}
		MUST(!(on & running & VSSE_GLOBALS));
		on |= running & VSSE_GLOBALS;
		for (i = 0; i < VSSE_EVENTS; i++)
			if (running >> i & 1)
				MUST(event_of(v, i)->state == VSSE_RUNNING);
		set = v->sse.pending & v->sse.ready;
		for (i = 0; i < VSSE_EVENTS; i++)
			if ((globals >> i & 1) && hart_of(i) == n)
				set |= 1u << i;
		i = event_due(n, set | running);
		if (set >> i & 1)
			MUST(v->v.virq & VIRQ_SSE);
	}
	for (u32 i = 1; i < VSSE_EVENTS; i += 2)
		MUST((event_of(NULL, i)->state == VSSE_RUNNING) ==
		     (on >> i & 1));
}

static void triggers_check(void)
{
	for (u32 i = 0; i < w.hart.triggers_count; i++)
		MUST(!(w.hart.triggers[i].control &
		       (MC6_DMODE | MC6_M | MC6_S | MC6_U)));
}

static void answer_check(u64 eid, u64 probed, const struct riscv_vcpu *v)
{
	s64 error = (s64)v->x[10];

	if (eid == VSBI_LEGACY_GETCHAR) {
		MUST(error >= -1 && error <= 255);
		return;
	}
	if (eid == VSBI_LEGACY_CLEAR_IPI) {
		MUST(error == 0 || error == 1);
		return;
	}
	MUST(error <= 0 && error >= ERROR_LAST);
	if (!probed)
		MUST(error == VSBI_NOT_SUPPORTED);
	if (eid >= VSBI_EID_BASE && error == VSBI_NOT_SUPPORTED)
		MUST(v->x[11] == 0);
}

/* ---- calls ---- */

static const u64 eids[] = {
	VSBI_EID_BASE, VSBI_EID_TIME, VSBI_EID_IPI,  VSBI_EID_RFENCE,
	VSBI_EID_HSM,  VSBI_EID_SRST, VSBI_EID_DBCN, VSBI_EID_STA,
	VSBI_EID_PMU,  VSBI_EID_SUSP, VSBI_EID_FWFT, VSBI_EID_SSE,
	VSBI_EID_DBTR, 0x4d505859, /* MPXY */
	0x43505043,		   /* CPPC */
	0x4e41434c,		   /* NACL */
};

static u64 eid_take(struct fuzz_in *in)
{
	u32 n = fuzz_below(in, 64);

	/* Their states take many calls to come to. */
	if (mostly_events && n & 3)
		return VSBI_EID_SSE;
	if (mostly_masks && n & 3)
		return VSBI_LEGACY_SEND_IPI + (n >> 2 & 3);
	if (n == 0)
		return fuzz_take(in, 8);
	return n < 16 ? n - 1 : eids[n % ARRAY_LEN(eids)];
}

/* Most extensions have few. */
static u64 fid_take(struct fuzz_in *in)
{
	u32 n = fuzz_below(in, 64);

	if (n == 63)
		return fuzz_take(in, 8);
	return n < 15 ? n & 3 : n % 12;
}

static u64 arg_take(struct fuzz_in *in)
{
	u64 near = FAKE_RAM_BASE;

	switch (fuzz_below(in, 16)) {
	case 0:
		return fuzz_take(in, 8);
	case 1:
		return UINT64_MAX - fuzz_take(in, 1);
	case 2:
		near += FAKE_RAM_BYTES;
		return near + fuzz_take(in, 1) - 128;
	case 3:
		return FAKE_RAM_BASE + fuzz_take(in, 2);
	case 4:
		return ALIGN_DOWN(FAKE_RAM_BASE + fuzz_take(in, 2), PAGE_BYTES);
	case 5:
		return 1ull << fuzz_below(in, 64);
	case 6:
		return UINT64_MAX;
	case 7:
	case 8:
		return fuzz_take(in, 1);
	case 9:
	case 10:
		return fuzz_below(in, 8);
	default:
		return 0;
	}
}

static const u32 events[] = {0, 0x8000, 0x100000, 0xffff0000, 0xffff8000};

/* ---- memory that changes ---- */

static struct fuzz_in *changes; /* what says how; NULL: it stays as it is */

/* Another hart, right behind a read of a call's. */
static void memory_change(void *from, size_t bytes)
{
	u64 word = 0;

	bytes = MIN(bytes, sizeof(word));
	if (!changes || fuzz_below(changes, 2) == 0)
		return;
	memcpy(&word, from, bytes);
	switch (fuzz_below(changes, 4)) {
	case 0:
		word = UINT64_MAX;
		break;
	case 1:
		word = 0;
		break;
	case 2:
		word ^= 1ull << fuzz_below(changes, 64);
		break;
	default:
		word = fuzz_take(changes, 8);
	}
	memcpy(from, &word, bytes);
}

/* The address of a hart mask, which names harts that there are. */
static u64 mask_put(struct fuzz_in *in)
{
	u64 off = 8ull * fuzz_below(in, 4), va = w.va_base + off;
	u8 *to = (u8 *)w.va_words + off;

	if (!w.hart.vsatp) {
		va = FAKE_RAM_BASE + off;
		to = w.ram + off;
	}
	for (u32 base = 0; base < count; base += 64, to += 8) {
		u64 word = fuzz_below(in, 2) ? 1ull << fuzz_below(in, 64)
					     : fuzz_take(in, 8);

		if (count - base < 64)
			word &= (1ull << (count - base)) - 1;
		memcpy(to, &word, sizeof(word));
	}
	return va;
}

static bool takes_a_mask(u64 eid)
{
	return eid >= VSBI_LEGACY_SEND_IPI &&
	       eid <= VSBI_LEGACY_SFENCE_VMA_ASID;
}

/* By chance they never fit each other: what most calls have in common. */
static void args_fit(struct fuzz_in *in, u32 how, u64 *args)
{
	static const u8 values[] = {0, 1, 7, 16};
	u32 n;

	switch (how) {
	case 0: /* a base, a mask, flags, an event, data */
		args[0] = 0;
		args[2] &= 7;
		args[3] = (u64)(args[3] & 64 ? 15 : 0) << 16 | (args[3] & 3);
		args[4] = 0;
		break;
	case 1: /* memory, its upper half, a count or flags */
		args[0] = FAKE_RAM_BASE + 64 * fuzz_take(in, 1);
		args[1] = 0;
		args[2] = fuzz_below(in, 8) & 3;
		args[3] = 0;
		break;
	case 2: /* a number or what to suspend to, an address, nothing */
		n = (u32)fuzz_take(in, 1);
		args[0] = n & 128 ? 1u << 31 : n & 64 ? n & 63 : n & 3;
		args[1] = FAKE_RAM_BASE + 2 * fuzz_take(in, 1);
		args[2] = 0;
		break;
	case 3: /* a feature, its value, a flag */
		args[0] = fuzz_below(in, 8);
		args[1] = values[fuzz_below(in, ARRAY_LEN(values))];
		args[2] = fuzz_below(in, 2);
		break;
	default:
		break;
	}
}

static void args_take(struct fuzz_in *in, u64 eid, u64 *args)
{
	u32 how = fuzz_below(in, 8);

	for (u32 i = 0; i < 6; i++)
		args[i] = arg_take(in);
	args_fit(in, how, args);
	if (eid == VSBI_EID_SSE && how)
		args[0] = events[fuzz_below(in, ARRAY_LEN(events))];
	if (mostly_masks && takes_a_mask(eid) && fuzz_below(in, 8))
		args[0] = mask_put(in);
}

static void after(u32 n, enum exit_next next)
{
	switch (next) {
	case NEXT_ADVANCE:
	case NEXT_RETRY:
		break;
	case NEXT_BLOCK:
		leave(n, VCPU_BLOCKED);
		break;
	case NEXT_YIELD:
	case NEXT_LOOK:
		leave(n, VCPU_QUEUED);
		break;
	case NEXT_OFF:
		leave(n, VCPU_OFF);
		break;
	default:
		MUST(next == NEXT_DEAD);
		MUST(w.ends > 0);
		leave(n, VCPU_OFF);
	}
}

static void call(struct fuzz_in *in, u32 n)
{
	struct riscv_vcpu *v = hart_take(n);
	u64 eid = eid_take(in), before[32], probed;
	u32 starts = w.starts;
	enum exit_next next;

	for (u32 i = 1; i < 32; i++)
		v->x[i] = 0xabc00000 + i;
	args_take(in, eid, v->x + 10);
	v->x[16] = fid_take(in);
	v->x[17] = eid;
	memcpy(before, v->x, sizeof(before));
	w.console_len = 0;
	w.start_result = fuzz_below(in, 8) ? 0 : -EBUSY;
	probed = vsbi_probe(eid);
	changes = mostly_masks ? in : NULL;
	next = vsbi_call(v);
	changes = NULL;
	/* An event that is completed gives back what it has interrupted. */
	if (eid == VSBI_EID_SSE && next == NEXT_RETRY)
		MUST(v->x[10] == before[10] && v->x[11] == before[11]);
	else
		MUST(v->x[16] == before[16] && v->x[17] == before[17]);
	for (u32 i = 1; i < 32; i++)
		if (i != 10 && (i != 11 || eid <= VSBI_EID_LEGACY_LAST) &&
		    i != 16 && i != 17)
			MUST(v->x[i] == before[i]);
	triggers_check();
	if (next == NEXT_ADVANCE)
		answer_check(eid, probed, v);
	if (w.starts != starts && w.start_result == 0)
		w.started->state = VCPU_QUEUED;
	after(n, next);
	hart_put(n);
}

static void time_passes(u64 ticks)
{
	w.now_ticks += ticks;
	w.hart.cycle += ticks;
	for (u32 i = 0; i < count; i++)
		if (fake_vcpu(i)->v.state == VCPU_BLOCKED &&
		    vtimer_passed(fake_vcpu(i)))
			fake_vcpu(i)->v.state = VCPU_QUEUED;
}

/* What else PMU is told of: exceptions, and reads of counters that trap. */
static void trap(struct fuzz_in *in, struct riscv_vcpu *v)
{
	u32 csr = 0xc00 + fuzz_below(in, 4);
	u64 val;

	vpmu_trap(v, fuzz_take(in, 1));
	w.hart.scounteren = fuzz_take(in, 1);
	(void)vpmu_csr_read(v, csr << 20 | 0x2073, w.hart.scounteren & 8, &val);
}

static void step(struct fuzz_in *in)
{
	u32 what = fuzz_below(in, 16),
	    n = fuzz_below(in, (u32)MIN(count, 256u));
	struct riscv_vcpu *v = fake_vcpu(n);

	if (what == 0) {
		time_passes(fuzz_take(in, 2));
	} else if (what == 1) {
		memset(w.ram + fuzz_take(in, 2) % (FAKE_RAM_BYTES - 256),
		       (int)fuzz_take(in, 1), 256);
	} else if (what == 2 && v->v.state != VCPU_OFF) {
		virq_raise(&v->v, VIRQ_EXTERNAL);
	} else if (what == 3 && v->v.state == VCPU_RUNNING) {
		(void)hart_take(n);
		leave(n, VCPU_QUEUED);
		hart_put(n);
	} else if (v->v.state == VCPU_QUEUED) {
		enter(n);
	} else if (what == 4 && v->v.state == VCPU_RUNNING) {
		(void)hart_take(n);
		trap(in, v);
		hart_put(n);
	} else if (v->v.state == VCPU_RUNNING) {
		(void)hart_take(n);
		flush(v);
		hart_put(n);
		call(in, n);
	}
}

/* Harts that wait for fences alone go on, if all others do as the loop does. */
static void fences_end(void)
{
	for (u32 round = 0; round < ROUNDS_MAX; round++) {
		bool waits = false;

		for (u32 i = 0; i < count; i++) {
			struct riscv_vcpu *v = fake_vcpu(i);

			if (v->v.state == VCPU_RUNNING) {
				(void)hart_take(i);
				leave(i, VCPU_QUEUED);
				hart_put(i);
			} else if (v->v.state == VCPU_QUEUED) {
				enter(i);
			}
			waits |= v->v.state != VCPU_OFF &&
				 (vfence_waits(v) || v->call_rest);
		}
		if (!waits)
			return;
		(void)arch_guest_tell_rest(&w.guest);
	}
	MUST(!"a hart waits for ever");
}

static void harts_make(u32 how, u32 n)
{
	count = n;
	fake_world_init(n);
	riscv_has_sstc = how & 1;
	w.hart.henvcfg_has = how & 2 ? UINT64_MAX : 0;
	w.hart.pmlens = 1u << 7 | (how & 1) << 16;
	isa_have[ISA_SSNPM] = true;
	memset(harts, 0, sizeof(harts));
	for (u32 i = 0; i < n; i++) {
		harts[i] = w.hart;
		harts[i].vstimecmp = TIME_NEVER;
	}
	fwft_harts_have = UINT32_MAX;
	fwft_probe(0);
	triggers_count = how & 32 ? 0 : ARRAY_LEN(trigger_memory[0]);
	triggers_sizes = how;
	mostly_events = how & 64;
	mostly_masks = how & 128;
	w.after_read = memory_change;
	for (u32 i = 0; i < n && triggers_count; i++) {
		fake_vcpu(i)->dbtr.trigger = trigger_memory[i];
		vdbtr_reset(fake_vcpu(i));
	}
	/* Half of them translate addresses. */
	for (u32 i = 1; i < n && mostly_masks; i += 2)
		harts[i].vsatp = 8ull << 60;
	/* Half of them run from the start. */
	for (u32 i = 1; i < n && how & 4; i += 2)
		fake_started(i, VCPU_QUEUED);
	w.typed = "typed";
	w.va_base = 0x1000;
	w.va_len = ARRAY_LEN(w.va_words);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes)
{
	/* Masks of several words, the last of which is not full. */
	static const u32 counts[] = {1, 2, 4, HARTS_MAX},
			 many[] = {65, 100, 129, HARTS_MAX};
	struct fuzz_in in = {data, bytes};
	u32 how = (u32)fuzz_take(&in, 1);
	bool look;

	harts_make(how, (how & 128 ? many : counts)[how >> 3 & 3]);
	w.va_words[0] = w.va_words[1] = fuzz_take(&in, 8);
	for (u32 i = 0; in.left && i < STEPS_MAX; i++) {
		step(&in);
		/* Of many harts each look takes as long as a hundred steps. */
		look = count <= 4 || i % 16 == 0 || !in.left;
		if (look || w.ends)
			harts_check();
		if (w.ends)
			reset_guest();
		else if (look)
			events_check();
	}
	fences_end();
	return 0;
}
