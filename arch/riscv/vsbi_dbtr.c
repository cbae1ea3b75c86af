/*
 * DBTR (chapter 19): a guest's breakpoints and watchpoints.
 *
 * Only M-mode can reach a hart's triggers, so those of a guest are set by the
 * firmware's own DBTR (triggers.c), where the harts have Sdtrig and the
 * firmware offers it; else the extension is absent. What a guest calls S-mode
 * and U-mode is VS-mode and VU-mode to the hart: these bits alone are ever set,
 * so a trigger can't fire in the hypervisor or the firmware, whatever its
 * address. It must not fire in a neighbour either, and a trigger knows of no
 * VMID: so they are in the hart only while their vCPU is loaded. The exception
 * is delegated to VS-mode and never seen here.
 *
 * That is a call of the firmware for each trigger at a load, some 930
 * instructions with OpenSBI 1.6 on QEMU, and 700 for one at a save. It is the
 * time of the vCPU that has them: it is loaded in its own, and takes them out
 * when it begins to wait (v->v.waits), before it is charged. Loading and
 * saving any other vCPU has nothing to ask for it. Who has installed one
 * differs from all others in a bit of our own in henvcfg (VCPU_TRIGGERS), whose
 * change is looked for anyway, and in one of hcounteren (VCPU_SAVE_RARE).
 *
 * Offered is mcontrol6 with what every implementation of it must have: a match
 * of the address, and the exception as the action; and such sizes of access as
 * were seen to work on every hart. The rest of its bits are optional (chains,
 * other matches, data), and OpenSBI 1.6 sets them without a look at what has
 * stuck: NOT_SUPPORTED. A guest has no H extension, so vs and vu are not there
 * for it. Other types of triggers have no hardware: FAILED.
 *
 * The limits of trig_count and trig_idx_base + trig_count are as the text has
 * them, "less than trig_max"; so the last trigger can be used but not read. A
 * set that is refused is refused whole.
 */
#include "arch/riscv/vsbi.h"

#include <string.h>

#include "arch/riscv/triggers.h"
#include "arch/riscv/vhw.h"

#define STATE_MAPPED (1u << 0)
#define STATE_U	     (1u << 1)
#define STATE_S	     (1u << 2)

#define TDATA1_KNOWN \
	(MC6_TYPE_MASK | MC6_SIZE | MC6_S | MC6_U | MC6_EXECUTE | MC6_STORE | \
	 MC6_LOAD)

/* Table "Debug trigger shared memory": word[0] is the state, or the index. */
struct entry {
	u64 first, tdata1, tdata2, tdata3;
};

/* ---- The hart ---- */

/* As the hart is to have it; false: it can't fire. */
static bool to_hart(const struct vdbtr_trigger *t, struct trigger *out)
{
	out->control = t->tdata1 & ~(MC6_S | MC6_U);
	out->control |= t->tdata1 & MC6_S ? MC6_VS : 0;
	out->control |= t->tdata1 & MC6_U ? MC6_VU : 0;
	out->address = t->tdata2;
	return (t->tdata1 & (MC6_S | MC6_U)) &&
	       (t->tdata1 & (MC6_EXECUTE | MC6_STORE | MC6_LOAD));
}

static int hart_set(const struct riscv_vcpu *v)
{
	struct trigger list[VDBTR_MAX];
	u32 n = 0;

	for (u32 m = v->dbtr.installed; m; m &= m - 1)
		n += to_hart(&v->dbtr.trigger[__builtin_ctz(m)], &list[n]);
	return vhw_triggers_set(list, n);
}

void vdbtr_load(struct riscv_vcpu *v)
{
	/* The firmware took these before; if it doesn't now,
	 * they don't fire. */
	(void)hart_set(v);
}

void vdbtr_unload(void)
{
	(void)vhw_triggers_set(NULL, 0);
}

/* Who has triggers is known by two bits. `v` is loaded. */
static s64 apply(struct riscv_vcpu *v)
{
	if (v->dbtr.installed)
		v->henvcfg |= VCPU_TRIGGERS;
	else
		v->henvcfg &= ~VCPU_TRIGGERS;
	vsbi_waits_choose(v);
	if (hart_set(v))
		return VSBI_FAILED;
	vhw_henvcfg_set(v->henvcfg);
	return VSBI_OK;
}

/* ---- Configurations ---- */

static bool has_type(u64 tdata1)
{
	return (tdata1 & MC6_TYPE_MASK) == MC6_TYPE;
}

