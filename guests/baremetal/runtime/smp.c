/*
 * Harts: starting, joining, locks and barriers.
 *
 * A hart is started by HSM for one function and stops itself when that
 * returns, so every run of harts_run goes through the whole life of a hart.
 * The one that waits looks at `running` first (the function's results are
 * visible then) and at HSM's own state after that, since a hart can only be
 * started again when it is STOPPED.
 */
#include "guests/baremetal/runtime/runtime.h"

#include "guests/baremetal/runtime/sbi.h"

long suspend_raw(struct suspend *s, u64 type, u64 fid, u64 ext);
_Noreturn void hart_main(u64 hartid, struct hart *h);
_Noreturn void runtime_main(u64 hartid, const void *dtb);
int main(void);

extern char stacks[];

/* What start.S knows of our structures. */
_Static_assert(STACK_BYTES == 16384 && MAX_HARTS == 64, "start.S");
_Static_assert(offsetof(struct hart, stack_top) == 0, "start.S");
_Static_assert(offsetof(struct hart, id) == 8, "start.S");
_Static_assert(offsetof(struct probe, value) == 112, "start.S");
_Static_assert(sizeof(struct trap_frame) == 288, "start.S");
_Static_assert(offsetof(struct suspend, tp) == 112, "start.S");
_Static_assert(offsetof(struct suspend, sstatus) == 136, "start.S");

_Noreturn void runtime_main(u64 hartid, const void *dtb)
{
	(void)hartid; /* start.S left it in harts[0] */
	machine_init(dtb);
	machine_exit((u32)main());
}

_Noreturn void hart_main(u64 hartid, struct hart *h)
{
	if (h->id != hartid)
		die("hart %ld started with a0 = %ld", h->id, hartid);
	h->probe = NULL;
	h->fn(h, h->arg);
	irq_off();
	csr_write(sie, 0);
	__atomic_store_n(&h->running, 0, __ATOMIC_RELEASE);
	sbi_call(SBI_HSM, SBI_HSM_STOP, 0, 0, 0);
	die("hart %ld could not stop", h->id);
}

struct hart *hart_by_id(u64 id)
{
	for (u32 i = 0; i < machine.hart_count; i++)
		if (harts[i].id == id)
			return &harts[i];
	return NULL;
}

void hart_prepare(struct hart *h, void (*fn)(struct hart *h, void *arg),
		  void *arg)
{
	h->stack_top = (u64)stacks + (h->index + 1) * STACK_BYTES;
	h->fn = fn;
	h->arg = arg;
	__atomic_store_n(&h->running, 1, __ATOMIC_RELEASE);
}

long hart_start(struct hart *h, void (*fn)(struct hart *h, void *arg),
		void *arg)
{
	struct sbi_ret r;

	hart_prepare(h, fn, arg);
	r = sbi_hart_start(h->id, (u64)hart_entry, (u64)h);
	if (r.error)
		h->running = 0;
	return r.error;
}

void hart_join(struct hart *h)
{
	while (__atomic_load_n(&h->running, __ATOMIC_ACQUIRE))
		cpu_relax();
	while (sbi_hart_status(h->id).value != HSM_STOPPED)
		cpu_relax();
}

long hart_suspend(struct suspend *s, u64 type)
{
	u64 sie = csr_read(sie);
	long ret = suspend_raw(s, type, SBI_HSM_SUSPEND, SBI_HSM);

	csr_write(sie, sie);
	return ret;
}

long system_suspend(struct suspend *s, u64 type)
{
	u64 sie = csr_read(sie);
	long ret = suspend_raw(s, type, SBI_SUSP_SUSPEND, SBI_SUSP);

	csr_write(sie, sie);
	return ret;
}

long harts_run(u32 n, void (*fn)(struct hart *h, void *arg), void *arg)
{
	long error = 0, e;

	for (u32 i = 1; i < n; i++) {
		e = hart_start(&harts[i], fn, arg);
		if (e && !error)
			error = e;
	}
	fn(&harts[0], arg);
	for (u32 i = 1; i < n; i++)
		if (__atomic_load_n(&harts[i].running, __ATOMIC_RELAXED) ||
		    !error)
			hart_join(&harts[i]);
	return error;
}

void barrier_wait(struct barrier *b, u32 n)
{
	u32 turn = __atomic_load_n(&b->turn, __ATOMIC_RELAXED);

	if (__atomic_add_fetch(&b->count, 1, __ATOMIC_ACQ_REL) == n) {
		__atomic_store_n(&b->count, 0, __ATOMIC_RELAXED);
		__atomic_store_n(&b->turn, turn + 1, __ATOMIC_RELEASE);
		return;
	}
	while (__atomic_load_n(&b->turn, __ATOMIC_ACQUIRE) == turn)
		cpu_relax();
}

u64 spin_lock_irq(struct spinlock *l)
{
	u64 old = irq_save();
	u32 mine = __atomic_fetch_add(&l->next, 1, __ATOMIC_RELAXED);

	while (__atomic_load_n(&l->owner, __ATOMIC_ACQUIRE) != mine)
		cpu_relax();
	return old;
}

void spin_unlock_irq(struct spinlock *l, u64 old)
{
	__atomic_store_n(&l->owner, l->owner + 1, __ATOMIC_RELEASE);
	irq_restore(old);
}
