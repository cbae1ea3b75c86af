/*
 * VMIDs against a model of harts' TLBs that forgets nothing it need not.
 *
 * Each hart caches three kinds of translations, as the specification allows
 * (Privileged ISA, 15.3.2): guest virtual to guest physical, by VMID and ASID;
 * guest physical to host, by VMID; and both in one. Fences remove exactly what
 * they must. Harts speculate whenever they may: before and after each write of
 * a CSR they walk all tables that vsatp and hgatp name, and cache what they
 * find. Whatever is cached for a running vCPU must be true: entries are checked
 * one by one, since a hart may use any of them.
 */
/* sources: arch/riscv/vmid.c kernel/mem.c kernel/obj.c
 *	tests/unit/fake_mem.c
 *          tests/unit/fake_trace.c */
#include "arch/riscv/vmid.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/riscv/gstage.h"
#include "arch/riscv/gstage_hw.h"
#include "fake_mem.h"
#include "kernel/arch.h"
#include "kernel/mem.h"
#include "kernel/percpu/cpu.h"

#define CPUS 4u
#define GUESTS 6u
#define VCPUS 3u
#define ASIDS 2u
#define PAGES 3u        /* guest virtual, and guest physical, pages */
#define VMIDS (1u << 14)
#define NONE UINT32_MAX
#define IDENTITY 0xfff0u /* host frame of guest page p when hgatp is 0 */

/* ---- guests: what is true ---- */

static struct {
	struct arch_guest *arch;
	u32 root;                       /* as hgatp's PPN; unique for ever */
	u32 host[PAGES];                /* second stage */
	u32 page[VCPUS][ASIDS][PAGES];  /* first stage of each vCPU */
	u32 asid[VCPUS];
	u32 on[VCPUS];                  /* CPU, or NONE */
	u32 last[VCPUS];                /* CPU it ran on last, or NONE */
} guests[GUESTS];
static u32 next_root = 1, next_host = 1;

/* ---- harts ---- */

struct entry {
	bool there;
	u32 to;
};

struct hart {
	struct vmid_cpu vmid;
	struct cpu cpu;
	u64 hgatp;
	u32 vs_guest, vs_vcpu; /* whose tables vsatp names; NONE: bare */
	u32 vs_asid;
	u32 guest, vcpu;       /* loaded; NONE: idle */
	/* By VMID, of which only the first few are ever used at once. */
	struct {
		struct entry va[ASIDS][PAGES];   /* to guest page */
		struct entry gpa[PAGES];         /* to host frame */
		struct entry both[ASIDS][PAGES]; /* to host frame */
	} *tlb;
	u64 flushes;
};

static struct hart harts[CPUS];
static u32 now; /* the hart that runs */
_Thread_local struct cpu *fake_this_cpu;

static u32 guest_of_root(u64 hgatp)
{
	u32 root = (u32)(hgatp & HGATP_PPN_MASK);

	for (u32 g = 0; g < GUESTS; g++)
		if (guests[g].arch && guests[g].root == root)
			return g;
	return NONE;
}

/* A hart that has an entry uses it, however old it is; or it has lost it. */
static void fill(struct entry *e, u32 to, u64 *seed)
{
	if (!e->there || fake_random(seed) % 8 == 0)
		*e = (struct entry){ true, to };
}

/* Caches all that this hart could translate now, from what it has cached. */
static void speculate(void)
{
	static u64 seed = 99;
	struct hart *h = &harts[now];
	u32 vmid = (u32)(h->hgatp >> HGATP_VMID_SHIFT & HGATP_VMID_MASK);
	u32 g = guest_of_root(h->hgatp);

	if (h->hgatp && g == NONE)
		fail_msg("hart %u walks tables that were freed", now);
	for (u32 p = 0; p < PAGES; p++)
		fill(&h->tlb[vmid].gpa[p],
		     h->hgatp ? guests[g].host[p] : IDENTITY + p, &seed);
	if (h->vs_guest == NONE)
		return;
	for (u32 p = 0; p < PAGES; p++) {
		struct entry *va = &h->tlb[vmid].va[h->vs_asid][p];

		fill(va, guests[h->vs_guest].page[h->vs_vcpu][h->vs_asid][p],
		     &seed);
		fill(&h->tlb[vmid].both[h->vs_asid][p],
		     h->tlb[vmid].gpa[va->to].to, &seed);
	}
}

void hw_hgatp_write(u64 val)
{
	speculate();
	harts[now].hgatp = val;
	speculate();
}

void hw_vsatp_zero(void)
{
	speculate();
	harts[now].vs_guest = NONE;
	speculate();
}