/* What is wrong with a configuration; 0: nothing. */
static s64 config_check(u64 tdata1, u64 tdata3)
{
	u64 size = (tdata1 & MC6_SIZE) >> MC6_SIZE_SHIFT;

	if (tdata1 & (MC6_DMODE | MC6_M))
		return VSBI_INVALID_PARAM;
	if (!has_type(tdata1))
		return VSBI_FAILED;
	if ((tdata1 & ~TDATA1_KNOWN) || tdata3 || !(triggers_sizes >> size & 1))
		return VSBI_NOT_SUPPORTED;
	return 0;
}

static void config_set(struct vdbtr_trigger *t, const struct entry *e)
{
	t->tdata1 = e->tdata1;
	t->tdata2 = e->tdata2;
	t->state = STATE_MAPPED | (e->tdata1 & MC6_S ? STATE_S : 0) |
		   (e->tdata1 & MC6_U ? STATE_U : 0);
}

static struct gpa entry_at(const struct riscv_vcpu *v, u64 i)
{
	return (struct gpa){v->dbtr.shmem + i * sizeof(struct entry)};
}

static int entry_read(const struct riscv_vcpu *v, u64 i, struct entry *e)
{
	return guest_read(v->v.guest, entry_at(v, i), e, sizeof(*e));
}

/* ---- The functions ---- */

/* Section 19.1. */
static enum exit_next num_triggers(struct riscv_vcpu *v)
{
	u64 tdata1 = reg_get(v, REG_A0);

	return vsbi_return(v, VSBI_OK,
			   !tdata1 || !config_check(tdata1, 0) ? triggers_count
							       : 0);
}

/* Section 19.2. */
static enum exit_next set_shmem(struct riscv_vcpu *v)
{
	u64 lo = reg_get(v, REG_A0), hi = reg_get(v, REG_A1);

	if (reg_get(v, REG_A2) != 0)
		return vsbi_return(v, VSBI_INVALID_PARAM, 0);
	if (!vsbi_no_shmem(lo, hi)) {
		if (lo % sizeof(u64))
			return vsbi_return(v, VSBI_INVALID_PARAM, 0);
		if (!vsbi_in_ram(v->v.guest, lo, hi,
				 triggers_count * sizeof(struct entry)))
			return vsbi_return(v, VSBI_INVALID_ADDRESS, 0);
	}
	v->dbtr.shmem = lo;
	return vsbi_return(v, VSBI_OK, 0);
}

/* Section 19.3. */
static enum exit_next read_triggers(struct riscv_vcpu *v)
{
	u64 base = reg_get(v, REG_A0), count = reg_get(v, REG_A1);

	if (v->dbtr.shmem == UINT64_MAX)
		return vsbi_return(v, VSBI_NO_SHMEM, 0);
	if (base >= triggers_count || count >= triggers_count - base)
		return vsbi_return(v, VSBI_BAD_RANGE, 0);
	for (u64 i = 0; i < count; i++) {
		const struct vdbtr_trigger *t = &v->dbtr.trigger[base + i];
		struct entry e = {t->state, t->tdata1, t->tdata2, 0};

		if (guest_write(v->v.guest, entry_at(v, i), &e, sizeof(e)))
			return vsbi_return(v, VSBI_FAILED, i);
	}
	return vsbi_return(v, VSBI_OK, 0);
}

/* Installs entry `i` at the lowest index that is free. */
static s64 install_one(struct riscv_vcpu *v, u64 i, u64 *index)
{
	u32 n = (u32)__builtin_ctzll(~(u64)v->dbtr.installed);
	struct entry e;
	s64 error;

	if (entry_read(v, i, &e))
		return VSBI_FAILED;
	error = config_check(e.tdata1, e.tdata3);
	if (error)
		return error;
	if (n >= triggers_count)
		return VSBI_FAILED;
	config_set(&v->dbtr.trigger[n], &e);
	v->dbtr.installed |= 1u << n;
	*index = n;
	return 0;
}

static s64 indices_write(const struct riscv_vcpu *v, const u64 *index,
			 u64 count)
{
	for (u64 i = 0; i < count; i++)
		if (guest_write(v->v.guest, entry_at(v, i), &index[i],
				sizeof(index[i])))
			return VSBI_FAILED;
	return 0;
}

/* Section 19.4. */
static enum exit_next install(struct riscv_vcpu *v, u64 count)
{
	size_t bytes = triggers_count * sizeof(struct vdbtr_trigger);
	struct vdbtr_trigger was[VDBTR_MAX];
	u32 before = v->dbtr.installed;
	u64 index[VDBTR_MAX], i = 0;
	s64 error = 0;

