/*
 * The virtual PLIC against the RISC-V PLIC specification 1.0.0.
 *
 * Levels are asked as a vCPU's CPU would: the last answer of eval is kept until
 * VIRQ_EXTERNAL is raised. So a kick that is missing shows as a wrong level.
 */
/* sources: PLIC emul/bus.c emul/devices.c kernel/config.c
 *          tests/unit/fake_emul.c tests/unit/fake_trace.c */
#include <stdlib.h>
#include <string.h>

#include "tests/unit/fake_emul.h"

#define AT 0x0c000000ull
#define PENDING(w) (AT + 0x1000 + 4 * (w))
#define ENABLE(ctx, w) (AT + 0x2000 + 0x80 * (ctx) + 4 * (w))
#define THRESHOLD(ctx) (AT + 0x200000 + 0x1000 * (ctx))
#define CLAIM(ctx) (THRESHOLD(ctx) + 4)
#define M(hart) (2 * (hart))
#define S(hart) (2 * (hart) + 1)

/* The controller and, so that every line is a device's, 1023 of those. */
static struct emul_dev dev[1024];
static const struct emul_ops line_ops = { .name = "line" };
static bool level[FAKE_VCPUS];

static int plic_up(u32 vcpus)
{
	int err;

	fake_start(vcpus);
	memset(level, 0, sizeof(level));
	for (u32 i = 0; i < 1024; i++)
		dev[i] = (struct emul_dev){ .ops = &line_ops, .irq = i,
					    .base = { 0x20000000 + i * 4096 },
					    .guest = &fake.guest };
	dev[0].ops = __start_rouse_emul[0];
	dev[0].base = dev[0].ops->base;
	dev[0].read = dev[0].ops->read;
	dev[0].write = dev[0].ops->write;
	dev[0].limit[2] = dev[0].ops->bytes;
	dev[0].state = aligned_alloc(64, dev[0].ops->state_bytes);
	memset(dev[0].state, 0, dev[0].ops->state_bytes);
	fake.guest.devices = dev;
	fake.guest.device_count = 1024;
	fake.guest.irqchip = dev;
	err = dev->ops->init(dev);
	if (err)
		return err;
	for (u32 i = 1; i < 1024; i++)
		dev[i].line = dev->ops->line(dev, &dev[i]);
	for (u32 i = 0; i < vcpus; i++)
		fake.vcpu[i]->pin = dev->ops->pin(dev, fake.vcpu[i]);
	dev->ops->reset(dev);
	return 0;
}

static void plic_down(void)
{
	free(dev->state);
	fake_stop();
}

static int start(void **state)
{
	(void)state;
	return plic_up(4);
}

static int stop(void **state)
{
	(void)state;
	dev->ops->fini(dev);
	assert_int_equal(fake.live, 0);
	plic_down();
	return 0;
}

static void wr(u64 at, u32 val)
{
	/* What lies above the access's width is anything. */
	fake_write(at, 4, 0xbad0bad000000000ull | val);
}

static u32 rd(u64 at)
{
	u64 val = fake_read(at, 4);

	assert_int_equal(val >> 32, 0);
	return (u32)val;
}

static void priority(u32 src, u32 val)
{
	wr(AT + 4 * src, val);
}

static void enable(u32 ctx, u32 src)
{
	u64 at = ENABLE(ctx, src / 32);

	wr(at, rd(at) | 1u << src % 32);
}

static void disable(u32 ctx, u32 src)
{
	u64 at = ENABLE(ctx, src / 32);

	wr(at, rd(at) & ~(1u << src % 32));
}

static void line(u32 src, bool up)
{
	emul_irq_set(&dev[src], up);
}

static bool pending(u32 src)
{
	return rd(PENDING(src / 32)) >> src % 32 & 1;
}

static bool asserted(u32 hart)
{
	struct vcpu *v = fake.vcpu[hart];

	if (v->virq & VIRQ_EXTERNAL) {
		v->virq &= ~VIRQ_EXTERNAL;
		level[hart] = emul_eval(v);
	}
	return level[hart];
}

/* A source as a driver sets it up: priority 1, for hart 0's S-mode. */
static void plain(u32 src)
{
	priority(src, 1);
	enable(S(0), src);
}