/* What vsatp holds, as far as the model goes: 0, or a vCPU's number. */
static u64 vsatp_of(u32 g, u32 v)
{
	return g == NONE ? 0 : 1 + g * VCPUS + v;
}

u64 hw_vsatp_swap(u64 val)
{
	struct hart *h = &harts[now];
	u64 was = vsatp_of(h->vs_guest, h->vs_vcpu);

	speculate();
	h->vs_guest = NONE;
	if (val) {
		h->vs_guest = (u32)(val - 1) / VCPUS;
		h->vs_vcpu = (u32)(val - 1) % VCPUS;
		h->vs_asid = guests[h->vs_guest].asid[h->vs_vcpu];
	}
	speculate();
	return was;
}

/* Entries that hold a guest physical address, alone or with a virtual one. */
static void fence_gvma(u32 vmid)
{
	memset(harts[now].tlb[vmid].gpa, 0, sizeof(harts[now].tlb[0].gpa));
	memset(harts[now].tlb[vmid].both, 0, sizeof(harts[now].tlb[0].both));
}

void hw_hfence_gvma_all(void)
{
	speculate();
	for (u32 i = 0; i < VMIDS; i++)
		fence_gvma(i);
	harts[now].flushes++;
	speculate();
}

void hw_hfence_gvma_vmid(u64 vmid)
{
	speculate();
	fence_gvma((u32)vmid);
	speculate();
}

static void fence_vvma(u32 asid_from, u32 asid_to)
{
	struct hart *h = &harts[now];
	u32 vmid = (u32)(h->hgatp >> HGATP_VMID_SHIFT & HGATP_VMID_MASK);

	for (u32 a = asid_from; a < asid_to; a++) {
		memset(h->tlb[vmid].va[a], 0, sizeof(h->tlb[0].va[0]));
		memset(h->tlb[vmid].both[a], 0, sizeof(h->tlb[0].both[0]));
	}
}

void hw_hfence_vvma_all(void)
{
	speculate();
	fence_vvma(0, ASIDS);
	harts[now].flushes++;
	speculate();
}

u64 gstage_hgatp(const struct arch_guest *g, u32 vmid)
{
	for (u32 i = 0; i < GUESTS; i++)
		if (guests[i].arch == g)
			return 8ULL << HGATP_MODE_SHIFT |
			       (u64)vmid << HGATP_VMID_SHIFT | guests[i].root;
	abort();
}

void arch_doorbell_ring(struct cpu *c)
{
	(void)c;
}

/* ---- what the hypervisor does ---- */

static void cpu_is(u32 cpu)
{
	now = cpu;
	fake_this_cpu = &harts[cpu].cpu;
}

static void load(u32 cpu, u32 g, u32 v)
{
	struct hart *h = &harts[cpu];

	cpu_is(cpu);
	vmid_enter(&h->vmid, guests[g].arch, v);
	h->vs_guest = g;
	h->vs_vcpu = v;
	h->vs_asid = guests[g].asid[v];
	h->guest = g;
	h->vcpu = v;
	guests[g].on[v] = guests[g].last[v] = cpu;
}

static void save(u32 cpu)
{
	struct hart *h = &harts[cpu];

	if (h->guest != NONE)
		guests[h->guest].on[h->vcpu] = NONE;
	h->guest = NONE;
}

/* From the vCPU that is loaded there to another, as vCPUs give way. */
static void turn_over(u32 cpu, u32 g, u32 v)
{
	struct hart *h = &harts[cpu];
	u64 was = vsatp_of(h->guest, h->vcpu);
	bool same = h->guest == g;

	if (h->guest == NONE || guests[g].last[v] != cpu) {
		save(cpu);
		load(cpu, g, v);
		return;
	}
	save(cpu);
	cpu_is(cpu);
	if (same) {
		assert_int_equal(
			vmid_next(vmid_last_of(&h->vmid, guests[g].arch), v,
				  vsatp_of(g, v)),
			was);
	} else {
		assert_int_equal(hw_vsatp_swap(0), was);
		if (!vmid_return(&h->vmid, guests[g].arch,
				 vmid_last_of(&h->vmid, guests[g].arch), v))
			vmid_enter(&h->vmid, guests[g].arch, v);
		(void)hw_vsatp_swap(vsatp_of(g, v));
	}
	h->guest = g;
	h->vcpu = v;
	guests[g].on[v] = cpu;
}

/* As in arch_wait. */
static void idle(u32 cpu)
{
	cpu_is(cpu);
	save(cpu);
	if (vmid_drop_wanted(&harts[cpu].vmid))
		vmid_leave(&harts[cpu].vmid);
}