	memcpy(was, v->dbtr.trigger, bytes);
	while (i < count && !error) {
		error = install_one(v, i, &index[i]);
		i += !error;
	}
	if (!error) {
		i = 0;
		error = apply(v);
	}
	if (!error)
		error = indices_write(v, index, count);
	if (error) {
		memcpy(v->dbtr.trigger, was, bytes);
		v->dbtr.installed = before;
		(void)apply(v);
	}
	return vsbi_return(v, error, i);
}

/* Section 19.5. */
static enum exit_next update(struct riscv_vcpu *v, u64 count)
{
	struct entry e[VDBTR_MAX];
	s64 error = 0;

	for (u64 i = 0; i < count; i++) {
		if (entry_read(v, i, &e[i]))
			error = VSBI_FAILED;
		else if (e[i].first >= triggers_count)
			error = VSBI_INVALID_PARAM;
		else if (!(v->dbtr.installed >> e[i].first & 1))
			error = VSBI_FAILED;
		else if (!has_type(e[i].tdata1))
			error = VSBI_INVALID_PARAM;
		else
			error = config_check(e[i].tdata1, e[i].tdata3);
		if (error)
			return vsbi_return(v, error, i);
	}
	for (u64 i = 0; i < count; i++)
		config_set(&v->dbtr.trigger[e[i].first], &e[i]);
	return vsbi_return(v, apply(v), 0);
}

static enum exit_next install_or_update(struct riscv_vcpu *v, bool anew)
{
	u64 count = reg_get(v, REG_A0);

	if (v->dbtr.shmem == UINT64_MAX)
		return vsbi_return(v, VSBI_NO_SHMEM, 0);
	if (count >= triggers_count)
		return vsbi_return(v, VSBI_BAD_RANGE, 0);
	return anew ? install(v, count) : update(v, count);
}

/* A set of triggers: false if one isn't installed. */
static bool set_get(const struct riscv_vcpu *v, u32 *set)
{
	u64 base = reg_get(v, REG_A0), mask = reg_get(v, REG_A1);

	*set = 0;
	if (!mask)
		return true;
	if (base >= VDBTR_MAX || mask >> (VDBTR_MAX - base))
		return false;
	*set = (u32)(mask << base);
	return !(*set & ~v->dbtr.installed);
}

static void set_one(struct vdbtr_trigger *t, u64 fid)
{
	t->tdata1 &= ~(MC6_S | MC6_U);
	if (fid == VSBI_DBTR_UNINSTALL)
		memset(t, 0, sizeof(*t));
	if (fid != VSBI_DBTR_ENABLE)
		return;
	t->tdata1 |= t->state & STATE_S ? MC6_S : 0;
	t->tdata1 |= t->state & STATE_U ? MC6_U : 0;
}

/* Sections 19.6 to 19.8. */
static enum exit_next change_set(struct riscv_vcpu *v, u64 fid)
{
	u32 set;

	if (!set_get(v, &set))
		return vsbi_return(v, VSBI_INVALID_PARAM, 0);
	for (u32 m = set; m; m &= m - 1)
		set_one(&v->dbtr.trigger[__builtin_ctz(m)], fid);
	if (fid == VSBI_DBTR_UNINSTALL)
		v->dbtr.installed &= ~set;
	return vsbi_return(v, apply(v), 0);
}

static enum exit_next dbtr_call(struct riscv_vcpu *v, u64 fid)
{
	if (!v->dbtr.trigger)
		return vsbi_return(v, VSBI_NOT_SUPPORTED, 0);
	switch (fid) {
	case VSBI_DBTR_NUM:
		return num_triggers(v);
	case VSBI_DBTR_SHMEM:
		return set_shmem(v);
	case VSBI_DBTR_READ:
		return read_triggers(v);
	case VSBI_DBTR_INSTALL:
	case VSBI_DBTR_UPDATE:
		return install_or_update(v, fid == VSBI_DBTR_INSTALL);
	case VSBI_DBTR_UNINSTALL:
	case VSBI_DBTR_ENABLE:
	case VSBI_DBTR_DISABLE:
		return change_set(v, fid);
	default:
		return vsbi_return(v, VSBI_NOT_SUPPORTED, 0);
	}
}

void vdbtr_reset(struct riscv_vcpu *v)
{
	v->dbtr.shmem = UINT64_MAX;
	v->dbtr.installed = 0;
	v->henvcfg &= ~VCPU_TRIGGERS;
	if (v->dbtr.trigger)
		memset(v->dbtr.trigger, 0,
		       triggers_count * sizeof(v->dbtr.trigger[0]));
}

static bool absent(void)
{
	return triggers_count == 0;
}

const struct vsbi_ext vsbi_dbtr = {
	.name = "DBTR",
	.first = VSBI_EID_DBTR,
	.last = VSBI_EID_DBTR,
	.call = dbtr_call,
	.absent = absent,
};