static u32 claim(u32 ctx)
{
	return rd(CLAIM(ctx));
}

static void complete(u32 ctx, u32 src)
{
	wr(CLAIM(ctx), src);
}

static void all_registers_are_zero_after_reset(void **state)
{
	(void)state;
	plain(9);
	wr(THRESHOLD(M(2)), 5);
	dev->ops->reset(dev);
	for (u32 off = 0; off < 0x4000; off += 4)
		assert_int_equal(rd(AT + off), 0);
	for (u32 ctx = 0; ctx < 8; ctx++) {
		assert_int_equal(rd(THRESHOLD(ctx)), 0);
		assert_int_equal(claim(ctx), 0);
	}
}

static void priorities_keep_three_bits(void **state)
{
	(void)state;
	for (u32 val = 0; val < 8; val++) {
		priority(1, val);
		priority(1023, 0xfffffff8 | val);
		assert_int_equal(rd(AT + 4), val);
		assert_int_equal(rd(AT + 0xffc), val);
	}
}

static void thresholds_keep_three_bits(void **state)
{
	(void)state;
	for (u32 val = 0; val < 8; val++) {
		wr(THRESHOLD(S(3)), 0xabcdef00 | val);
		assert_int_equal(rd(THRESHOLD(S(3))), val);
		assert_int_equal(rd(THRESHOLD(M(3))), 0);
	}
}

static void enables_hold_for_their_context_alone(void **state)
{
	(void)state;
	wr(ENABLE(S(1), 31), 0x80000001);
	wr(ENABLE(M(1), 2), 0xffffffff);
	assert_int_equal(rd(ENABLE(S(1), 31)), 0x80000001);
	assert_int_equal(rd(ENABLE(M(1), 2)), 0xffffffff);
	assert_int_equal(rd(ENABLE(M(1), 31)), 0);
	assert_int_equal(rd(ENABLE(S(1), 2)), 0);
	assert_int_equal(rd(ENABLE(M(2), 2)), 0);
}

static void source_0_does_not_exist(void **state)
{
	(void)state;
	priority(0, 7);
	assert_int_equal(rd(AT), 0);
	wr(ENABLE(S(0), 0), 0xffffffff);
	assert_int_equal(rd(ENABLE(S(0), 0)), 0xfffffffe);
	complete(S(0), 0);
	assert_int_equal(rd(PENDING(0)), 0);
}

static void reserved_registers_are_zero(void **state)
{
	static const u32 off[] = {
		0x1080, 0x1ffc,
		0x2000 + 0x80 * 8, 0x1f1ffc, 0x1f2000, 0x1ffffc,
		0x200008, 0x200ffc, 0x201008,
		0x200000 + 0x1000 * 8, 0x200004 + 0x1000 * 8, 0x5ffffc,
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_LEN(off); i++) {
		wr(AT + off[i], 0xffffffff);
		assert_int_equal(rd(AT + off[i]), 0);
	}
}

static void only_aligned_words_are_accessed(void **state)
{
	static const u32 width[] = { 1, 2, 8 };
	struct vcpu *v = fake.vcpu[0];
	u64 val;

	(void)state;
	for (u32 i = 0; i < 3; i++) {
		struct gpa at = { AT + 8 };

		assert_int_equal(emul_read(&fake.guest, v, at, width[i], &val),
				 EMUL_FAULT);
		assert_int_equal(emul_write(&fake.guest, v, at, width[i], 1),
				 EMUL_FAULT);
	}
	assert_int_equal(emul_read(&fake.guest, v, (struct gpa){ AT + 6 }, 4,
				   &val), EMUL_FAULT);
	assert_int_equal(emul_read(&fake.guest, v,
				   (struct gpa){ AT + 0x600000 }, 4, &val),
			 EMUL_FAULT);
	assert_int_equal(rd(AT + 8), 0);
}

static void pending_bits_show_lines_and_are_read_only(void **state)
{
	(void)state;
	line(33, true);
	line(1023, true);
	assert_int_equal(rd(PENDING(1)), 2);
	assert_int_equal(rd(PENDING(31)), 0x80000000);
	wr(PENDING(1), 0);
	wr(PENDING(2), 0xffffffff);
	assert_int_equal(rd(PENDING(1)), 2);
	assert_int_equal(rd(PENDING(2)), 0);
}

