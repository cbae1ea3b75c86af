#include "tests/unit/fake_vsbi.h"

#include "arch/riscv/csr.h"
#include "arch/riscv/gstage.h"
#include "arch/riscv/hlv.h"
#include "arch/riscv/isa.h"
#include "arch/riscv/pmask.h"
#include "arch/riscv/vhw.h"
#include "kernel/sched/sched.h"
#include "kernel/time.h"

struct fake_world w;
_Thread_local struct cpu *fake_this_cpu;
bool riscv_has_sstc;
bool isa_have[ISA_OTHER];
u32 triggers_count, triggers_sizes;
u64 timebase_hz = 10000000;

struct riscv_cpu *riscv_this(void)
{
	return &w.cpu;
}

void fake_guest_reset(void)
{
	for (u32 i = 0; i < w.guest.cfg.vcpus; i++) {
		struct riscv_vcpu *v = &w.vcpu[i];

		vsbi_hart_clear(v);
		vtimer_reset(v);
		vfence_reset(v);
		vsbi_vcpu_reset(v);
	}
	vsbi_guest_reset(&w.guest);
}

void fake_world_init(u32 vcpus)
{
	static struct cpu *const cpu = (struct cpu *)&w;

	memset(&w, 0, sizeof(w));
	riscv_has_sstc = true;
	w.guest.cfg.vcpus = vcpus;
	w.guest.cfg.ram_base.v = FAKE_RAM_BASE;
	w.guest.cfg.memory_bytes = FAKE_RAM_BYTES;
	w.guest.vcpu = w.table;
	w.guest.arch = &w.arch;
	w.guest.state = GUEST_RUNNING;
	w.hart.vstimecmp = TIME_NEVER;
	w.hart.timer_ticks = TIME_NEVER;
	w.hart.gpa_bits = 41;
	w.now_ticks = 1000000;
	for (u32 i = 0; i < vcpus; i++) {
		struct riscv_vcpu *v = &w.vcpu[i];

		w.table[i] = &v->v;
		v->v.guest = &w.guest;
		v->v.id = i;
		v->host = cpu;
	}
	fake_guest_reset();
	fake_started(0, VCPU_RUNNING);
	w.cpu.loaded = &w.vcpu[0];
	if (!vsbi_run_begin(&w.vcpu[0]))
		fail();
	w.fence_i = w.fence_all = 0;
}

void fake_world_started(u32 vcpus, enum vcpu_state state)
{
	fake_world_init(vcpus);
	for (u32 i = 1; i < vcpus; i++)
		fake_started(i, state);
}

int fake_setup(void **state)
{
	(void)state;
	fake_world_init(4);
	return 0;
}

struct riscv_vcpu *fake_vcpu(u32 n)
{
	return &w.vcpu[n];
}

void fake_started(u32 n, enum vcpu_state state)
{
	/* Hart 0 is counted by the reset. */
	if (n && w.vcpu[n].hsm_state == VHSM_STOPPED)
		w.arch.harts_on++;
	w.vcpu[n].hsm_state = VHSM_STARTED;
	w.vcpu[n].v.state = state;
}

u32 fake_soft_pending(void)
{
	u32 n = 0;

	for (u32 i = 0; i < w.guest.cfg.vcpus; i++)
		n += (w.vcpu[i].v.virq & VIRQ_SOFT) != 0;
	return n;
}

struct fake_ret fake_call(u64 eid, u64 fid, u64 a0, u64 a1, u64 a2, u64 a3,
			  u64 a4)
{
	struct riscv_vcpu *v = &w.vcpu[0];
	bool legacy = eid <= VSBI_EID_LEGACY_LAST;
	struct fake_ret r;
	u64 before[32];

	for (u32 i = 1; i < 32; i++)
		v->x[i] = 0xabc00000 + i;
	v->x[10] = a0;
	v->x[11] = a1;
	v->x[12] = a2;
	v->x[13] = a3;
	v->x[14] = a4;
	v->x[16] = fid;
	v->x[17] = eid;
	memcpy(before, v->x, sizeof(before));
	r.next = vsbi_call(v);
	r.error = (s64)v->x[10];
	r.value = v->x[11];
	for (u32 i = 1; i < 32; i++)
		if (i != 10 && (i != 11 || legacy))
			assert_int_equal(v->x[i], before[i]);
	return r;
}

