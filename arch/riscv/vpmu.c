/*
 * A vCPU's performance counters.
 *
 * Hardware counters. A hart has one cycle and one instret, no offset for
 * guests, and goes on counting while others run on it. A guest that has
 * configured nothing reads the hart's own (hcounteren has all bits set): it
 * costs nothing, kernels and programs of before SBI PMU expect to be able to,
 * and what it shows of the neighbours is what `time`, which can't be hidden,
 * shows as well. Nobody was promised that it stands still. Once an event is
 * configured, the promise is made: hcounteren's bit is off for this vCPU alone,
 * the read traps, and is answered with
 *
 *   value                          while the counter is stopped
 *   value + hart's counter         while it counts and the vCPU has the CPU
 *   value + hart's when it lost it else
 *
 * where `value` had the hart's counter subtracted when the count went on. So
 * a change of hart needs nothing else. "Has the CPU" is from its dispatch or
 * load to its put-back or save; work of the hypervisor for this vCPU in
 * between is counted, as that of firmware is on a hart without filtering.
 *
 * Harts without Zicntr have no hardware counters, nor have their guests: a read
 * of theirs is an illegal instruction, which never comes here, and ours may be.
 *
 * Firmware counters. fw[] counts each event while at least one counter of the
 * vCPU is started for any; a counter is a difference of it. So an event is one
 * atomic add, whatever the number of counters, and one test for who counts
 * nothing. While it counts, the quick path of trap.S, which counts nothing, is
 * off (v->quick). Sent and received say what the hart did and saw: an IPI that
 * finds one pending is received with it. Traps are those that the hypervisor
 * raises; the others VS-mode takes itself, as with any firmware that delegates
 * them. HFENCE events never happen.
 *
 * Rejected: trapping reads for all guests (rdcycle is read in tight loops), a
 * count a counter and event (an IPI would look at 29 counters).
 */
#include "arch/riscv/vpmu.h"

#include "arch/riscv/csr.h"
#include "arch/riscv/quick.h"
#include "arch/riscv/vhw.h"
#include "arch/riscv/vsbi.h"

u32 vpmu_ids(void)
{
	return (vhw_has_counters() ? VPMU_HW_IDS : 0) | VPMU_FW_IDS;
}

/* What counter `id` counts, however long it has been doing so. */
static u64 source(struct riscv_vcpu *v, u32 id)
{
	if (!vpmu_is_hw(id))
		return ck_pr_load_64(&v->pmu.fw[v->pmu.counter[id].event &
						0xffff]);
	return id == VPMU_CYCLE ? vhw_cycle() : vhw_instret();
}

static bool counts(const struct riscv_vcpu *v, u32 id)
{
	return (v->pmu.started >> id & 1) && (!vpmu_is_hw(id) || v->pmu.live);
}

u64 vpmu_value(struct riscv_vcpu *v, u32 id)
{
	u64 value = v->pmu.counter[id].value;

	return counts(v, id) ? value + source(v, id) : value;
}

/* ---- Hardware counters and the hart ---- */

static void hw_move(struct riscv_vcpu *v, bool live)
{
	struct vpmu *p = &v->pmu;

	if (p->live == live)
		return;
	p->live = live;
	for (u32 m = p->started & VPMU_HW_IDS; m; m &= m - 1) {
		u32 id = (u32)__builtin_ctz(m);
		u64 now = source(v, id);

		p->counter[id].value += live ? -now : now;
	}
}

void vpmu_pause(struct riscv_vcpu *v)
{
	hw_move(v, false);
	v->csr_on = NULL;
}

void vpmu_resume(struct riscv_vcpu *v)
{
	hw_move(v, true);
}

void vpmu_hw_apply(struct riscv_vcpu *v)
{
	struct vpmu *p = &v->pmu;
	u32 used = 0;

	for (u32 m = VPMU_HW_IDS; m; m &= m - 1)
		if (p->counter[__builtin_ctz(m)].event)
			used |= m & -m;
	if (used == p->hw_used)
		return;
	p->hw_used = used;
	v->hcounteren = (v->hcounteren & VCPU_SAVE_RARE) |
			(VSBI_COUNTEREN_ALL & ~used);
	v->odd |= VCPU_ODD_COUNTERS;
	vhw_hcounteren_set(v->hcounteren);
	vsbi_waits_choose(v);
	if (used)
		vpmu_resume(v);
	else
		p->live = false;
}

/* csrrs, csrrc and their immediate forms that write nothing. */
static bool is_read(u32 inst)
{
	u32 funct3 = inst >> 12 & 7, rs1 = inst >> 15 & 31;

	return (inst & 0x7f) == 0x73 && (funct3 & 2) && rs1 == 0;
}

bool vpmu_csr_read(struct riscv_vcpu *v, u32 inst, bool user, u64 *val)
{
	u32 id = (inst >> 20) - CSR_CYCLE;

	if (!is_read(inst) || id > VPMU_INSTRET || !(v->pmu.hw_used >> id & 1))
		return false;
	/* In U-mode the guest's kernel has a say. */
	if (user && !(vhw_scounteren() >> id & 1))
		return false;
	*val = vpmu_value(v, id);
	return true;
}

/* ---- Firmware counters ---- */

void vpmu_trap(struct riscv_vcpu *v, u64 cause)
{
	static const u8 events[] = {
		[CAUSE_LOAD_MISALIGNED] = VPMU_MISALIGNED_LOAD + 1,
		[CAUSE_STORE_MISALIGNED] = VPMU_MISALIGNED_STORE + 1,
		[CAUSE_LOAD_ACCESS] = VPMU_ACCESS_LOAD + 1,
		[CAUSE_STORE_ACCESS] = VPMU_ACCESS_STORE + 1,
		[CAUSE_ILLEGAL] = VPMU_ILLEGAL_INSN + 1,
	};

	if (cause < ARRAY_LEN(events) && events[cause])
		vpmu_event_at(&v->pmu, events[cause] - 1);
}

void vpmu_fw_apply(struct riscv_vcpu *v)
{
	struct vpmu *p = &v->pmu;
	bool on = p->started & ~VPMU_HW_IDS;

	if (on == (p->fw_on != 0))
		return;
	if (on) {
		p->quick = v->quick;
		v->quick = 0;
	} else {
		v->quick = p->quick;
	}
	quick_pause_set(v);
	ck_pr_store_32(&p->fw_on, on);
}

/* ---- One counter ---- */

void vpmu_start(struct riscv_vcpu *v, u32 id)
{
	v->pmu.started |= 1u << id;
	if (counts(v, id))
		v->pmu.counter[id].value -= source(v, id);
}

void vpmu_stop(struct riscv_vcpu *v, u32 id)
{
	v->pmu.counter[id].value = vpmu_value(v, id);
	v->pmu.started &= ~(1u << id);
}
