/*
 * SBI calls of guests: PMU. Every function's errors, hardware counters across
 * waits and harts, every firmware event that happens in these sources, and the
 * snapshot.
 */
/* sources: SBI FENCES arch/riscv/quick_set.c
 *	tests/unit/fake_vsbi.c tests/unit/fake_trace.c */
#include "tests/unit/fake_vsbi.h"

#include "arch/riscv/csr.h"
#include "arch/riscv/quick.h"
#include "emul/emul.h"
#include "kernel/cmdline.h"

#define ALL UINT64_MAX
#define CYCLES 1
#define INSTRUCTIONS 2
#define FW(code) (0xf0000u + (code))
#define SKIP 1u
#define CLEAR 2u
#define AUTO 4u
#define HW 5u
#define FW_ALL 0xfffffff8u
#define EVERY 0xfffffffdu
#define SHMEM 0x3000

static struct fake_ret pmu(u64 fid, u64 a0, u64 a1, u64 a2, u64 a3, u64 a4)
{
	struct fake_ret r = fake_call(VSBI_EID_PMU, fid, a0, a1, a2, a3, a4);

	assert_int_equal(r.next, NEXT_ADVANCE);
	if (r.error)
		assert_int_equal(r.value, 0);
	return r;
}

static s64 config(u64 mask, u64 flags, u64 event)
{
	struct fake_ret r = pmu(2, 0, mask, flags, event, 0);

	return r.error ? r.error : (s64)r.value;
}

static s64 start(u64 mask, u64 flags, u64 value)
{
	return pmu(3, 0, mask, flags, value, 0).error;
}

static s64 stop(u64 mask, u64 flags)
{
	return pmu(4, 0, mask, flags, 0, 0).error;
}

static u64 fw_read(u64 id)
{
	struct fake_ret r = pmu(5, id, 0, 0, 0, 0);

	assert_int_equal(r.error, 0);
	return r.value;
}

/* csrrs rd, csr, x0 */
static bool csr_trap(u32 csr, bool user, u64 *val)
{
	return vpmu_csr_read(fake_vcpu(0), csr << 20 | 0x2573, user, val);
}

static u64 cycle(void)
{
	u64 val;

	assert_true(csr_trap(CSR_CYCLE, false, &val));
	return val;
}

static void shmem(void)
{
	assert_int_equal(pmu(7, FAKE_RAM_BASE + SHMEM, 0, 0, 0, 0).error, 0);
}

static u64 *snapshot(u32 i)
{
	return (u64 *)(void *)(w.ram + SHMEM) + i;
}

static void the_counters_are_what_they_say(void **state)
{
	(void)state;
	expect_ret(pmu(0, 0, 0, 0, 0, 0), 0, 32);
	expect_ret(pmu(1, 0, 0, 0, 0, 0), 0, 0xc00 | 63 << 12);
	expect_ret(pmu(1, 2, 0, 0, 0, 0), 0, 0xc02 | 63 << 12);
	for (u64 id = 3; id < 32; id++)
		assert_true(pmu(1, id, 0, 0, 0, 0).value >> 63);
	expect_ret(pmu(1, 1, 0, 0, 0, 0), VSBI_INVALID_PARAM, 0);
	expect_ret(pmu(1, 32, 0, 0, 0, 0), VSBI_INVALID_PARAM, 0);
	expect_ret(pmu(1, 1ULL << 32, 0, 0, 0, 0), VSBI_INVALID_PARAM, 0);
	expect_ret(pmu(1, ALL, 0, 0, 0, 0), VSBI_INVALID_PARAM, 0);
}

/* A read of ours would be an illegal instruction. */
static void harts_without_counters_have_no_hardware_counters(void **state)
{
	u64 val;

	(void)state;
	w.hart.no_counters = true;
	expect_ret(pmu(0, 0, 0, 0, 0, 0), 0, 32);
	for (u64 id = 0; id < 3; id++)
		expect_ret(pmu(1, id, 0, 0, 0, 0), VSBI_INVALID_PARAM, 0);
	assert_true(pmu(1, 3, 0, 0, 0, 0).value >> 63);
	assert_int_equal(config(1, AUTO, CYCLES), VSBI_INVALID_PARAM);
	assert_int_equal(config(EVERY, AUTO, FW(5)), VSBI_INVALID_PARAM);
	assert_int_equal(config(FW_ALL, AUTO, CYCLES), VSBI_NOT_SUPPORTED);
	assert_int_equal(config(FW_ALL, AUTO, INSTRUCTIONS),
			 VSBI_NOT_SUPPORTED);
	assert_int_equal(config(FW_ALL, AUTO, FW(5)), 3);
	assert_int_equal(start(HW, 0, 0), VSBI_INVALID_PARAM);
	assert_int_equal(stop(EVERY, 0), VSBI_INVALID_PARAM);
	assert_int_equal(stop(FW_ALL, 0), VSBI_ALREADY_STOPPED);
	assert_false(csr_trap(CSR_CYCLE, false, &val));
}

