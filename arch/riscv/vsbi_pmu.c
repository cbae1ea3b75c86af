/*
 * PMU (chapter 11): the calls. What counts, and how, is in vpmu.c.
 *
 * Two hardware counters, cycle and instret, if harts have them, and as many
 * firmware counters as make 32 ids; so each firmware event can have one, and
 * some more than one.
 *
 * The filter flags are hints (section 11.8), and ignored. There are no overflow
 * interrupts: they need Sscofpmf for guests.
 *
 * A set with a counter that doesn't exist is refused whole. If some of a set
 * are started (stopped) already, the others are, and the answer says so.
 *
 * A guest may ask about as many events as its memory holds. Whether there is an
 * event is told by its number alone, some 25 instructions each, and a turn does
 * what lies in one page (vsbi_go_on). Rejected: to end the turn with the call
 * still to be made, and to go on when it is made again. Whether it is the same
 * call can't be told: an interrupt's handler may make another one in between,
 * with the same arguments, and one that is never made again leaves its place to
 * whatever comes later.
 */
#include "arch/riscv/vsbi.h"

#include <string.h>

#include "arch/riscv/csr.h"

/* event_idx (section 11.1 to 11.5): a type of 4 bits, and a code. */
#define EVENT(type, code) ((u64)(type) << 16 | (code))
#define EVENT_TYPE(event) ((event) >> 16)
#define TYPE_RAW 2 /* from here on with data */
#define TYPE_FW 15
#define EVENT_CYCLES EVENT(0, 1)
#define EVENT_INSTRUCTIONS EVENT(0, 2)

#define CONFIG_SKIP_MATCH (1u << 0)
#define CONFIG_CLEAR_VALUE (1u << 1)
#define CONFIG_AUTO_START (1u << 2)
#define CONFIG_KNOWN 0xff /* with the filters */
#define START_SET_VALUE (1u << 0)
#define START_SNAPSHOT (1u << 1)
#define STOP_RESET (1u << 0)
#define STOP_SNAPSHOT (1u << 1)

#define INFO_FIRMWARE (1UL << 63)
#define INFO_WIDTH_64 (63UL << 12)

/* Table "SBI PMU Snapshot shared memory layout". */
struct vpmu_snapshot {
	u64 overflows; /* 0 */
	u64 values[64];
	u8 reserved[3576];
};

/* Table "Event info entry format". */
struct event_info {
	u32 event, output;
	u64 data;
};

/* The counters that can count this event: none if there is no such event. */
static u32 counters_for(u64 event, u64 data)
{
	if (data != 0)
		return 0;
	if (event == EVENT_CYCLES)
		return vpmu_ids() & 1u << VPMU_CYCLE;
	if (event == EVENT_INSTRUCTIONS)
		return vpmu_ids() & 1u << VPMU_INSTRET;
	return event - EVENT(TYPE_FW, 0) < VPMU_EVENTS ?
		       VPMU_FW_IDS : 0;
}

/* A set of counters: false if one doesn't exist. None of an empty one does not,
 * wherever it begins. */
static bool set_get(const struct riscv_vcpu *v, u32 *set)
{
	u64 base = reg_get(v, REG_A0), mask = reg_get(v, REG_A1);

	*set = 0;
	if (!mask)
		return true;
	if (base >= VPMU_COUNTERS || mask >> (VPMU_COUNTERS - base))
		return false;
	*set = (u32)(mask << base);
	return !(*set & ~vpmu_ids());
}

static u32 set_first(u32 set)
{
	return (u32)__builtin_ctz(set);
}

/* ---- The functions ---- */

/* Section 11.7. */
static enum exit_next counter_info(struct riscv_vcpu *v)
{
	u64 id = reg_get(v, REG_A0);

	if (id >= VPMU_COUNTERS || !(vpmu_ids() >> id & 1))
		return vsbi_return(v, VSBI_INVALID_PARAM, 0);
	return vsbi_return(v, VSBI_OK, vpmu_is_hw((u32)id) ?
			   (CSR_CYCLE + id) | INFO_WIDTH_64 :
			   INFO_FIRMWARE | INFO_WIDTH_64);
}

/* The counter for an event, or VPMU_COUNTERS: one that has no event yet, else
 * one that is stopped. */
static u32 match(const struct riscv_vcpu *v, u32 set, u64 event, u64 data)
{
	u32 second = VPMU_COUNTERS;

	set &= counters_for(event, data) & ~v->pmu.started;
	for (; set; set &= set - 1) {
		u32 id = set_first(set);

		if (!v->pmu.counter[id].event)
			return id;
		if (second == VPMU_COUNTERS)
			second = id;
	}
	return second;
}