static void an_enabled_line_asserts_and_is_claimed_once(void **state)
{
	(void)state;
	plain(10);
	assert_false(asserted(0));
	line(10, true);
	assert_true(asserted(0));
	assert_int_equal(claim(S(0)), 10);
	assert_false(pending(10));
	assert_false(asserted(0));
	assert_int_equal(claim(S(0)), 0);
}

static void priority_0_never_interrupts(void **state)
{
	(void)state;
	enable(S(0), 10);
	line(10, true);
	assert_true(pending(10));
	assert_false(asserted(0));
	assert_int_equal(claim(S(0)), 0);
}

static void a_source_not_enabled_never_interrupts(void **state)
{
	(void)state;
	priority(10, 7);
	enable(S(1), 11);
	line(10, true);
	assert_false(asserted(0));
	assert_false(asserted(1));
	assert_int_equal(claim(S(1)), 0);
	assert_true(pending(10));
}

static void the_threshold_masks_up_to_itself(void **state)
{
	(void)state;
	plain(10);
	priority(10, 3);
	for (u32 t = 0; t < 8; t++) {
		wr(THRESHOLD(S(0)), t);
		line(10, true);
		assert_int_equal(asserted(0), t < 3);
		line(10, false);
		claim(S(0));
		complete(S(0), 10);
		assert_false(asserted(0));
	}
}

static void a_claim_does_not_heed_the_threshold(void **state)
{
	(void)state;
	plain(10);
	wr(THRESHOLD(S(0)), 7);
	line(10, true);
	assert_false(asserted(0));
	assert_int_equal(claim(S(0)), 10);
}

static void the_highest_priority_is_claimed_first(void **state)
{
	(void)state;
	for (u32 i = 1; i <= 7; i++) {
		plain(i * 100);
		priority(i * 100, i);
		line(i * 100, true);
	}
	for (u32 i = 7; i >= 1; i--) {
		assert_true(asserted(0));
		assert_int_equal(claim(S(0)), i * 100);
	}
	assert_false(asserted(0));
}

static void among_equals_the_lowest_number_is_first(void **state)
{
	static const u32 src[] = { 1, 15, 16, 17, 31, 32, 63, 64, 1022, 1023 };

	(void)state;
	for (u32 i = ARRAY_LEN(src); i-- > 0;) {
		plain(src[i]);
		line(src[i], true);
	}
	for (u32 i = 0; i < ARRAY_LEN(src); i++)
		assert_int_equal(claim(S(0)), src[i]);
}

static void all_1023_sources_can_be_served(void **state)
{
	(void)state;
	for (u32 src = 1; src < 1024; src++) {
		plain(src);
		line(src, true);
		assert_true(asserted(0));
		assert_int_equal(claim(S(0)), src);
		assert_false(asserted(0));
		line(src, false);
		complete(S(0), src);
	}
}

static void a_line_that_falls_stays_pending(void **state)
{
	(void)state;
	plain(10);
	line(10, true);
	line(10, false);
	assert_true(pending(10));
	assert_true(asserted(0));
	assert_int_equal(claim(S(0)), 10);
	complete(S(0), 10);
	assert_false(pending(10));
}

static void completion_with_the_line_high_pends_again(void **state)
{
	(void)state;
	plain(10);
	line(10, true);
	assert_int_equal(claim(S(0)), 10);
	assert_false(asserted(0));
	complete(S(0), 10);
	assert_true(pending(10));
	assert_true(asserted(0));
	assert_int_equal(claim(S(0)), 10);
	line(10, false);
	complete(S(0), 10);
	assert_false(pending(10));
	assert_false(asserted(0));
}

static void nothing_is_forwarded_while_in_service(void **state)
{
	(void)state;
	plain(10);
	line(10, true);
	claim(S(0));
	line(10, false);
	line(10, true);
	assert_false(pending(10));
	assert_false(asserted(0));
	line(10, false);
	complete(S(0), 10);
	assert_false(pending(10));
	line(10, true);
	assert_true(asserted(0));
}