static void a_set_with_a_counter_that_is_not_there_is_refused(void **state)
{
	static const struct {
		u64 base, mask;
	} bad[] = {
		{ 0, 2 }, { 1, 1 }, { 0, EVERY | 2 }, { 0, 1ULL << 32 },
		{ 31, 2 }, { 32, 1 }, { 3, 1ULL << 29 }, { ALL, 1 },
		{ 1ULL << 32, 1 }, { 4, 1ULL << 63 },
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_LEN(bad); i++)
		for (u64 fid = 2; fid <= 4; fid++)
			expect_ret(pmu(fid, bad[i].base, bad[i].mask, 0,
				       FW(5), 0), VSBI_INVALID_PARAM, 0);
}

static void a_set_of_none_is_right_wherever_it_begins(void **state)
{
	static const u64 bases[] = { 0, 1, 31, 32, 64, 1ULL << 32, ALL };

	(void)state;
	for (u32 i = 0; i < ARRAY_LEN(bases); i++) {
		expect_ret(pmu(VSBI_PMU_START, bases[i], 0, 0, 0, 0), 0, 0);
		expect_ret(pmu(VSBI_PMU_STOP, bases[i], 0, 0, 0, 0), 0, 0);
		/* But nothing of it can count. */
		for (u64 flags = 0; flags < 2; flags++)
			expect_ret(pmu(VSBI_PMU_CONFIG_MATCHING, bases[i], 0,
				       flags, FW(5), 0), VSBI_NOT_SUPPORTED, 0);
		/* Flags are looked at all the same. */
		expect_ret(pmu(VSBI_PMU_START, bases[i], 0, 4, 0, 0),
			   VSBI_INVALID_PARAM, 0);
	}
}

static void flags_that_are_reserved_are_refused(void **state)
{
	(void)state;
	assert_int_equal(config(FW_ALL, 0x100, FW(5)), VSBI_INVALID_PARAM);
	assert_int_equal(config(FW_ALL, 1ULL << 63, FW(5)),
			 VSBI_INVALID_PARAM);
	assert_int_equal(config(8, 0xf8, FW(5)), 3);
	assert_int_equal(start(8, 4, 0), VSBI_INVALID_PARAM);
	/* Exclusive. */
	shmem();
	assert_int_equal(start(8, 3, 0), VSBI_INVALID_PARAM);
	assert_int_equal(stop(8, 4), VSBI_INVALID_PARAM);
	assert_int_equal(fake_vcpu(0)->pmu.started, 0);
}

static void an_event_finds_a_counter_that_can_count_it(void **state)
{
	(void)state;
	assert_int_equal(config(EVERY, 0, CYCLES), 0);
	assert_int_equal(config(EVERY, 0, INSTRUCTIONS), 2);
	assert_int_equal(config(EVERY, 0, FW(0)), 3);
	assert_int_equal(config(EVERY, 0, FW(21)), 4);
	assert_int_equal(pmu(2, 31, 1, 0, FW(6), 0).value, 31);
	assert_int_equal(config(FW_ALL, 0, CYCLES), VSBI_NOT_SUPPORTED);
	assert_int_equal(config(HW, 0, FW(0)), VSBI_NOT_SUPPORTED);
	assert_int_equal(config(1, 0, INSTRUCTIONS), VSBI_NOT_SUPPORTED);
	assert_int_equal(config(0, 0, FW(0)), VSBI_NOT_SUPPORTED);
}

static void events_that_nothing_counts_are_not_supported(void **state)
{
	static const u64 events[] = {
		0, 3, 10, 11, 0x10000, 0x20000, 0x30000, FW(22), FW(255),
		FW(256), FW(65535), 0x100001, 0x1000f0005, ALL,
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_LEN(events); i++)
		assert_int_equal(config(EVERY, 0, events[i]),
				 VSBI_NOT_SUPPORTED);
	expect_ret(pmu(2, 0, EVERY, 0, FW(5), 1), VSBI_NOT_SUPPORTED, 0);
	expect_ret(pmu(2, 0, EVERY, 0, CYCLES, 1), VSBI_NOT_SUPPORTED, 0);
}

static void skip_match_takes_the_first_of_the_set(void **state)
{
	(void)state;
	assert_int_equal(config(0x60, SKIP, FW(5)), 5);
	assert_int_equal(config(0x60, 0, FW(5)), 6);
	assert_int_equal(config(0x60, SKIP, FW(6)), 5);
	assert_int_equal(config(EVERY, SKIP, FW(5)), VSBI_NOT_SUPPORTED);
}