void expect_ret(struct fake_ret r, s64 error, u64 value)
{
	assert_int_equal(r.next, NEXT_ADVANCE);
	assert_int_equal(r.error, error);
	assert_int_equal(r.value, value);
}

/* ---- What the kernel supplies ---- */

u64 time_now_ticks(void)
{
	return w.now_ticks;
}

void guest_tell_rest(struct guest *g)
{
	assert_ptr_equal(g, &w.guest);
	w.rests++;
}

void guest_end(struct guest *g, enum guest_event why, u32 code)
{
	assert_ptr_equal(g, &w.guest);
	if (w.ends++ == 0) {
		w.end_why = why;
		w.end_code = code;
	}
}

static u8 *ram_at(struct gpa at, size_t len)
{
	u64 off = at.v - FAKE_RAM_BASE;

	return at.v >= FAKE_RAM_BASE && off + len <= FAKE_RAM_BYTES ?
		       w.ram + off : NULL;
}

void *gmem_ptr(struct gmem *m, struct gpa at, size_t len)
{
	(void)m;
	return ram_at(at, len);
}

int guest_read(struct guest *g, struct gpa at, void *buf, size_t len)
{
	u8 *p = ram_at(at, len);

	(void)g;
	if (!p)
		return -EFAULT;
	memcpy(buf, p, len);
	if (w.after_read)
		w.after_read(p, len);
	return 0;
}

int guest_write(struct guest *g, struct gpa at, const void *buf, size_t len)
{
	u8 *p = ram_at(at, len);

	(void)g;
	if (!p)
		return -EFAULT;
	memcpy(p, buf, len);
	return 0;
}

void guest_console_put(struct guest *g, const char *buf, size_t len)
{
	(void)g;
	assert_true(w.console_len + len <= sizeof(w.console));
	memcpy(w.console + w.console_len, buf, len);
	w.console_len += len;
}

size_t guest_console_get(struct guest *g, char *buf, size_t len)
{
	size_t n = w.typed ? strnlen(w.typed, len) : 0;

	(void)g;
	if (n) {
		memcpy(buf, w.typed, n);
		w.typed += n;
	}
	return n;
}

/* Weak: the tests of fences between harts have one of their own. */
__attribute__((weak)) void virq_raise(struct vcpu *v, u32 bits)
{
	v->virq |= bits;
}

int sched_vcpu_start(struct vcpu *v)
{
	w.starts++;
	w.started = v;
	return w.start_result;
}

void arch_vcpu_reset(struct vcpu *v, u64 entry, u64 arg)
{
	w.resets++;
	w.reset_pc = entry;
	w.reset_arg = arg;
	if (w.at_reset)
		w.at_reset(v);
	v->virq = 0;
	vsbi_vcpu_reset(to_riscv(v));
}

enum exit_next exit_reflect(struct riscv_vcpu *v, u64 cause, u64 tval)
{
	(void)v;
	w.reflects++;
	w.reflect_cause = cause;
	w.reflect_tval = tval;
	return NEXT_RETRY;
}

/* ---- The hart ---- */

int hlv_u64(u64 gva, u64 *out, struct hlv_fault *fault)
{
	u64 i = (gva - w.va_base) / 8;

	if (gva < w.va_base || i >= w.va_len) {
		*fault = (struct hlv_fault){w.va_cause, gva};
		return -EFAULT;
	}
	if (w.va_absent) {
		w.va_absent--;
		return -EAGAIN;
	}
	*out = w.va_words[i];
	if (w.after_read)
		w.after_read(&w.va_words[i], sizeof(w.va_words[i]));
	return 0;
}

u64 vhw_vstimecmp(void)
{
	return w.hart.vstimecmp;
}

void vhw_vstimecmp_set(u64 guest_ticks)
{
	w.hart.vstimecmp = guest_ticks;
}

u64 vhw_vsie(void)
{
	return w.hart.vsie;
}

