/*
 * Who watches whom, and when silence is an alarm.
 *
 * The problem: a CPU that hangs in the hypervisor stops its guests, its mail,
 * and with that sooner or later everybody else, and says nothing. But a CPU may
 * also be silent because it sleeps, because its guest runs for minutes without
 * an exit, because its hart gets no time from whatever is below, or because the
 * whole machine stood still for a while.
 *
 * A CPU's beat (sched_cpu_beat) is made of words that it writes anyway, so
 * being watched costs it nothing. Each CHECK_MS a task looks at it. A beat that
 * has changed is an answer. If it hasn't, the CPU is asked: a node is posted to
 * its mailbox, which ends a wait or a guest's turn; the guest has no say in
 * that. Taking mail changes the beat.
 *
 * What is counted are looks without an answer, not seconds. A machine that is
 * stopped as a whole, and whose clock jumps, has missed one look; a hart that
 * is slow has been given ALARM_LOOKS times another hart's second. After RING_
 * AGAIN looks the bell is rung once more whatever its flag says: a ring that
 * the hardware lost stops no CPU for good. Before the alarm the CPU is asked
 * where it is in its code (arch_cpu_where_ask), which one that hangs with
 * interrupts off still answers if the firmware can interrupt it.
 *
 * The CPU that runs the console watches all others, some in a step, and the
 * next one watches it. A machine of one CPU watches nobody.
 *
 * Rejected: a hardware watchdog (says nothing but "reset"); a counter of
 * rounds (a store on each way into a guest); the time of the last round as it
 * is (false alarms after each stop of the machine).
 */
#include "kernel/watchdog.h"

#include <ck_pr.h>

#include "kernel/arch.h"
#include "kernel/cmdline.h"
#include "kernel/log.h"
#include "kernel/mem.h"
#include "kernel/panic.h"
#include "kernel/percpu/doorbell.h"
#include "kernel/sched/sched.h"
#include "kernel/time.h"
#include "kernel/where.h"

#define CHECK_MS    1000
#define STEP_CPUS   16 /* a ring may be 2,300 instructions of the firmware's */
#define RING_AGAIN  5 /* looks without an answer, until ... */
#define ASK_WHERE   9
#define ALARM_LOOKS 10

/* What is known of a CPU; its watcher's only, but for the node. */
struct watched {
	struct mbox_node probe;
	u64 beat, since_ticks; /* when it was seen to change */
	u32 looks;	       /* since then */
};

/* Watches CPUs [from, to). */
struct watcher {
	struct task task;
	u32 from, to;
	u32 next; /* to be looked at */
	u64 began_ticks;
};

static struct watched *watched;
static struct watcher watchers[2];
static bool panics;

/* It has been looked at: that is all. */
static void probe_look(struct cpu *c, struct mbox_node *n, u32 bits, u64 now)
{
	(void)c, (void)n, (void)bits, (void)now;
}

static u64 seconds_since(const struct watched *w, u64 now)
{
	return ticks_to_ns(now - w->since_ticks) / 1000000000;
}

static void say(void *ctx, const char *text)
{
	(void)ctx;
	log_error("%s", text);
}

static void alarm(u32 cpu, u64 now)
{
	u64 seconds = seconds_since(&watched[cpu], now);

	if (panics)
		panic("watchdog: CPU %u has not answered for %lu s", cpu,
		      seconds);
	log_error("watchdog: CPU %u has not answered for %lu s; CPUs:", cpu,
		  seconds);
	for (u32 i = 0; i < cpu_count(); i++)
		where_print(cpu_by_index(i), say, NULL);
	/* The console may be the one that hangs. */
	if (cpu == watchers[0].task.cpu)
		log_flush();
}

static void answered(u32 cpu, u64 now)
{
	struct watched *w = &watched[cpu];

	if (w->looks >= ALARM_LOOKS)
		log_error("watchdog: CPU %u answers again, after %lu s", cpu,
			  seconds_since(w, now));
	else if (w->looks > RING_AGAIN)
		log_warn("watchdog: CPU %u has answered late, after %lu s", cpu,
			 seconds_since(w, now));
	/* Else the next alarm, or a panic,
	 * would tell that as if it were now. */
	if (w->looks >= ASK_WHERE)
		arch_cpu_where_forget(cpu_by_index(cpu));
	w->looks = 0;
	w->since_ticks = now;
}

static void look(u32 cpu, u64 now)
{
	struct cpu *c = cpu_by_index(cpu);
	struct watched *w = &watched[cpu];
	u64 beat = sched_cpu_beat(cpu);

	if (beat != w->beat) {
		w->beat = beat;
		answered(cpu, now);
		return;
	}
	if (w->looks > ALARM_LOOKS)
		return;
	switch (++w->looks) {
	case 1:
		doorbell_post(c, &w->probe, 0);
		break;
	case RING_AGAIN:
		arch_doorbell_ring(c);
		break;
	case ASK_WHERE:
		arch_cpu_where_ask(c);
		break;
	case ALARM_LOOKS:
		alarm(cpu, now);
		break;
	}
}

static enum task_result watch(struct task *t)
{
	struct watcher *w = container_of(t, struct watcher, task);
	u64 now = time_now_ticks();
	u32 until = MIN(w->next + STEP_CPUS, w->to);

	if (w->next == w->from)
		w->began_ticks = now;
	for (; w->next < until; w->next++)
		look(w->next, now);
	if (w->next < w->to)
		return TASK_MORE;
	w->next = w->from;
	task_wake_at(t, w->began_ticks + us_to_ticks(CHECK_MS * 1000));
	return TASK_WAIT;
}

static void watcher_begin(struct watcher *w, u32 on, u32 from, u32 to)
{
	w->from = w->next = from;
	w->to = to;
	task_init(&w->task, "watchdog", watch, on);
	task_wake(&w->task);
}

void watchdog_init(void)
{
	u64 now = time_now_ticks();
	size_t len;
	const char *word = cmdline_get("watchdog", &len);

	panics = cmdline_is("watchdog", "panic");
	if (word && !panics && !cmdline_is("watchdog", "report") &&
	    !cmdline_is("watchdog", "off"))
		refuse("watchdog=%.*s: expected report, panic or off", (int)len,
		       word);
	if (cpu_count() < 2 || cmdline_is("watchdog", "off"))
		return;
	watched = obj_alloc(cpu_count() * sizeof(*watched));
	if (!watched)
		refuse("not enough memory for the watchdog");
	for (u32 i = 0; i < cpu_count(); i++) {
		mbox_node_init(&watched[i].probe, probe_look);
		watched[i].since_ticks = now;
	}
	watcher_begin(&watchers[0], 0, 1, cpu_count());
	watcher_begin(&watchers[1], 1, 0, 1);
}

/* ---- a CPU that stops, on purpose ---- */

static struct mbox_node stall_node;
static u64 stall_until; /* 0: none stands still; atomic */

static void stall_look(struct cpu *c, struct mbox_node *n, u32 bits, u64 now)
{
	u64 until = ck_pr_load_64(&stall_until);

	(void)c, (void)n, (void)bits, (void)now;
	while (time_now_ticks() < until)
		ck_pr_stall();
	ck_pr_store_64(&stall_until, 0);
}

int watchdog_stall(u32 cpu, u64 ticks)
{
	if (cpu >= cpu_count())
		return -EINVAL;
	if (!ck_pr_cas_64(&stall_until, 0, time_now_ticks() + ticks))
		return -EBUSY;
	mbox_node_init(&stall_node, stall_look);
	doorbell_post(cpu_by_index(cpu), &stall_node, 0);
	return 0;
}