static void a_started_counter_is_not_configured_anew(void **state)
{
	(void)state;
	assert_int_equal(config(8, AUTO, FW(5)), 3);
	assert_int_equal(config(8, 0, FW(6)), VSBI_NOT_SUPPORTED);
	assert_int_equal(config(8, SKIP, FW(6)), VSBI_NOT_SUPPORTED);
	assert_int_equal(stop(8, 0), 0);
	assert_int_equal(config(8, 0, FW(6)), 3);
}

static void of_counters_that_have_an_event_the_first_is_taken(void **state)
{
	(void)state;
	assert_int_equal(config(0x60, 0, FW(5)), 5);
	assert_int_equal(config(0x60, 0, FW(6)), 6);
	assert_int_equal(config(0x60, 0, FW(7)), 5);
	assert_int_equal(config(0xe0, 0, FW(8)), 7);
}

static void starting_and_stopping_twice_is_told(void **state)
{
	(void)state;
	config(8, 0, FW(5));
	config(16, 0, FW(6));
	assert_int_equal(stop(8, 0), VSBI_ALREADY_STOPPED);
	assert_int_equal(start(8, 0, 0), 0);
	/* The other one is started all the same. */
	assert_int_equal(start(24, 0, 0), VSBI_ALREADY_STARTED);
	assert_int_equal(fake_vcpu(0)->pmu.started, 24);
	assert_int_equal(stop(8, 0), 0);
	assert_int_equal(stop(24, 0), VSBI_ALREADY_STOPPED);
	assert_int_equal(fake_vcpu(0)->pmu.started, 0);
	/* No event, nothing to start. */
	assert_int_equal(start(32, 0, 0), VSBI_INVALID_PARAM);
	assert_int_equal(stop(24, 1), VSBI_ALREADY_STOPPED);
	assert_int_equal(start(8, 0, 0), VSBI_INVALID_PARAM);
}

static void who_has_not_configured_reads_the_hart(void **state)
{
	u64 val;

	(void)state;
	assert_int_equal(fake_vcpu(0)->hcounteren, 7);
	assert_false(csr_trap(CSR_CYCLE, false, &val));
	assert_null(fake_vcpu(0)->v.waits);
	config(1, 0, CYCLES);
	assert_int_equal(w.hart.hcounteren, 6);
	assert_int_equal(fake_vcpu(0)->hcounteren, 6);
	assert_false(csr_trap(CSR_INSTRET, false, &val));
	config(4, 0, INSTRUCTIONS);
	assert_int_equal(w.hart.hcounteren, 2);
	stop(5, 1);
	assert_int_equal(w.hart.hcounteren, 7);
	assert_false(csr_trap(CSR_CYCLE, false, &val));
	assert_null(fake_vcpu(0)->v.waits);
}

static void cycles_count_from_where_they_are_told_to(void **state)
{
	(void)state;
	w.hart.cycle = 1000;
	config(1, CLEAR, CYCLES);
	assert_int_equal(cycle(), 0);
	w.hart.cycle = 1100;
	assert_int_equal(cycle(), 0);
	assert_int_equal(start(1, 1, -5ULL), 0);
	assert_true(cycle() == -5ULL);
	w.hart.cycle = 1150;
	assert_int_equal(cycle(), 45);
	stop(1, 0);
	w.hart.cycle = 1190;
	assert_int_equal(cycle(), 45);
	start(1, 0, 77);
	w.hart.cycle = 1200;
	assert_int_equal(cycle(), 55);
}

static void what_passes_while_others_run_is_not_counted(void **state)
{
	struct riscv_vcpu *v = fake_vcpu(0);

	(void)state;
	w.hart.cycle = 1000;
	config(1, AUTO | CLEAR, CYCLES);
	w.hart.cycle = 1010;
	v->csr_on = v->host;
	v->v.waits(&v->v, true);
	vpmu_pause(v); /* saved: nothing new */
	assert_null(v->csr_on);
	w.hart.cycle = 5000;
	assert_int_equal(cycle(), 10);
	/* On another hart, whose counter is behind. */
	w.hart.cycle = 7;
	vpmu_resume(v);
	v->v.waits(&v->v, false);
	w.hart.cycle = 9;
	assert_int_equal(cycle(), 12);
}

