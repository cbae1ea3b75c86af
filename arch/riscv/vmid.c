/*
 * VMIDs with generations.
 *
 * The problem: a TLB entry carries 0 to 14 bits that say which guest it is of;
 * there may be more guests than that; and what a fence flushes is one hart's.
 *
 * A VMID is generation << 16 | id, and is good as long as its generation is the
 * current one. Ids of a generation are handed out once each; when they are used
 * up the next generation begins, and each guest gets a new VMID when it is next
 * loaded somewhere. A CPU remembers the generation of the ids in its TLB; when
 * it loads a guest of another one it first flushes everything. No CPU tells
 * another: one that goes on running a guest under an id of the old generation
 * has none but old ids in its TLB, and flushes before it loads anything newer.
 * The test is "other", not "newer", so it holds in whatever order CPUs meet.
 *
 * Id 0 is hgatp = 0's, so guests get 1 to 2^bits - 1. With 0 bits there is only
 * that one: then each guest's serial number takes the generation's place, which
 * makes every change of guest a flush, and letting go counts as a change.
 *
 * HFENCE.GVMA need not touch what maps guest virtual to guest physical
 * addresses (section 15.3.2), and HFENCE.VVMA knows only hgatp's VMID. So an id
 * that changes hands needs both: the first when the generation changes, the
 * second when a guest first uses its VMID on this CPU.
 *
 * The second is needed as well when another vCPU of the guest ran here last
 * (ASIDs are per hart: the guest's harts may use one number for different
 * address spaces), or when this vCPU ran elsewhere last (it has fenced there
 * what is still cached here).
 *
 * Order, section 15.2.10: vsatp = 0; hgatp; fences; (the world switch) vsatp.
 * With vsatp = 0 a hart has no VS-stage translations to make up meanwhile.
 *
 * Rejected: keeping VMIDs of running guests over a change of generation (it
 * needs a look at all CPUs, to save one flush each); asking all CPUs to flush
 * at the change (waits for them, or mail before every entry).
 */
#include <ck_pr.h>
#include <ck_spinlock.h>

#include "arch/riscv/vmid.h"

#include "arch/riscv/gstage.h"
#include "arch/riscv/gstage_hw.h"
#include "kernel/mem.h"
#include "kernel/percpu/doorbell.h"

#define VMID_BITS_MAX 14
#define ID_MASK ((1u << VMID_GENERATION_SHIFT) - 1)
#define VCPU_NOWHERE UINT32_MAX

static u32 measured_bits = VMID_BITS_MAX, limit_bits = VMID_BITS_MAX;
static struct vmid_cpu *cpus; /* complete before the first guest */
static u64 serials;           /* atomic */

/* `generation` and guests' VMIDs change under the lock, and are read without;
 * `next_id` is under it wholly. */
static ck_spinlock_fas_t lock = CK_SPINLOCK_FAS_INITIALIZER;
static u64 generation = 1;
static u32 next_id = 1;

void vmid_limit(u32 bits)
{
	limit_bits = MIN(bits, (u32)VMID_BITS_MAX);
}

void vmid_measured(u32 bits)
{
	u32 was = ck_pr_load_32(&measured_bits);

	while (bits < was &&
	       !ck_pr_cas_32_value(&measured_bits, was, bits, &was))
		;
}

u32 vmid_bits(void)
{
	return MIN(ck_pr_load_32(&measured_bits), limit_bits);
}

void vmid_cpu_init(struct vmid_cpu *c, struct cpu *cpu, u32 index)
{
	c->cpu = cpu;
	c->index = index;
	ck_spinlock_fas_lock(&lock);
	c->next = cpus;
	ck_pr_store_ptr(&cpus, c);
	ck_spinlock_fas_unlock(&lock);
}

int vmid_guest_init(struct arch_guest *g, u32 cpu_count, u32 vcpus)
{
	g->vmid_last = obj_alloc(cpu_count * sizeof(*g->vmid_last));
	if (!g->vmid_last)
		return -ENOMEM;
	g->vmid_vcpu_cpu = obj_alloc(vcpus * sizeof(*g->vmid_vcpu_cpu));
	if (!g->vmid_vcpu_cpu) {
		obj_free(g->vmid_last);
		g->vmid_last = NULL;
		return -ENOMEM;
	}
	for (u32 i = 0; i < vcpus; i++)
		g->vmid_vcpu_cpu[i] = VCPU_NOWHERE;
	vmid_renew(g);
	return 0;
}

