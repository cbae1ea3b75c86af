/*
 * WFI and IPI, back and forth.
 *
 * Harts 0 and 1 play, and 2 and 3, and so on; with an odd one out that plays
 * with itself. A message is a number in the partner's box and one IPI. The
 * receiver clears SSIP before it looks at its box, so a message that comes
 * after the look leaves SSIP set and WFI returns at once. A timer
 * `watchdog_ms=` (2000) away finds a wake-up that never came: the message was
 * there and had been sent more than half that time ago. `rounds=` (10000) is
 * for each pair.
 */
#include "guests/baremetal/runtime/runtime.h"
#include "guests/baremetal/runtime/sbi.h"

struct box {
	u64 message;
	u64 sent_at; /* when the IPI's call had returned; 0: not yet */
	u64 failures;
	u64 slowest;
} __attribute__((aligned(64)));

static struct box boxes[MAX_HARTS];
static u64 rounds, watchdog;

static void send(u32 to, u64 n)
{
	struct box *b = &boxes[to];

	__atomic_store_n(&b->sent_at, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&b->message, n, __ATOMIC_RELEASE);
	if (sbi_ipi_hart(harts[to].id))
		die("IPI to hart %ld refused", harts[to].id);
	__atomic_store_n(&b->sent_at, time_now(), __ATOMIC_RELEASE);
}

static void receive(u32 me, u64 n)
{
	struct box *b = &boxes[me];
	u64 start = time_now(), until = start + watchdog, sent, took;

	timer_set(until);
	for (;;) {
		csr_clear(sip, IRQ_BIT(IRQ_S_SOFT));
		if (__atomic_load_n(&b->message, __ATOMIC_ACQUIRE) == n)
			break;
		if (time_now() >= until) {
			until = time_now() + watchdog;
			timer_set(until);
		}
		wfi();
	}
	took = time_now() - start;
	if (took > b->slowest)
		b->slowest = took;
	sent = __atomic_load_n(&b->sent_at, __ATOMIC_ACQUIRE);
	if (time_now() >= until && sent && time_now() - sent > watchdog / 2) {
		b->failures++;
		print("pingpong: LOST WAKE hart %ld message %ld sent %ld us "
		      "ago\n",
		      harts[me].id, n, ticks_to_ns(time_now() - sent) / 1000);
	}
}

static void play(struct hart *h, void *arg)
{
	u32 me = h->index, partner = me ^ 1;

	(void)arg;
	csr_write(sie, IRQ_BIT(IRQ_S_SOFT) | IRQ_BIT(IRQ_S_TIMER));
	if (partner >= machine.hart_count)
		partner = me;
	for (u64 n = 1; n <= rounds; n++) {
		if (partner == me) {
			send(me, n);
			receive(me, n);
		} else if (me & 1) {
			receive(me, n);
			send(partner, n);
		} else {
			send(partner, n);
			receive(me, n);
		}
	}
	timer_clear();
	csr_write(sie, 0);
}

int main(void)
{
	u64 start = time_now(), failures = 0, slowest = 0, ns;

	rounds = arg_u64("rounds", 10000);
	watchdog = us_to_ticks(arg_u64("watchdog_ms", 2000) * 1000);
	if (harts_run(machine.hart_count, play, NULL))
		die("a hart did not start");
	ns = ticks_to_ns(time_now() - start);
	for (u32 i = 0; i < machine.hart_count; i++) {
		failures += boxes[i].failures;
		if (boxes[i].slowest > slowest)
			slowest = boxes[i].slowest;
	}
	print("pingpong: %u harts, %ld rounds, %ld failures, %ld ns a round, "
	      "slowest %ld us\n",
	      machine.hart_count, rounds, failures, ns / (rounds ? rounds : 1),
	      ticks_to_ns(slowest) / 1000);
	return failures != 0;
}