static void a_counter_started_counts_from_then_on_only(void **state)
{
	struct riscv_vcpu *v = fake_vcpu(0);
	u64 val;

	(void)state;
	w.hart.cycle = w.hart.instret = 50;
	config(1, AUTO | CLEAR, CYCLES);
	w.hart.cycle = w.hart.instret = 60;
	config(4, AUTO | CLEAR, INSTRUCTIONS);
	w.hart.cycle = w.hart.instret = 65;
	assert_int_equal(cycle(), 15);
	assert_true(csr_trap(CSR_INSTRET, false, &val));
	assert_int_equal(val, 5);
	stop(1, 1);
	vpmu_pause(v);
	w.hart.instret = 900;
	vpmu_resume(v);
	assert_true(csr_trap(CSR_INSTRET, false, &val));
	assert_int_equal(val, 5);
}

static void only_reads_of_what_is_kept_are_answered(void **state)
{
	static const u32 not[] = {
		0xc0151573, /* csrrw from a register, to cycle + 1 */
		0xc0059573, /* csrrw a0, cycle, a1 */
		0xc005a573, /* csrrs a0, cycle, a1 */
		0xc000d573, /* csrrwi a0, cycle, 1 */
		0xc0002503, /* a load */
		0xc0102573, /* time */
		0xc0302573, /* hpmcounter3 */
		0xc8002573, /* cycleh */
		0x10500073, /* wfi */
		0xc0004573, /* a hypervisor load's funct3 */
	};
	struct riscv_vcpu *v = fake_vcpu(0);
	u64 val;

	(void)state;
	config(1, 0, CYCLES);
	config(4, 0, INSTRUCTIONS);
	for (u32 i = 0; i < ARRAY_LEN(not); i++)
		assert_false(vpmu_csr_read(v, not[i], false, &val));
	assert_true(vpmu_csr_read(v, 0xc0003573, false, &val)); /* csrrc */
	assert_true(vpmu_csr_read(v, 0xc0006573, false, &val)); /* csrrsi */
	assert_false(csr_trap(CSR_CYCLE, true, &val));
	w.hart.scounteren = 1;
	assert_true(csr_trap(CSR_CYCLE, true, &val));
	assert_false(csr_trap(CSR_INSTRET, true, &val));
}

static void firmware_events_are_counted_while_somebody_counts(void **state)
{
	struct riscv_vcpu *v = fake_vcpu(0);

	(void)state;
	v->quick = 1;
	CALL(VSBI_EID_TIME, 0, 5);
	config(8, 0, FW(VPMU_SET_TIMER));
	CALL(VSBI_EID_TIME, 0, 5);
	assert_int_equal(v->quick, 1);
	assert_int_equal(fw_read(3), 0);
	start(8, 1, 100);
	assert_int_equal(v->quick, 0);
	CALL(VSBI_EID_TIME, 0, 5);
	CALL(VSBI_LEGACY_SET_TIMER, 0, 5);
	assert_int_equal(fw_read(3), 102);
	expect_ret(pmu(6, 3, 0, 0, 0, 0), 0, 0);
	stop(8, 0);
	assert_int_equal(v->quick, 1);
	CALL(VSBI_EID_TIME, 0, 5);
	assert_int_equal(fw_read(3), 102);
}

/* What quick_set asks for. */
bool mmio_htinst_off;
struct emul_dev emul_nowhere;
static struct emul_dev device;
static u32 slots_asked;

struct emul_dev *emul_slot(const struct guest *g, u32 slot)
{
	(void)g;
	(void)slot;
	slots_asked++;
	return &device;
}

bool cmdline_is(const char *key, const char *value)
{
	(void)key;
	(void)value;
	return false;
}

/* Tracing (t) and counting (c) begin and end in that order; upper case: begins.
 * After each step the short ways are what the two leave of them, and all calls
 * that came while it counted were counted. */
static void trace_and_count(const char *order)
{
	struct riscv_vcpu *v = fake_vcpu(0);
	bool traced = false, counts = false;
	u64 calls = 0;

	quick_reset(v);
	config(8, CLEAR, FW(VPMU_SET_TIMER));
	for (; *order; order++) {
		switch (*order) {
		case 'T':
		case 't':
			traced = *order == 'T';
			arch_vcpu_trace(&v->v, traced ? TRACE_ALL : 0);
			break;
		case 'C':
			assert_int_equal(start(8, 0, 0), 0);
			counts = true;
			break;
		default:
			assert_int_equal(stop(8, 0), 0);
			counts = false;
		}
		assert_int_equal(v->quick, !traced && !counts);
		assert_ptr_equal(v->slot[0], traced ? &emul_nowhere : &device);
		CALL(VSBI_EID_TIME, 0, 5);
		calls += counts;
		assert_int_equal(fw_read(3), calls);
	}
	assert_int_equal(v->quick, 1);
}

static void tracing_and_counting_come_and_go_in_any_order(void **state)
{
	static const char *const order[] = {
		"TtCc", "TCtc", "TCct", "CTtc", "CTct", "CcTt", "TCcCct",
		"CTtTtc",
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_LEN(order); i++)
		trace_and_count(order[i]);
}