static void a_line_raised_twice_is_one_interrupt(void **state)
{
	(void)state;
	plain(10);
	line(10, true);
	line(10, true);
	assert_int_equal(claim(S(0)), 10);
	assert_int_equal(claim(S(0)), 0);
	line(10, false);
	line(10, false);
	complete(S(0), 10);
	assert_int_equal(claim(S(0)), 0);
}

static void completion_where_not_enabled_is_ignored(void **state)
{
	(void)state;
	plain(10);
	enable(S(1), 11);
	line(10, true);
	claim(S(0));
	complete(S(1), 10);
	assert_false(pending(10));
	disable(S(0), 10);
	complete(S(0), 10);
	assert_false(pending(10));
	enable(S(0), 10);
	complete(S(0), 10);
	assert_true(pending(10));
	assert_true(asserted(0));
}

static void completion_by_another_hart_counts(void **state)
{
	(void)state;
	plain(10);
	enable(S(3), 10);
	line(10, true);
	assert_int_equal(claim(S(0)), 10);
	complete(S(3), 10);
	assert_true(pending(10));
	assert_int_equal(claim(S(3)), 10);
}

static void completion_of_what_was_never_claimed_does_nothing(void **state)
{
	(void)state;
	plain(10);
	plain(1023);
	complete(S(0), 10);
	assert_false(pending(10));
	line(10, true);
	complete(S(0), 10);
	complete(S(0), 1024);
	complete(S(0), 0xffffffff);
	complete(S(0), 1023);
	assert_true(pending(10));
	assert_int_equal(claim(S(0)), 10);
	assert_int_equal(claim(S(0)), 0);
}

static void a_number_beyond_32_sources_completes_its_own(void **state)
{
	(void)state;
	plain(42);
	plain(42 + 32);
	line(42, true);
	line(42 + 32, true);
	claim(S(0));
	claim(S(0));
	complete(S(0), 42 + 32);
	assert_false(pending(42));
	assert_true(pending(42 + 32));
}

static void any_hart_may_claim_through_any_context(void **state)
{
	u64 val;

	(void)state;
	plain(10);
	line(10, true);
	assert_int_equal(emul_read(&fake.guest, fake.vcpu[2],
				   (struct gpa){ CLAIM(S(0)) }, 4, &val),
			 EMUL_DONE);
	assert_int_equal(val, 10);
	assert_false(asserted(0));
}

static void an_m_context_claims_but_tells_nobody(void **state)
{
	(void)state;
	priority(10, 1);
	enable(M(0), 10);
	line(10, true);
	assert_int_equal(fake.kicks[0], 0);
	assert_false(asserted(0));
	assert_int_equal(claim(M(0)), 10);
	complete(M(0), 10);
	assert_int_equal(claim(M(0)), 10);
}

static void every_enabled_hart_is_told_and_one_wins(void **state)
{
	(void)state;
	priority(10, 1);
	for (u32 h = 0; h < 4; h++)
		enable(S(h), 10);
	wr(THRESHOLD(S(3)), 1);
	line(10, true);
	assert_true(asserted(0));
	assert_true(asserted(1));
	assert_true(asserted(2));
	assert_false(asserted(3));
	assert_int_equal(claim(S(1)), 10);
	for (u32 h = 0; h < 4; h++) {
		assert_false(asserted(h));
		assert_int_equal(claim(S(h)), 0);
	}
}

static void nobody_is_kicked_for_what_changes_nothing(void **state)
{
	(void)state;
	plain(10);
	plain(11);
	enable(S(1), 12);
	line(10, true);
	assert_true(asserted(0));
	memset(fake.kicks, 0, sizeof(fake.kicks));
	line(11, true);           /* asserted already */
	line(10, false);          /* requests are not retracted */
	wr(THRESHOLD(S(0)), 0);   /* the same */
	priority(10, 1);
	enable(S(0), 10);
	priority(13, 7);          /* enabled nowhere */
	line(13, true);
	line(12, true);           /* priority 0 */
	assert_int_equal(fake.kicks[0], 0);
	assert_int_equal(fake.kicks[1], 0);
	assert_int_equal(fake.kicks[2], 0);
	claim(S(0));              /* another one is left, eval finds it */
	assert_true(asserted(0));
	assert_int_equal(fake.kicks[1], 0);
}