/* Is everything that this hart could use for its vCPU true? */
static void check(u32 cpu)
{
	struct hart *h = &harts[cpu];
	u32 vmid = (u32)(h->hgatp >> HGATP_VMID_SHIFT & HGATP_VMID_MASK);
	u32 g = h->guest, asid;

	if (g == NONE)
		return;
	cpu_is(cpu);
	asid = guests[g].asid[h->vcpu];
	assert_int_equal(guest_of_root(h->hgatp), g);
	assert_int_equal(vmid_current(&h->vmid), vmid);
	for (u32 p = 0; p < PAGES; p++) {
		u32 to = guests[g].page[h->vcpu][asid][p];
		struct entry va = h->tlb[vmid].va[asid][p];
		struct entry gpa = h->tlb[vmid].gpa[p];
		struct entry both = h->tlb[vmid].both[asid][p];

		if (va.there && va.to != to)
			fail_msg("guest %u.%u: stale first stage", g, h->vcpu);
		if (gpa.there && gpa.to != guests[g].host[p])
			fail_msg("guest %u.%u: stale second stage", g, h->vcpu);
		if (both.there && both.to != guests[g].host[to])
			fail_msg("guest %u.%u: stale translation", g, h->vcpu);
	}
	speculate();
}

/* ---- what guests do ---- */

/* Changes a mapping and fences on its own hart, all that it must. */
static void guest_remaps(u32 cpu, u64 r)
{
	struct hart *h = &harts[cpu];
	u32 asid = (u32)(r >> 8) % ASIDS;

	if (h->guest == NONE)
		return;
	cpu_is(cpu);
	guests[h->guest].page[h->vcpu][asid][r % PAGES] =
		(u32)(r >> 16) % PAGES;
	fence_vvma(asid, asid + 1); /* SFENCE.VMA in VS-mode */
}

static void guest_switches_asid(u32 cpu, u64 r)
{
	struct hart *h = &harts[cpu];

	if (h->guest == NONE)
		return;
	guests[h->guest].asid[h->vcpu] = h->vs_asid = r % ASIDS;
}

/* ---- lives ---- */

static void host_frames(u32 g)
{
	for (u32 p = 0; p < PAGES; p++)
		guests[g].host[p] = next_host++;
}

static void create(u32 g, u64 *seed)
{
	guests[g].arch = obj_alloc(sizeof(struct arch_guest));
	guests[g].root = next_root++;
	assert_int_equal(vmid_guest_init(guests[g].arch, CPUS, VCPUS), 0);
	host_frames(g);
	for (u32 v = 0; v < VCPUS; v++) {
		guests[g].on[v] = guests[g].last[v] = NONE;
		guests[g].asid[v] = 0;
		for (u32 a = 0; a < ASIDS; a++)
			for (u32 p = 0; p < PAGES; p++)
				guests[g].page[v][a][p] =
					fake_random(seed) % PAGES;
	}
}

static void run_another(u32 cpu, u32 not)
{
	u32 g = (not + 1) % GUESTS;

	if (harts[cpu].guest != NONE || !guests[g].arch ||
	    guests[g].on[0] != NONE)
		return;
	load(cpu, g, 0);
	check(cpu);
	save(cpu);
}

/* Stops its vCPUs and waits until no CPU holds it; CPU `by` asks. */
static void quiet(u32 g, u32 by)
{
	for (u32 cpu = 0; cpu < CPUS; cpu++)
		if (harts[cpu].guest == g)
			save(cpu);
	for (u32 i = 0;; i++) {
		cpu_is(by);
		if (vmid_quiet(guests[g].arch))
			break;
		assert_true(i < CPUS);
		for (u32 cpu = 0; cpu < CPUS; cpu++) {
			/* It may run another guest before it comes to idle. */
			if (i == 0 && cpu % 2)
				run_another(cpu, g);
			else if (harts[cpu].guest == NONE)
				idle(cpu);
		}
	}
	for (u32 cpu = 0; cpu < CPUS; cpu++) {
		assert_false(guest_of_root(harts[cpu].hgatp) == g);
		assert_false(harts[cpu].vs_guest == g);
	}
}

static void reset(u32 g, u32 by)
{
	quiet(g, by);
	host_frames(g); /* unmapped, and mapped anew elsewhere */
	vmid_renew(guests[g].arch);
}

static void destroy(u32 g, u32 by)
{
	quiet(g, by);
	vmid_guest_fini(guests[g].arch);
	obj_free(guests[g].arch);
	guests[g].arch = NULL;
}