/* A reset ends both: whoever traces says so again. */
static void a_reset_ends_tracing_and_counting(void **state)
{
	struct riscv_vcpu *v = fake_vcpu(0);

	(void)state;
	config(8, 0, FW(VPMU_SET_TIMER));
	start(8, 0, 0);
	arch_vcpu_trace(&v->v, TRACE_EXIT);
	vsbi_pmu_reset(v);
	quick_reset(v);
	assert_int_equal(v->quick, 1);
	arch_vcpu_trace(&v->v, TRACE_EXIT);
	assert_int_equal(v->quick, 0);
	assert_ptr_equal(v->slot[0], &emul_nowhere);
}

static void only_what_quick_ways_pass_by_keeps_a_vcpu_from_them(void **state)
{
	struct riscv_vcpu *v = fake_vcpu(0);

	(void)state;
	quick_reset(v);
	for (u32 class = 1; class <= TRACE_STATS; class *= 2) {
		bool on = !(class & QUICK_PASSES);

		arch_vcpu_trace(&v->v, class);
		assert_int_equal(v->quick, on);
		assert_int_equal(v->pause, on);
		assert_int_equal(v->odd & VCPU_ODD_TRACED,
				 on ? 0 : VCPU_ODD_TRACED);
		assert_ptr_equal(v->slot[0], on ? &device : &emul_nowhere);
	}
	arch_vcpu_trace(&v->v, TRACE_ALL & ~QUICK_PASSES);
	assert_int_equal(v->quick, 1);
	arch_vcpu_trace(&v->v, TRACE_ALL);
	assert_int_equal(v->quick, 0);
	arch_vcpu_trace(&v->v, 0);
	assert_int_equal(v->quick, 1);
}

static void who_starts_again_looks_for_no_device_again(void **state)
{
	struct riscv_vcpu *v = fake_vcpu(0);

	(void)state;
	slots_asked = 0;
	quick_reset(v);
	assert_int_equal(slots_asked, EMUL_SLOTS);
	quick_reset(v);
	assert_int_equal(slots_asked, EMUL_SLOTS);
	arch_vcpu_trace(&v->v, TRACE_EXIT);
	quick_reset(v);
	assert_int_equal(slots_asked, 2 * EMUL_SLOTS);
	assert_ptr_equal(v->slot[EMUL_SLOTS - 1], &device);
}

static void two_counters_of_one_event_are_their_own(void **state)
{
	(void)state;
	config(8, AUTO | CLEAR, FW(VPMU_SET_TIMER));
	CALL(VSBI_EID_TIME, 0, 5);
	config(16, AUTO | CLEAR, FW(VPMU_SET_TIMER));
	CALL(VSBI_EID_TIME, 0, 5);
	stop(8, 0);
	CALL(VSBI_EID_TIME, 0, 5);
	assert_int_equal(fw_read(3), 2);
	assert_int_equal(fw_read(4), 2);
}

static void reads_of_what_is_no_firmware_counter_are_refused(void **state)
{
	static const u64 ids[] = { 0, 1, 2, 32, 1ULL << 32, ALL };

	(void)state;
	for (u32 i = 0; i < ARRAY_LEN(ids); i++)
		for (u64 fid = 5; fid <= 6; fid++)
			expect_ret(pmu(fid, ids[i], 0, 0, 0, 0),
				   VSBI_INVALID_PARAM, 0);
}

static void ipis_are_counted_at_both_ends(void **state)
{
	struct riscv_vcpu *v = fake_vcpu(0);

	(void)state;
	fake_started(1, VCPU_QUEUED);
	fake_started(2, VCPU_QUEUED);
	config(8, AUTO, FW(VPMU_IPI_SENT));
	CALL(VSBI_EID_IPI, 0, 0xf, 0); /* 3 is stopped */
	assert_int_equal(fw_read(3), 2);
	/* The one to itself is there, and is nobody's. */
	assert_int_equal(v->v.virq, 0);
	assert_int_equal(w.hart.hvip & 4, 4);
}