/* Section 11.8. */
static enum exit_next config_matching(struct riscv_vcpu *v)
{
	u64 flags = reg_get(v, REG_A2), event = reg_get(v, REG_A3);
	u64 data = reg_get(v, REG_A4);
	u32 set, id;

	if (!set_get(v, &set) || flags & ~(u64)CONFIG_KNOWN)
		return vsbi_return(v, VSBI_INVALID_PARAM, 0);
	if (flags & CONFIG_SKIP_MATCH)
		set &= -set;
	id = match(v, set, event, data);
	if (id == VPMU_COUNTERS)
		return vsbi_return(v, VSBI_NOT_SUPPORTED, 0);
	v->pmu.counter[id].event = (u32)event;
	if (flags & CONFIG_CLEAR_VALUE)
		v->pmu.counter[id].value = 0;
	vpmu_hw_apply(v);
	if (flags & CONFIG_AUTO_START)
		vpmu_start(v, id);
	vpmu_fw_apply(v);
	return vsbi_return(v, VSBI_OK, id);
}

/* Section 11.9. One without an event has nothing to start. */
static enum exit_next start(struct riscv_vcpu *v)
{
	u64 base = reg_get(v, REG_A0), flags = reg_get(v, REG_A2);
	const struct vpmu_snapshot *from = v->pmu.snapshot;
	u32 set, already;

	if (!set_get(v, &set) || flags > START_SNAPSHOT)
		return vsbi_return(v, VSBI_INVALID_PARAM, 0);
	if (flags == START_SNAPSHOT && !from)
		return vsbi_return(v, VSBI_NO_SHMEM, 0);
	for (u32 m = set; m; m &= m - 1)
		if (!v->pmu.counter[set_first(m)].event)
			return vsbi_return(v, VSBI_INVALID_PARAM, 0);
	already = set & v->pmu.started;
	for (u32 m = set & ~already; m; m &= m - 1) {
		u32 id = set_first(m);

		if (flags == START_SET_VALUE)
			v->pmu.counter[id].value = reg_get(v, REG_A3);
		else if (flags == START_SNAPSHOT)
			v->pmu.counter[id].value =
				ck_pr_load_64(&from->values[id - base]);
		vpmu_start(v, id);
	}
	vpmu_fw_apply(v);
	return vsbi_return(v, already ? VSBI_ALREADY_STARTED : VSBI_OK, 0);
}

/* Section 11.10. */
static enum exit_next stop(struct riscv_vcpu *v)
{
	u64 base = reg_get(v, REG_A0), flags = reg_get(v, REG_A2);
	struct vpmu_snapshot *to = v->pmu.snapshot;
	u32 set, already;

	if (!set_get(v, &set) || flags & ~(u64)(STOP_RESET | STOP_SNAPSHOT))
		return vsbi_return(v, VSBI_INVALID_PARAM, 0);
	if ((flags & STOP_SNAPSHOT) && !to)
		return vsbi_return(v, VSBI_NO_SHMEM, 0);
	already = set & ~v->pmu.started;
	for (u32 m = set; m; m &= m - 1) {
		u32 id = set_first(m);

		vpmu_stop(v, id);
		if (flags & STOP_SNAPSHOT)
			ck_pr_store_64(&to->values[id - base],
				       v->pmu.counter[id].value);
		if (flags & STOP_RESET)
			v->pmu.counter[id].event = 0;
	}
	if (flags & STOP_SNAPSHOT)
		ck_pr_store_64(&to->overflows, 0);
	vpmu_hw_apply(v);
	vpmu_fw_apply(v);
	return vsbi_return(v, already ? VSBI_ALREADY_STOPPED : VSBI_OK, 0);
}

/* Sections 11.11 and 11.12; `high`: the upper half on 32-bit harts, so 0. */
static enum exit_next fw_read(struct riscv_vcpu *v, bool high)
{
	u64 id = reg_get(v, REG_A0);

	if (id >= VPMU_COUNTERS || id < VPMU_FW_FIRST)
		return vsbi_return(v, VSBI_INVALID_PARAM, 0);
	return vsbi_return(v, VSBI_OK, high ? 0 : vpmu_value(v, (u32)id));
}

/* Section 11.13. */
static enum exit_next set_shmem(struct riscv_vcpu *v)
{
	u64 lo = reg_get(v, REG_A0), hi = reg_get(v, REG_A1);
	struct vpmu_snapshot *page = NULL;