/* ---- tests ---- */

static void begin(u32 bits)
{
	u64 seed = 17;

	vmid_limit(bits);
	for (u32 c = 0; c < CPUS; c++) {
		struct hart *h = &harts[c];

		/* Whatever was cached before is another test's. */
		memset(h->tlb, 0, VMIDS * sizeof(*h->tlb));
		cpu_is(c);
		h->guest = h->vs_guest = NONE;
		vmid_leave(&h->vmid);
		h->flushes = 0;
	}
	for (u32 g = 0; g < GUESTS; g++)
		create(g, &seed);
}

static void end(void)
{
	for (u32 g = 0; g < GUESTS; g++)
		if (guests[g].arch)
			destroy(g, 0);
	assert_int_equal(obj_live_bytes(), 0);
}

static void random_step(u64 *seed)
{
	u64 r = fake_random(seed);
	u32 cpu = (u32)(r >> 3) % CPUS, g = (u32)(r >> 11) % GUESTS;
	u32 v = (u32)(r >> 19) % VCPUS;
	u64 what = (r >> 27) % 1000;

	if (what < 500) {
		if (guests[g].on[v] != NONE)
			return;
		if (what < 250) {
			u32 had = harts[cpu].guest;

			turn_over(cpu, what % 2 && had != NONE &&
				       guests[had].on[v] == NONE ? had : g, v);
			return;
		}
		save(cpu);
		load(cpu, g, v);
	} else if (what < 650) {
		guest_remaps(cpu, fake_random(seed));
	} else if (what < 750) {
		guest_switches_asid(cpu, fake_random(seed));
	} else if (what < 980) {
		idle(cpu);
	} else if (what < 990) {
		reset(g, cpu);
	} else {
		destroy(g, cpu);
		create(g, seed);
	}
}

static void run_random(u32 bits, u32 steps)
{
	u64 seed = 1 + bits;

	begin(bits);
	for (u32 i = 0; i < steps; i++) {
		random_step(&seed);
		for (u32 cpu = 0; cpu < CPUS; cpu++)
			check(cpu);
	}
	end();
}

static void without_bits_nothing_stale_is_ever_used(void **state)
{
	run_random(0, 6000);
}

static void with_one_bit_nothing_stale_is_ever_used(void **state)
{
	run_random(1, 6000);
}

static void with_fewer_ids_than_guests_nothing_stale_is_ever_used(void **state)
{
	run_random(2, 8000);
}

static void with_about_as_many_ids_nothing_stale_is_ever_used(void **state)
{
	run_random(3, 8000);
}

static void with_all_bits_nothing_stale_is_ever_used(void **state)
{
	run_random(14, 8000);
}

static void a_vcpu_that_returns_to_its_cpu_costs_no_flush(void **state)
{
	u64 before;

	begin(14);
	load(0, 0, 1);
	save(0);
	before = harts[0].flushes;
	load(0, 0, 1);
	assert_int_equal(harts[0].flushes, before);
	/* Another guest in between has another VMID. */
	save(0);
	load(0, 1, 0);
	save(0);
	before = harts[0].flushes;
	load(0, 0, 1);
	assert_int_equal(harts[0].flushes, before);
	save(0);
	end();
}

static void another_vcpu_of_the_guest_costs_one_flush(void **state)
{
	u64 before;

	begin(14);
	load(0, 0, 0);
	save(0);
	before = harts[0].flushes;
	load(0, 0, 1);
	assert_int_equal(harts[0].flushes, before + 1);
	save(0);
	end();
}

static void giving_way_to_a_vcpu_costs_one_flush_at_most(void **state)
{
	u64 before;

	begin(14);
	load(0, 0, 0);
	turn_over(0, 0, 1);
	before = harts[0].flushes;
	turn_over(0, 0, 0);
	assert_int_equal(harts[0].flushes, before + 1);
	/* Another guest's has entries of its own. */
	turn_over(0, 1, 0);
	before = harts[0].flushes;
	turn_over(0, 0, 0);
	turn_over(0, 1, 0);
	assert_int_equal(harts[0].flushes, before);
	save(0);
	end();
}

static void a_vcpu_back_from_another_cpu_costs_one_flush(void **state)
{
	u64 before;

	begin(14);
	load(0, 0, 0);
	save(0);
	load(1, 0, 0);
	save(1);
	before = harts[0].flushes;
	load(0, 0, 0);
	assert_int_equal(harts[0].flushes, before + 1);
	save(0);
	end();
}

