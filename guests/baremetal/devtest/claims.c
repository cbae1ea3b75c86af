/*
 * The PLIC's claims and completions where they meet something else: a line
 * that fell meanwhile, a completion too many, a claim by another hart.
 */
#include "guests/baremetal/devtest/devtest.h"

#define UART_LINE (machine.uart_irq)
#define RTC_LINE  (machine.rtc_irq)

/* "Once forwarded, a request cannot be retracted." */
static void fallen_line(void)
{
	u32 c = my_context();

	if (!uart_line_interrupts(c))
		return;
	check(external_pending(), "no SEIP");
	uart_line(false);
	check_spec(external_pending(), "no SEIP once the line fell");
	check_spec(plic_claim(c) == UART_LINE, "the request is gone");
	check(!external_pending(), "SEIP after the claim");
	plic_complete(c, UART_LINE);
	check(!external_pending(), "SEIP after the completion");
	check_eq(plic_claim(c), 0, "claim with the line down");
}

static void never_claimed(void)
{
	u32 c = my_context();

	if (!uart_line_interrupts(c))
		return;
	for (int i = 0; i < 2; i++) {
		plic_complete(c, UART_LINE);
		check(plic_pending(UART_LINE), "it took the request along");
		check(external_pending(), "no SEIP after it");
	}
	uart_line(false);
	plic_complete(c, UART_LINE);
	check_spec(plic_claim(c) == UART_LINE, "it took the request along");
	check_eq(plic_claim(c), 0, "second claim");
	plic_complete(c, UART_LINE);
	/* One that nobody waits for makes nothing either. */
	plic_complete(c, UART_LINE);
	check_eq(plic_claim(c), 0, "claim of a line that is down");
}

/*
 * Two harts claim at the same moment, of one line and of two in turns, which
 * stay high and so are pending again once they are completed: each line goes to
 * one of them, and who comes second has the other line, or none. What only a
 * few instructions in between show is for plic_stress.c.
 */
#define RACE_ROUNDS 50

static struct {
	struct barrier start, end;
	u32 got[2]; /* by hart: what its claim gave */
} race;

static void race_judge(u32 c, u32 lines)
{
	u32 want = UART_LINE + (lines > 1 ? RTC_LINE : 0);

	check_spec(race.got[0] + race.got[1] == want,
		   "of %u lines one hart was given %u, the other %u", lines,
		   race.got[0], race.got[1]);
	check_spec(plic_claim(c) == 0, "a third claim is given something");
	plic_complete(c, UART_LINE);
	plic_complete(c, RTC_LINE);
}

static void race_hart(struct hart *h, void *arg)
{
	u32 c = hart_context(h);

	(void)arg;
	/* Starting a hart may reset its context: so each enables its own. */
	plic_threshold(c, 0);
	plic_enable(c, UART_LINE, true);
	plic_enable(c, RTC_LINE, true);
	for (u32 round = 0; round < RACE_ROUNDS; round++) {
		if (!h->index)
			plic_priority(RTC_LINE, round % 2);
		barrier_wait(&race.start, 2);
		race.got[h->index] = plic_claim(c);
		barrier_wait(&race.end, 2);
		if (!h->index)
			race_judge(c, 1 + round % 2);
	}
}

static void two_harts_claim(void)
{
	if (!devices_quiet())
		return;
	if (machine.hart_count < 2) {
		test_skip("needs two harts");
		return;
	}
	memset(&race, 0, sizeof(race));
	plic_priority(UART_LINE, 1);
	uart_line(true);
	rtc_line(true);
	check_eq(harts_run(2, race_hart, NULL), 0, "start");
	uart_line(false);
	rtc_line(false);
}

const struct test claim_tests[] = {
	{"plic_claim_finds_a_line_that_fell", fallen_line},
	{"plic_completion_needs_a_claim", never_claimed},
	{"plic_line_is_claimed_by_one_of_two_harts", two_harts_claim},
};
TEST_LIST(claim_tests, claim_test_count);