static void fences_are_counted_at_both_ends(void **state)
{
	struct vpmu *p = &fake_vcpu(1)->pmu;

	(void)state;
	fake_started(1, VCPU_QUEUED);
	for (u32 i = 0; i < 3; i++)
		config(8u << i, AUTO, FW(VPMU_FENCE_I_SENT + 2 * i));
	p->fw_on = 1;
	CALL(VSBI_EID_RFENCE, 0, 3, 0);
	CALL(VSBI_EID_RFENCE, 1, 3, 0, 0, 0);
	CALL(VSBI_EID_RFENCE, 1, 2, 0, 0x1000, 0x1000);
	CALL(VSBI_EID_RFENCE, 2, 2, 0, 0x1000, 0x1000, 9);
	CALL(VSBI_EID_RFENCE, 2, 1, 0, 0x1000, 0x1000, 9); /* itself */
	assert_int_equal(fw_read(3), 1);
	assert_int_equal(fw_read(4), 2);
	assert_int_equal(fw_read(5), 1);
	assert_int_equal(p->fw[VPMU_FENCE_I_RECEIVED], 1);
	assert_int_equal(p->fw[VPMU_SFENCE_RECEIVED], 2);
	assert_int_equal(p->fw[VPMU_SFENCE_ASID_RECEIVED], 1);
	assert_int_equal(p->fw[VPMU_FENCE_I_SENT], 0);
}

static void traps_are_counted_by_their_cause(void **state)
{
	static const u8 causes[] = { CAUSE_LOAD_MISALIGNED,
				     CAUSE_STORE_MISALIGNED, CAUSE_LOAD_ACCESS,
				     CAUSE_STORE_ACCESS, CAUSE_ILLEGAL };
	struct riscv_vcpu *v = fake_vcpu(0);

	(void)state;
	for (u32 i = 0; i < 5; i++)
		config(8u << i, AUTO, FW(i));
	for (u32 cause = 0; cause < 64; cause++)
		vpmu_trap(v, cause);
	for (u32 i = 0; i < 5; i++) {
		vpmu_trap(v, causes[i]);
		assert_int_equal(fw_read(3 + i), 2);
	}
}

static void snapshots_need_a_page(void **state)
{
	(void)state;
	config(8, 0, FW(5));
	assert_int_equal(start(8, 2, 0), VSBI_NO_SHMEM);
	assert_int_equal(start(8, 0, 0), 0);
	assert_int_equal(stop(8, 2), VSBI_NO_SHMEM);
	/* Not stopped. */
	assert_int_equal(stop(8, 0), 0);
	expect_ret(pmu(7, FAKE_RAM_BASE, 0, 1, 0, 0), VSBI_INVALID_PARAM, 0);
	expect_ret(pmu(7, FAKE_RAM_BASE + 64, 0, 0, 0, 0), VSBI_INVALID_PARAM,
		   0);
	expect_ret(pmu(7, ALL, 0, 0, 0, 0), VSBI_INVALID_PARAM, 0);
	expect_ret(pmu(7, 0, 0, 0, 0, 0), VSBI_INVALID_ADDRESS, 0);
	expect_ret(pmu(7, FAKE_RAM_BASE, 1, 0, 0, 0), VSBI_INVALID_ADDRESS, 0);
	expect_ret(pmu(7, FAKE_RAM_BASE + FAKE_RAM_BYTES, 0, 0, 0, 0),
		   VSBI_INVALID_ADDRESS, 0);
	shmem();
	assert_int_equal(start(8, 2, 0), 0);
	expect_ret(pmu(7, ALL, ALL, 0, 0, 0), 0, 0);
	assert_int_equal(stop(8, 2), VSBI_NO_SHMEM);
}

static void a_snapshot_holds_what_stopped_and_starts_what_it_holds(void **state)
{
	(void)state;
	memset(w.ram, 0x55, sizeof(w.ram));
	shmem();
	/* Nothing was touched. */
	assert_int_equal(*snapshot(0), 0x5555555555555555);
	w.hart.cycle = 100;
	config(1, AUTO | CLEAR, CYCLES);
	config(8, AUTO | CLEAR, FW(5));
	config(16, AUTO | CLEAR, FW(6));
	w.hart.cycle = 130;
	CALL(VSBI_EID_TIME, 0, 1);
	assert_int_equal(stop(9, 2), 0);
	assert_int_equal(*snapshot(0), 0);
	assert_int_equal(*snapshot(1), 30);
	assert_int_equal(*snapshot(4), 1);
	assert_int_equal(*snapshot(5), 0x5555555555555555);
	/* Relative to the base. */
	assert_int_equal(pmu(4, 4, 1, 2, 0, 0).error, 0);
	assert_int_equal(*snapshot(1), 0);
	*snapshot(1) = 1000;
	*snapshot(4) = 2000;
	assert_int_equal(start(9, 2, 0), 0);
	w.hart.cycle = 135;
	assert_int_equal(cycle(), 1005);
	assert_int_equal(fw_read(3), 2000);
	*snapshot(1) = 7;
	assert_int_equal(pmu(3, 4, 1, 2, 0, 0).error, 0);
	assert_int_equal(fw_read(4), 7);
}

struct entry {
	u32 event, output;
	u64 data;
};