static void a_line_is_one_kick(void **state)
{
	(void)state;
	plain(10);
	assert_int_equal(fake.kicks[0], 0);
	line(10, true);
	assert_int_equal(fake.kicks[0], 1);
}

static void registers_assert_what_is_pending(void **state)
{
	(void)state;
	line(10, true);
	enable(S(0), 10);
	assert_false(asserted(0));
	priority(10, 2);
	assert_true(asserted(0));
	wr(THRESHOLD(S(0)), 2);
	assert_false(asserted(0));
	priority(10, 3);
	assert_true(asserted(0));
	priority(10, 2);
	assert_false(asserted(0));
	wr(THRESHOLD(S(0)), 1);
	assert_true(asserted(0));
	disable(S(0), 10);
	assert_false(asserted(0));
	enable(S(0), 10);
	assert_true(asserted(0));
}

static void a_source_disabled_after_a_claim_leaves_no_level(void **state)
{
	(void)state;
	plain(10);
	enable(S(1), 10);
	line(10, true);
	assert_true(asserted(1));
	disable(S(1), 10);
	assert_int_equal(claim(S(0)), 10);
	assert_false(asserted(1));
	assert_false(asserted(0));
}

static void reset_keeps_lines_that_are_high(void **state)
{
	(void)state;
	plain(10);
	plain(11);
	plain(12);
	line(10, true);
	line(11, true);
	line(12, true);
	line(12, false);
	assert_int_equal(claim(S(0)), 10);
	dev->ops->reset(dev);
	memset(level, 0, sizeof(level));
	assert_true(pending(10));
	assert_true(pending(11));
	assert_false(pending(12));
	assert_false(emul_eval(fake.vcpu[0]));
	plain(10);
	assert_true(asserted(0));
	assert_int_equal(claim(S(0)), 10);
}

static void a_plic_serves_512_vcpus(void **state)
{
	(void)state;
	assert_int_equal(plic_up(512), 0);
	priority(7, 1);
	enable(S(511), 7);
	line(7, true);
	assert_true(asserted(511));
	assert_int_equal(fake.kicks[511], 1);
	enable(S(64), 7);
	assert_true(asserted(64));
	assert_int_equal(claim(S(511)), 7);
	assert_false(asserted(64));
	assert_false(asserted(511));
	complete(S(64), 7);
	assert_true(asserted(64));
	assert_true(asserted(511));
	stop(NULL);
}

#define WIDE 512u

/* All have looked, and that was all they were told. */
static void wide_start(void)
{
	assert_int_equal(plic_up(WIDE), 0);
	priority(7, 1);
	for (u32 i = 0; i < WIDE; i++) {
		enable(S(i), 7);
		(void)asserted(i);
	}
	memset(fake.kicks, 0, sizeof(fake.kicks));
}

static u32 kicked(void)
{
	u32 n = 0;

	for (u32 i = 0; i < WIDE; i++)
		n += fake.kicks[i];
	return n;
}

/* The vCPU that has it to tell does so, in turns: which is it? */
static u32 tells(u32 *turns)
{
	u32 who = WIDE, before;
	bool more;

	for (u32 i = 0; i < WIDE; i++)
		if (fake.vcpu[i]->virq & VIRQ_TELL)
			who = i;
	for (*turns = 0, more = who < WIDE; more; ++*turns) {
		before = kicked();
		fake.vcpu[who]->virq &= ~VIRQ_TELL;
		more = emul_tell(fake.vcpu[who]);
		assert_in_range(kicked() - before, 0, 32);
	}
	return who;
}

static void assert_all(bool high)
{
	for (u32 i = 0; i < WIDE; i++)
		assert_int_equal(asserted(i), high);
}