u64 vhw_vsatp(void)
{
	return w.hart.vsatp;
}

u64 vhw_sepc(void)
{
	return w.hart.sepc;
}

void vhw_sepc_set(u64 pc)
{
	w.hart.sepc = pc;
}

bool vhw_vs_mode(void)
{
	return w.hart.vs_mode;
}

void vhw_vs_mode_set(bool vs)
{
	w.hart.vs_mode = vs;
}

u64 vhw_vsepc(void)
{
	return w.hart.vsepc;
}

void vhw_vsepc_set(u64 pc)
{
	w.hart.vsepc = pc;
}

u64 vhw_vsstatus(void)
{
	return w.hart.vsstatus;
}

void vhw_vsstatus_set(u64 bits)
{
	w.hart.vsstatus = bits;
}

void vhw_vs_restart(void)
{
	w.hart.vsatp = 0;
	w.hart.restarts++;
}

bool vhw_has_counters(void)
{
	return !w.hart.no_counters;
}

u64 vhw_cycle(void)
{
	return w.hart.cycle;
}

u64 vhw_instret(void)
{
	return w.hart.instret;
}

void vhw_hcounteren_set(u64 bits)
{
	w.hart.hcounteren = bits;
}

void vhw_henvcfg_set(u64 bits)
{
	w.hart.henvcfg = bits;
}

u64 vhw_henvcfg_try(u64 bits)
{
	u64 has = w.hart.henvcfg_has & ~(w.hart.adue_kept ? HENVCFG_ADUE : 0);

	return w.hart.henvcfg = bits & has;
}

s64 vhw_adue_allow(void)
{
	if (!w.hart.adue_fails)
		w.hart.adue_kept = false;
	return w.hart.adue_fails;
}

bool pmask_works(u32 pmlen)
{
	return w.hart.pmlens >> pmlen & 1;
}

u32 gstage_gpa_bits(const struct gstage *s)
{
	return w.hart.gpa_bits;
}

s64 vhw_misaligned(void)
{
	return w.hart.misaligned;
}

s64 vhw_misaligned_set(bool on)
{
	if (!w.hart.misaligned_fails)
		w.hart.misaligned = on;
	return w.hart.misaligned_fails;
}

int vhw_triggers_set(const struct trigger *list, u32 count)
{
	w.hart.triggers_sets++;
	w.hart.triggers_count = 0;
	if (w.hart.triggers_refused && count)
		return -EIO;
	for (; w.hart.triggers_count < count; w.hart.triggers_count++)
		w.hart.triggers[w.hart.triggers_count] =
			list[w.hart.triggers_count];
	return 0;
}

u64 vhw_henvcfg(void)
{
	return w.hart.henvcfg;
}

void vhw_henvcfg_ours_gone(void)
{
	w.hart.henvcfg &= ~VCPU_HENVCFG_OURS;
}

u64 vhw_scounteren(void)
{
	return w.hart.scounteren;
}

void vhw_hvip_set(u64 bits)
{
	w.hart.hvip |= bits;
}

u64 vhw_hvip_clear(u64 bits)
{
	u64 was = w.hart.hvip;

	w.hart.hvip &= ~bits;
	return was;
}

void vhw_timer_no_later(u64 host_ticks)
{
	w.hart.timer_ticks = MIN(w.hart.timer_ticks, host_ticks);
}

__attribute__((weak)) bool vhw_bell_wait(void)
{
	return w.bell_wait && w.bell_wait();
}

__attribute__((weak)) void vhw_hfence_all(void)
{
	w.fence_all++;
}

__attribute__((weak)) void vhw_hfence_va(u64 va)
{
	w.fence_va++;
	w.fence_last_va = va;
}

__attribute__((weak)) void vhw_hfence_asid(u64 asid)
{
	w.fence_asid++;
	w.fence_last_asid = asid;
}

__attribute__((weak)) void vhw_hfence_va_asid(u64 va, u64 asid)
{
	w.fence_va_asid++;
	w.fence_last_va = va;
	w.fence_last_asid = asid;
}

__attribute__((weak)) void vhw_fence_i(void)
{
	w.fence_i++;
}
