/*
 * A Goldfish real-time clock with one alarm, as on QEMU's `virt`
 * ("google,goldfish-rtc"; QEMU's docs name the Goldfish virtual hardware
 * document as its specification).
 *
 * Problem. A guest reads and sets a 64-bit count of nanoseconds since 1970
 * through 32-bit registers, and wants an interrupt when the count reaches a
 * value, be its vCPUs asleep or not.
 *
 * Algorithm. The count is an offset plus the timebase; setting the clock moves
 * the offset. Reading TIME_LOW keeps the high half for the TIME_HIGH that
 * follows. The alarm is a device timer; the registers under the lock are the
 * truth, and the timer's function asks them what is due, since it may come late
 * or for an alarm that was moved meanwhile.
 *
 * Invariants. While `running`, the alarm is in the future and the timer is
 * armed for it. The line is pending && enabled, set under the lock, so levels
 * reach the controller in the order in which they were computed. The lock is
 * held around dev_timer_set and emul_irq_set, both leaves.
 *
 * A clock has a battery: the offset outlives a reset of the guest.
 *
 * Rejected. Asking the machine's clock at each read: it may be coarse, or not
 * be there, and a guest must not see its time go back.
 */
#include "emul/emul.h"

#include <ck_spinlock.h>

#include "kernel/time.h"

#define RTC_TIME_LOW 0x00
#define RTC_TIME_HIGH 0x04
#define RTC_ALARM_LOW 0x08
#define RTC_ALARM_HIGH 0x0c
#define RTC_IRQ_ENABLED 0x10
#define RTC_CLEAR_ALARM 0x14
#define RTC_ALARM_STATUS 0x18
#define RTC_CLEAR_INTERRUPT 0x1c

/* An alarm further ahead than this, 146 years, is as good as never. */
#define AHEAD_MAX_NS (UINT64_MAX / 4)

struct rtc {
	struct emul_dev *dev;
	struct dev_timer timer;

	/* Under the lock. */
	ck_spinlock_t lock;
	u64 offset_ns;
	u64 alarm_ns; /* the registers */
	u64 due_ns;   /* the alarm that is set: they when LOW was written */
	u32 time_high;
	bool running; /* an alarm is set and has not come */
	bool pending;
	bool enabled;
	bool level;   /* as told to the interrupt controller */
};

static u64 count_ns(const struct rtc *r)
{
	return r->offset_ns + ticks_to_ns(time_now_ticks());
}

/* Inline: for a record, none of its callers has to keep more than it does. */
static inline __attribute__((always_inline)) void level_update(struct rtc *r)
{
	bool level = r->pending && r->enabled;

	if (level == r->level)
		return;
	r->level = level;
	emul_irq_set(r->dev, level);
}

static void alarm_stop(struct rtc *r)
{
	r->running = false;
	dev_timer_cancel(&r->timer);
}

/* Fires an alarm that is due, arms the timer for one that is not. */
static void alarm_start(struct rtc *r)
{
	u64 now = count_ns(r);
	u64 ahead = r->due_ns - now;

	if (r->due_ns <= now) {
		alarm_stop(r);
		r->pending = true;
		level_update(r);
		return;
	}
	r->running = true;
	if (ahead > AHEAD_MAX_NS)
		dev_timer_cancel(&r->timer);
	else /* one tick more, for both conversions round down */
		dev_timer_set(&r->timer,
			      time_now_ticks() + ns_to_ticks(ahead) + 1);
}

static void rtc_due(struct dev_timer *t)
{
	struct rtc *r = container_of(t, struct rtc, timer);

	ck_spinlock_lock(&r->lock);
	if (r->running)
		alarm_start(r);
	ck_spinlock_unlock(&r->lock);
}

static u64 with_low(u64 old, u32 low)
{
	return (old & ~0xffffffffull) | low;
}

static u64 with_high(u64 old, u32 high)
{
	return (old & 0xffffffffull) | (u64)high << 32;
}

/* Sets the clock; an alarm is a moment of the clock and moves with it. */
static void time_set(struct rtc *r, u64 from, u64 to)
{
	r->offset_ns += to - from;
	if (r->running)
		alarm_start(r);
}

static u64 rtc_read(struct emul_dev *dev, struct vcpu *v, u64 off, u32 width)
{
	struct rtc *r = dev->state;
	u64 now, val = 0;

	(void)v;
	(void)width;
	ck_spinlock_lock(&r->lock);
	switch (off) {
	case RTC_TIME_LOW:
		now = count_ns(r);
		r->time_high = now >> 32;
		val = (u32)now;
		break;
	case RTC_TIME_HIGH:
		val = r->time_high;
		break;
	case RTC_ALARM_LOW:
		val = (u32)r->alarm_ns;
		break;
	case RTC_ALARM_HIGH:
		val = r->alarm_ns >> 32;
		break;
	case RTC_IRQ_ENABLED:
		val = r->enabled;
		break;
	case RTC_ALARM_STATUS:
		val = r->running;
		break;
	}
	ck_spinlock_unlock(&r->lock);
	return val;
}

static void rtc_write(struct emul_dev *dev, struct vcpu *v, u64 off, u32 width,
		      u64 val)
{
	struct rtc *r = dev->state;
	u64 now;

	(void)v;
	(void)width;
	ck_spinlock_lock(&r->lock);
	now = count_ns(r);
	switch (off) {
	case RTC_TIME_LOW:
		time_set(r, now, with_low(now, val));
		break;
	case RTC_TIME_HIGH:
		time_set(r, now, with_high(now, val));
		break;
	case RTC_ALARM_LOW: /* written last: it starts the alarm */
		r->alarm_ns = with_low(r->alarm_ns, val);
		r->due_ns = r->alarm_ns;
		alarm_start(r);
		break;
	case RTC_ALARM_HIGH:
		r->alarm_ns = with_high(r->alarm_ns, val);
		break;
	case RTC_IRQ_ENABLED:
		r->enabled = val & 1;
		level_update(r);
		break;
	case RTC_CLEAR_ALARM:
		alarm_stop(r);
		break;
	case RTC_CLEAR_INTERRUPT:
		r->pending = false;
		level_update(r);
		break;
	}
	ck_spinlock_unlock(&r->lock);
}

static int rtc_init(struct emul_dev *dev)
{
	struct rtc *r = dev->state;

	r->dev = dev;
	ck_spinlock_init(&r->lock);
	dev_timer_init(&r->timer, rtc_due);
	r->offset_ns = host_wall_ns() - ticks_to_ns(time_now_ticks());
	return 0;
}

static void rtc_fini(struct emul_dev *dev)
{
	struct rtc *r = dev->state;

	dev_timer_fini(&r->timer);
}

static void rtc_reset(struct emul_dev *dev)
{
	struct rtc *r = dev->state;

	ck_spinlock_lock(&r->lock);
	alarm_stop(r);
	r->alarm_ns = 0;
	r->time_high = 0;
	r->pending = false;
	r->enabled = false;
	level_update(r);
	ck_spinlock_unlock(&r->lock);
}

static const struct emul_ops rtc_ops = {
	.name = "rtc",
	EMUL_COMPATIBLE("google,goldfish-rtc"),
	.base = { 0x101000 },
	.bytes = 0x1000,
	.irq = 11,
	.widths = EMUL_W32,
	.state_bytes = sizeof(struct rtc),
	.init = rtc_init,
	.fini = rtc_fini,
	.reset = rtc_reset,
	.read = rtc_read,
	.write = rtc_write,
};

EMUL_DEVICE(rtc_ops);