void vmid_guest_fini(struct arch_guest *g)
{
	obj_free(g->vmid_last);
	obj_free(g->vmid_vcpu_cpu);
	g->vmid_last = NULL;
	g->vmid_vcpu_cpu = NULL;
}

void vmid_renew(struct arch_guest *g)
{
	g->serial = ck_pr_faa_64(&serials, 1) + 1;
	/* No generation is 0. */
	ck_pr_store_64(&g->vmid, 0);
}

static __attribute__((noinline)) u64 vmid_new(struct arch_guest *g)
{
	u64 vmid;

	ck_spinlock_fas_lock(&lock);
	vmid = g->vmid;
	if (vmid >> VMID_GENERATION_SHIFT != generation) {
		if (next_id >> vmid_bits()) {
			ck_pr_store_64(&generation, generation + 1);
			next_id = 1;
		}
		vmid = generation << VMID_GENERATION_SHIFT | next_id++;
		ck_pr_store_64(&g->vmid, vmid);
	}
	ck_spinlock_fas_unlock(&lock);
	return vmid;
}

/* The guest's VMID of the current generation. */
static inline u64 vmid_get(struct arch_guest *g)
{
	u64 vmid;

	if (vmid_bits() == 0)
		return g->serial << VMID_GENERATION_SHIFT;
	/* An old generation read here does no harm: the VMID is then one of
	 * that generation, whose ids are still one guest's each. */
	vmid = ck_pr_load_64(&g->vmid);
	if (likely(vmid >> VMID_GENERATION_SHIFT == ck_pr_load_64(&generation)))
		return vmid;
	return vmid_new(g);
}

void vmid_enter(struct vmid_cpu *c, struct arch_guest *g, u32 vcpu)
{
	u64 vmid = vmid_get(g);
	struct vmid_last *last = vmid_last_of(c, g);
	/* Under the same VMID its tables are those, too, since whoever gets
	 * others gets another VMID (vmid_renew). */
	u64 hgatp = last->vmid == vmid ?
			    last->hgatp :
			    gstage_hgatp(g, (u32)vmid & ID_MASK);
	bool roll = c->generation != vmid >> VMID_GENERATION_SHIFT;
	bool stale = roll || last->vmid != vmid || last->vcpu != vcpu ||
		     g->vmid_vcpu_cpu[vcpu] != c->index;

	if (likely(!stale && c->hgatp == hgatp))
		return;
	hw_vsatp_zero();
	if (c->hgatp != hgatp) {
		hw_hgatp_write(hgatp);
		ck_pr_store_64(&c->hgatp, hgatp);
		/* After the CSR: until then the hart may walk the old tables.
		 * Pairs with vmid_quiet. */
		ck_pr_fence_memory();
		ck_pr_store_ptr(&c->guest, g);
	}
	if (roll) {
		hw_hfence_gvma_all();
		c->generation = vmid >> VMID_GENERATION_SHIFT;
	}
	if (stale) {
		hw_hfence_vvma_all();
		last->vmid = vmid;
		last->hgatp = hgatp;
		last->vcpu = vcpu;
		if (g->vmid_vcpu_cpu[vcpu] != c->index)
			g->vmid_vcpu_cpu[vcpu] = c->index;
	}
}

void vmid_leave(struct vmid_cpu *c)
{
	ck_pr_store_32(&c->drop, 0);
	hw_vsatp_zero();
	hw_hgatp_write(0);
	hw_hfence_gvma_vmid(vmid_current(c));
	c->hgatp = 0;
	if (vmid_bits() == 0)
		c->generation = 0;
	/* Pairs with vmid_quiet: no walk of the old tables after this. */
	ck_pr_fence_memory();
	ck_pr_store_ptr(&c->guest, NULL);
}

bool vmid_quiet(struct arch_guest *g)
{
	bool quiet = true;

	for (struct vmid_cpu *c = ck_pr_load_ptr(&cpus); c; c = c->next) {
		if (ck_pr_load_ptr(&c->guest) != g)
			continue;
		/* Here nothing is loaded since: a load would have replaced the
		 * guest, and its own vCPUs are OFF. */
		if (c->cpu == cpu_this()) {
			vmid_leave(c);
			continue;
		}
		quiet = false;
		ck_pr_store_32(&c->drop, 1);
		doorbell_kick(c->cpu);
	}
	/* All CPUs let go before anything that was theirs is freed. */
	ck_pr_fence_memory();
	return quiet;
}

u32 vmid_current(const struct vmid_cpu *c)
{
	return (u32)(c->hgatp >> HGATP_VMID_SHIFT & HGATP_VMID_MASK);
}