static void one_change_kicks_a_bounded_number_and_all_in_turns(void **state)
{
	u32 turns;

	(void)state;
	wide_start();
	line(7, true);
	assert_in_range(kicked(), 1, 100);
	assert_true(tells(&turns) < WIDE);
	assert_in_range(turns, 8, WIDE / 32);
	/* Who was told at once may be told again. */
	assert_in_range(kicked(), WIDE, WIDE + 100);
	assert_all(true);
	memset(fake.kicks, 0, sizeof(fake.kicks));
	/* So for a claim, a completion, and a priority that changes. */
	assert_int_equal(claim(S(300)), 7);
	assert_in_range(kicked(), 1, 100);
	tells(&turns);
	assert_all(false);
	complete(S(3), 7);
	tells(&turns);
	assert_all(true);
	priority(7, 0);
	tells(&turns);
	assert_all(false);
	memset(fake.kicks, 0, sizeof(fake.kicks));
	/* Nobody is told what he knows. */
	priority(7, 1);
	complete(S(3), 7);
	tells(&turns);
	assert_true(kicked() >= WIDE);
	assert_all(true);
	memset(fake.kicks, 0, sizeof(fake.kicks));
	priority(7, 2);
	tells(&turns);
	assert_int_equal(kicked(), 0);
	stop(NULL);
}

static void what_changes_while_it_is_told_is_told_to_all(void **state)
{
	u32 turns;

	(void)state;
	wide_start();
	line(7, true);
	/* Two batches, and the line's interrupt is claimed: who was told looks
	 * again, and of the others nobody need be told at all. */
	for (u32 i = 0; i < 2; i++)
		assert_true(emul_tell(fake.vcpu[9]));
	for (u32 i = 0; i < WIDE; i += 3)
		(void)asserted(i);
	assert_int_equal(claim(S(0)), 7);
	tells(&turns);
	assert_all(false);
	/* Up again, and down and up while two tell at once. */
	complete(S(0), 7);
	assert_true(emul_tell(fake.vcpu[5]));
	assert_true(emul_tell(fake.vcpu[6]));
	assert_int_equal(claim(S(0)), 7);
	assert_true(emul_tell(fake.vcpu[5]));
	complete(S(0), 7);
	assert_true(emul_tell(fake.vcpu[6]));
	tells(&turns);
	assert_all(true);
	/* There is nothing left. */
	assert_false(emul_tell(fake.vcpu[5]));
	stop(NULL);
}

static void more_vcpus_than_contexts_are_refused(void **state)
{
	(void)state;
	assert_int_equal(plic_up(513), -EINVAL);
	assert_non_null(strstr(fake.log, "513"));
	assert_non_null(strstr(fake.log, "512"));
	assert_int_equal(fake.live, 0);
	plic_down();
}

static void no_memory_leaves_nothing_behind(void **state)
{
	int err = -ENOMEM;

	(void)state;
	dev->ops->fini(dev);
	for (int left = 0; err; left++) {
		fake.allocs_left = left;
		err = dev->ops->init(dev);
		if (err)
			assert_int_equal(err, -ENOMEM);
		assert_true(!err == !!fake.live);
	}
}

static void its_node_says_what_drivers_need(void **state)
{
	static const char want[] = "sifive,plic-1.0.0\0riscv,plic0";

	(void)state;
	assert_int_equal(dev->ops->compatible_bytes, sizeof(want));
	assert_memory_equal(dev->ops->compatible, want, sizeof(want));
	fake.guest.device_count = 12;
	assert_int_equal(fake_described(dev, "riscv,ndev"), 95);
	fake.guest.device_count = 1024;
	assert_int_equal(fake_described(dev, "riscv,ndev"), 1023);
}

/*
 * The specification as a plain program: everything one by one, nothing clever.
 * Sources are few and in different words; the rest of the numbers is alike.
 */
static const u32 used[] = { 1, 2, 15, 16, 31, 32, 33, 64, 700, 1023 };
#define USED ARRAY_LEN(used)
#define CTX 8u

static struct {
	bool line[USED], ip[USED], busy[USED];
	bool enable[CTX][USED];
	u32 priority[USED], threshold[CTX];
} model;

static int model_best(u32 ctx, u32 above)
{
	int best = -1;

	for (u32 i = 0; i < USED; i++) {
		if (model.ip[i] && model.enable[ctx][i] &&
		    model.priority[i] > above) {
			best = (int)i;
			above = model.priority[i];
		}
	}
	return best;
}

static void model_gateway(u32 i)
{
	if (model.line[i] && !model.ip[i] && !model.busy[i])
		model.ip[i] = true;
}