static void the_vcpus_of_a_guest_share_its_vmid(void **state)
{
	begin(14);
	load(0, 2, 0);
	load(1, 2, 1);
	load(2, 3, 0);
	assert_int_equal(vmid_current(&harts[0].vmid),
			 vmid_current(&harts[1].vmid));
	assert_int_not_equal(vmid_current(&harts[0].vmid),
			     vmid_current(&harts[2].vmid));
	for (u32 c = 0; c < CPUS; c++)
		save(c);
	end();
}

static void ids_stay_within_the_bits(void **state)
{
	for (u32 bits = 0; bits <= 14; bits++) {
		begin(bits);
		for (u32 i = 0; i < 40; i++) {
			u32 id;

			load(i % CPUS, i % GUESTS, 0);
			id = vmid_current(&harts[i % CPUS].vmid);
			assert_true(id < 1u << bits);
			assert_int_equal(id == 0, bits == 0);
			save(i % CPUS);
		}
		end();
	}
}

static void a_cpu_that_idles_is_asked_to_let_go(void **state)
{
	begin(14);
	load(1, 0, 0);
	save(1);
	cpu_is(0);
	assert_false(vmid_quiet(guests[0].arch));
	assert_true(vmid_drop_wanted(&harts[1].vmid));
	idle(1);
	assert_int_equal(harts[1].hgatp, 0);
	cpu_is(0);
	assert_true(vmid_quiet(guests[0].arch));
	end();
}

static void a_cpu_that_asks_lets_go_itself(void **state)
{
	begin(14);
	load(2, 0, 0);
	save(2);
	cpu_is(2);
	assert_true(vmid_quiet(guests[0].arch));
	assert_int_equal(harts[2].hgatp, 0);
	end();
}

static void without_memory_a_guest_keeps_nothing(void **state)
{
	struct arch_guest g = { 0 };

	for (u64 n = 1; n <= 2; n++) {
		mem_fail_after(n);
		assert_int_equal(vmid_guest_init(&g, CPUS, VCPUS), -ENOMEM);
		assert_int_equal(obj_live_bytes(), 0);
	}
	mem_fail_after(0);
	vmid_guest_fini(&g);
}

/* Last: what harts measured only ever shrinks. */
static void the_least_of_harts_and_limit_counts(void **state)
{
	vmid_limit(14);
	assert_int_equal(vmid_bits(), 14);
	vmid_limit(99);
	assert_int_equal(vmid_bits(), 14);
	vmid_limit(5);
	assert_int_equal(vmid_bits(), 5);
	vmid_measured(7);
	assert_int_equal(vmid_bits(), 5);
	vmid_limit(14);
	assert_int_equal(vmid_bits(), 7);
	vmid_measured(9);
	assert_int_equal(vmid_bits(), 7);
	vmid_measured(0);
	assert_int_equal(vmid_bits(), 0);
}

static int setup(void **state)
{
	fake_ram_add(0x80000000ULL, 16 * MIB);
	for (u32 c = 0; c < CPUS; c++) {
		harts[c].cpu.index = c;
		harts[c].tlb = calloc(VMIDS, sizeof(*harts[c].tlb));
		harts[c].guest = harts[c].vs_guest = NONE;
		vmid_cpu_init(&harts[c].vmid, &harts[c].cpu, c);
	}
	return 0;
}

static int teardown(void **state)
{
	for (u32 c = 0; c < CPUS; c++)
		free(harts[c].tlb);
	fake_ram_end();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_bits_nothing_stale_is_ever_used),
		cmocka_unit_test(with_one_bit_nothing_stale_is_ever_used),
		cmocka_unit_test(
		    with_fewer_ids_than_guests_nothing_stale_is_ever_used),
		cmocka_unit_test(
		    with_about_as_many_ids_nothing_stale_is_ever_used),
		cmocka_unit_test(with_all_bits_nothing_stale_is_ever_used),
		cmocka_unit_test(a_vcpu_that_returns_to_its_cpu_costs_no_flush),
		cmocka_unit_test(another_vcpu_of_the_guest_costs_one_flush),
		cmocka_unit_test(giving_way_to_a_vcpu_costs_one_flush_at_most),
		cmocka_unit_test(a_vcpu_back_from_another_cpu_costs_one_flush),
		cmocka_unit_test(the_vcpus_of_a_guest_share_its_vmid),
		cmocka_unit_test(ids_stay_within_the_bits),
		cmocka_unit_test(a_cpu_that_idles_is_asked_to_let_go),
		cmocka_unit_test(a_cpu_that_asks_lets_go_itself),
		cmocka_unit_test(without_memory_a_guest_keeps_nothing),
		cmocka_unit_test(the_least_of_harts_and_limit_counts),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