static struct fake_ret info(u64 at, u64 n, u64 hi, u64 flags)
{
	return fake_call(VSBI_EID_PMU, 8, at, hi, n, flags, 0);
}

static void event_info_says_which_events_there_are(void **state)
{
	static const struct entry table[] = {
		{ CYCLES, 1, 0 }, { INSTRUCTIONS, 1, 0 }, { 0, 0, 0 },
		{ 3, 0, 0 }, { CYCLES, 1, 99 }, { 0x10000, 0, 0 },
		{ 0x20000, 0, 0 }, { 0x30000, 0, 7 }, { FW(0), 1, 0 },
		{ FW(21), 1, 0 }, { FW(22), 0, 0 }, { FW(65535), 0, 3 },
		{ FW(5), 0, 1 }, { 0x40000, 0, 0 }, { 0x40001, 0, 1 },
		{ 0x90000, 0, 0 }, { 0xe0000, 0, 0 },
	};
	struct entry *e = (struct entry *)(void *)(w.ram + 16);

	(void)state;
	memset(w.ram, 0xee, sizeof(w.ram));
	memcpy(e, table, sizeof(table));
	for (u32 i = 0; i < ARRAY_LEN(table); i++)
		e[i].output = 0x77777777;
	expect_ret(info(FAKE_RAM_BASE + 16, ARRAY_LEN(table), 0, 0), 0, 0);
	assert_memory_equal(e, table, sizeof(table));
	assert_int_equal(w.ram[15], 0xee);
	assert_int_equal(w.ram[16 + sizeof(table)], 0xee);
	expect_ret(info(FAKE_RAM_BASE, 0, 0, 0), 0, 0);
}

static void event_info_refuses_what_is_wrong(void **state)
{
	static const u32 bad[] = { 0x100001, 0x80000001, 0xfff0000f, 0x1f0000,
				   0x140000 };
	struct entry *e = (struct entry *)(void *)w.ram;
	u64 end = FAKE_RAM_BASE + FAKE_RAM_BYTES;

	(void)state;
	expect_ret(info(FAKE_RAM_BASE, 1, 0, 1), VSBI_INVALID_PARAM, 0);
	expect_ret(info(FAKE_RAM_BASE + 8, 1, 0, 0), VSBI_INVALID_PARAM, 0);
	expect_ret(info(FAKE_RAM_BASE, 1, 1, 0), VSBI_INVALID_ADDRESS, 0);
	expect_ret(info(end - 16, 2, 0, 0), VSBI_INVALID_ADDRESS, 0);
	expect_ret(info(end - 16, 1, 0, 0), 0, 0);
	/* No entry, no address that is not RAM. */
	expect_ret(info(0, 0, 0, 0), 0, 0);
	expect_ret(info(FAKE_RAM_BASE, 1ULL << 60, 0, 0), VSBI_INVALID_ADDRESS,
		   0);
	for (u32 i = 0; i < ARRAY_LEN(bad); i++) {
		e->event = bad[i];
		expect_ret(info(FAKE_RAM_BASE, 1, 0, 0), VSBI_INVALID_PARAM, 0);
	}
}

static u32 told(const struct entry *e, u64 n)
{
	u32 found = 0;

	for (u64 i = 0; i < n; i++)
		found += e[i].output == 1;
	return found;
}

/* Turns of a call about `n` entries from `at` on, at most a page in each. */
static u32 info_turns(u64 at, u64 n, struct fake_ret *r)
{
	const struct entry *e =
		(const struct entry *)(void *)(w.ram + (at - FAKE_RAM_BASE));
	struct riscv_vcpu *v = fake_vcpu(0);
	u32 turns = 1, before = told(e, n), now;
	bool over;

	*r = info(at, n, 0, 0);
	over = r->next == NEXT_ADVANCE;
	/* Behind the call, and not in the guest. */
	assert_true(over || r->next == NEXT_YIELD);
	for (;; turns++) {
		now = told(e, n);
		assert_in_range(now - before, 0, PAGE_BYTES / sizeof(*e));
		before = now;
		if (over)
			break;
		over = vsbi_run_begin(v);
	}
	r->error = (s64)v->x[10];
	r->value = v->x[11];
	return turns;
}