	if (reg_get(v, REG_A2) != 0)
		return vsbi_return(v, VSBI_INVALID_PARAM, 0);
	if (!vsbi_no_shmem(lo, hi)) {
		if (lo % PAGE_BYTES)
			return vsbi_return(v, VSBI_INVALID_PARAM, 0);
		page = vsbi_shmem(v, lo, hi, sizeof(*page));
		if (!page)
			return vsbi_return(v, VSBI_INVALID_ADDRESS, 0);
	}
	v->pmu.snapshot = page;
	return vsbi_return(v, VSBI_OK, 0);
}

/* Fills one entry in. False: reserved bits of its index are set. A type that
 * there isn't has none of these: its events are not supported. */
static bool event_info(struct event_info *e)
{
	u32 event = ck_pr_load_32(&e->event), type = EVENT_TYPE(event);
	u64 data = type >= TYPE_RAW ? ck_pr_load_64(&e->data) : 0;

	if (type > TYPE_FW)
		return false;
	ck_pr_store_32(&e->output, counters_for(event, data) != 0);
	return true;
}

/* The entries of the next page. */
static bool info_rest(struct riscv_vcpu *v)
{
	struct vpmu *p = &v->pmu;
	u64 bytes = MIN(p->info_left * sizeof(struct event_info),
			PAGE_BYTES - p->info_at % PAGE_BYTES);
	struct event_info *e = vsbi_shmem(v, p->info_at, 0, bytes);

	if (!e) {
		vsbi_return(v, VSBI_FAILED, 0);
		return true;
	}
	p->info_at += bytes;
	p->info_left -= bytes / sizeof(*e);
	for (; bytes; bytes -= sizeof(*e), e++) {
		if (!event_info(e)) {
			vsbi_return(v, VSBI_INVALID_PARAM, 0);
			return true;
		}
	}
	return p->info_left == 0;
}

/* Section 11.14. */
static enum exit_next event_get_info(struct riscv_vcpu *v)
{
	u64 lo = reg_get(v, REG_A0), count = reg_get(v, REG_A2);

	if (reg_get(v, REG_A3) != 0 || lo % sizeof(struct event_info))
		return vsbi_return(v, VSBI_INVALID_PARAM, 0);
	if (count > v->v.guest->cfg.memory_bytes / sizeof(struct event_info) ||
	    !vsbi_in_ram(v->v.guest, lo, reg_get(v, REG_A1),
			 count * sizeof(struct event_info)))
		return vsbi_return(v, VSBI_INVALID_ADDRESS, 0);
	vsbi_return(v, VSBI_OK, 0);
	if (!count)
		return NEXT_ADVANCE;
	v->pmu.info_at = lo;
	v->pmu.info_left = count;
	return vsbi_go_on(v, info_rest);
}

/* ---- Life ---- */

void vsbi_pmu_reset(struct riscv_vcpu *v)
{
	struct vpmu *p = &v->pmu;

	ck_pr_store_32(&p->fw_on, 0);
	v->hcounteren = VSBI_COUNTEREN_ALL;
	p->started = p->hw_used = 0;
	p->live = false;
	p->snapshot = NULL;
	memset(p->counter, 0, sizeof(p->counter));
}

static enum exit_next pmu_call(struct riscv_vcpu *v, u64 fid)
{
	switch (fid) {
	case VSBI_PMU_NUM_COUNTERS: /* section 11.6 */
		return vsbi_return(v, VSBI_OK, VPMU_COUNTERS);
	case VSBI_PMU_COUNTER_INFO:
		return counter_info(v);
	case VSBI_PMU_CONFIG_MATCHING:
		return config_matching(v);
	case VSBI_PMU_START:
		return start(v);
	case VSBI_PMU_STOP:
		return stop(v);
	case VSBI_PMU_FW_READ:
	case VSBI_PMU_FW_READ_HI:
		return fw_read(v, fid == VSBI_PMU_FW_READ_HI);
	case VSBI_PMU_SET_SHMEM:
		return set_shmem(v);
	case VSBI_PMU_EVENT_INFO:
		return event_get_info(v);
	default:
		return vsbi_return(v, VSBI_NOT_SUPPORTED, 0);
	}
}

const struct vsbi_ext vsbi_pmu = {
	.name = "PMU",
	.first = VSBI_EID_PMU,
	.last = VSBI_EID_PMU,
	.call = pmu_call,
};