static void model_check(void)
{
	for (u32 i = 0; i < USED; i++)
		assert_int_equal(pending(used[i]), model.ip[i]);
	for (u32 h = 0; h < CTX / 2; h++)
		assert_int_equal(asserted(h),
				 model_best(S(h), model.threshold[S(h)]) >= 0);
}

static void model_claim(u32 ctx)
{
	int best = model_best(ctx, 0);

	assert_int_equal(claim(ctx), best < 0 ? 0 : used[best]);
	if (best < 0)
		return;
	model.ip[best] = false;
	model.busy[best] = true;
}

static void model_complete(u32 ctx, u32 i)
{
	complete(ctx, used[i]);
	if (!model.enable[ctx][i])
		return;
	model.busy[i] = false;
	model_gateway(i);
}

static void model_step(void)
{
	u32 i = (u32)rand() % USED, ctx = (u32)rand() % CTX;

	switch (rand() % 8) {
	case 0:
	case 1:
		model.line[i] = rand() % 2;
		line(used[i], model.line[i]);
		model_gateway(i);
		break;
	case 2:
		model_claim(ctx);
		break;
	case 3:
	case 4:
		model_complete(ctx, i);
		break;
	case 5:
		model.priority[i] = (u32)rand() % 8;
		priority(used[i], model.priority[i]);
		break;
	case 6:
		model.enable[ctx][i] = rand() % 2;
		(model.enable[ctx][i] ? enable : disable)(ctx, used[i]);
		break;
	case 7:
		model.threshold[ctx] = (u32)rand() % (rand() % 2 ? 8 : 2);
		wr(THRESHOLD(ctx), model.threshold[ctx]);
		break;
	}
}

static void any_sequence_agrees_with_a_plain_model(void **state)
{
	(void)state;
	srand(1);
	memset(&model, 0, sizeof(model));
	for (u32 n = 0; n < 60000; n++) {
		model_step();
		/* Sometimes much happens before a hart looks. */
		if (rand() % 3)
			model_check();
	}
	model_check();
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(all_registers_are_zero_after_reset),
		T(priorities_keep_three_bits),
		T(thresholds_keep_three_bits),
		T(enables_hold_for_their_context_alone),
		T(source_0_does_not_exist),
		T(reserved_registers_are_zero),
		T(only_aligned_words_are_accessed),
		T(pending_bits_show_lines_and_are_read_only),
		T(an_enabled_line_asserts_and_is_claimed_once),
		T(priority_0_never_interrupts),
		T(a_source_not_enabled_never_interrupts),
		T(the_threshold_masks_up_to_itself),
		T(a_claim_does_not_heed_the_threshold),
		T(the_highest_priority_is_claimed_first),
		T(among_equals_the_lowest_number_is_first),
		T(all_1023_sources_can_be_served),
		T(a_line_that_falls_stays_pending),
		T(completion_with_the_line_high_pends_again),
		T(nothing_is_forwarded_while_in_service),
		T(a_line_raised_twice_is_one_interrupt),
		T(completion_where_not_enabled_is_ignored),
		T(completion_by_another_hart_counts),
		T(completion_of_what_was_never_claimed_does_nothing),
		T(a_number_beyond_32_sources_completes_its_own),
		T(any_hart_may_claim_through_any_context),
		T(an_m_context_claims_but_tells_nobody),
		T(every_enabled_hart_is_told_and_one_wins),
		T(nobody_is_kicked_for_what_changes_nothing),
		T(a_line_is_one_kick),
		T(registers_assert_what_is_pending),
		T(a_source_disabled_after_a_claim_leaves_no_level),
		T(reset_keeps_lines_that_are_high),
		cmocka_unit_test(a_plic_serves_512_vcpus),
		cmocka_unit_test(
			one_change_kicks_a_bounded_number_and_all_in_turns),
		cmocka_unit_test(what_changes_while_it_is_told_is_told_to_all),
		cmocka_unit_test(more_vcpus_than_contexts_are_refused),
		T(no_memory_leaves_nothing_behind),
		T(its_node_says_what_drivers_need),
		T(any_sequence_agrees_with_a_plain_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