static void event_info_about_very_many_takes_several_turns(void **state)
{
	struct entry *e = (struct entry *)(void *)w.ram;
	u64 n = FAKE_RAM_BYTES / sizeof(*e);
	struct fake_ret r;

	(void)state;
	for (u64 i = 0; i < n; i++)
		e[i] = (struct entry){ .event = CYCLES };
	/* From the middle of a page to the middle of the last one. */
	assert_int_equal(info_turns(FAKE_RAM_BASE + 0x810, n - 0x100, &r),
			 FAKE_RAM_BYTES / PAGE_BYTES);
	assert_int_equal(r.error, VSBI_OK);
	for (u64 i = 0; i < n; i++)
		assert_int_equal(e[i].output, i >= 0x81 && i < n - 0x7f);
	/* One that is wrong is told in its turn, and ends the call. */
	memset(w.ram, 0, sizeof(w.ram));
	e[3000].event = 0x100001;
	e[3001].output = 5;
	assert_int_equal(info_turns(FAKE_RAM_BASE, n, &r), 12);
	assert_int_equal(r.error, VSBI_INVALID_PARAM);
	assert_int_equal(r.value, 0);
	assert_int_equal(e[3001].output, 5);
	assert_true(vsbi_run_begin(fake_vcpu(0)));
	assert_int_equal(e[3001].output, 5);
}

static void event_info_of_a_call_that_is_over_is_not_taken_up(void **state)
{
	struct entry *e = (struct entry *)(void *)w.ram;
	struct riscv_vcpu *v = fake_vcpu(0);
	struct fake_ret r;

	(void)state;
	for (u64 i = 0; i < FAKE_RAM_BYTES / sizeof(*e); i++)
		e[i] = (struct entry){ .event = CYCLES };
	/* Its guest starts anew in the midst of it. */
	assert_int_equal(info(FAKE_RAM_BASE, 600, 0, 0).next, NEXT_YIELD);
	vsbi_hart_clear(v);
	fake_started(0, VCPU_RUNNING);
	assert_true(vsbi_run_begin(v));
	assert_int_equal(e[599].output, 0);
	/* Another call, of more from the same address on, begins there. */
	e[0].output = e[300].output = 0;
	assert_int_equal(info_turns(FAKE_RAM_BASE, 1200, &r), 5);
	assert_int_equal(r.error, VSBI_OK);
	assert_int_equal(e[0].output, 1);
	assert_int_equal(e[300].output, 1);
	assert_int_equal(e[1199].output, 1);
}

static void a_reset_leaves_nothing(void **state)
{
	struct riscv_vcpu *v = fake_vcpu(0);
	u64 val;

	(void)state;
	shmem();
	config(1, AUTO, CYCLES);
	config(8, AUTO, FW(5));
	CALL(VSBI_EID_TIME, 0, 1);
	vsbi_vcpu_reset(v);
	assert_int_equal(v->hcounteren, 7);
	assert_null(v->v.waits);
	assert_int_equal(v->pmu.fw_on, 0);
	assert_false(csr_trap(CSR_CYCLE, false, &val));
	assert_int_equal(start(8, 0, 0), VSBI_INVALID_PARAM);
	assert_int_equal(stop(8, 2), VSBI_NO_SHMEM);
	assert_int_equal(config(8, AUTO, FW(5)), 3);
	assert_int_equal(fw_read(3), 0);
}

#define T(name) cmocka_unit_test_setup(name, fake_setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_counters_are_what_they_say),
		T(harts_without_counters_have_no_hardware_counters),
		T(a_set_with_a_counter_that_is_not_there_is_refused),
		T(a_set_of_none_is_right_wherever_it_begins),
		T(flags_that_are_reserved_are_refused),
		T(an_event_finds_a_counter_that_can_count_it),
		T(events_that_nothing_counts_are_not_supported),
		T(skip_match_takes_the_first_of_the_set),
		T(a_started_counter_is_not_configured_anew),
		T(of_counters_that_have_an_event_the_first_is_taken),
		T(starting_and_stopping_twice_is_told),
		T(who_has_not_configured_reads_the_hart),
		T(cycles_count_from_where_they_are_told_to),
		T(what_passes_while_others_run_is_not_counted),
		T(a_counter_started_counts_from_then_on_only),
		T(only_reads_of_what_is_kept_are_answered),
		T(firmware_events_are_counted_while_somebody_counts),
		T(tracing_and_counting_come_and_go_in_any_order),
		T(a_reset_ends_tracing_and_counting),
		T(only_what_quick_ways_pass_by_keeps_a_vcpu_from_them),
		T(who_starts_again_looks_for_no_device_again),
		T(two_counters_of_one_event_are_their_own),
		T(reads_of_what_is_no_firmware_counter_are_refused),
		T(ipis_are_counted_at_both_ends),
		T(fences_are_counted_at_both_ends),
		T(traps_are_counted_by_their_cause),
		T(snapshots_need_a_page),
		T(a_snapshot_holds_what_stopped_and_starts_what_it_holds),
		T(event_info_says_which_events_there_are),
		T(event_info_refuses_what_is_wrong),
		T(event_info_about_very_many_takes_several_turns),
		T(event_info_of_a_call_that_is_over_is_not_taken_up),
		T(a_reset_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
