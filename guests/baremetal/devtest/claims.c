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

	if (!devices_quiet())
		return;
	plic_priority(UART_LINE, 1);
	plic_enable(c, UART_LINE, true);
	uart_line(true);
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

	if (!devices_quiet())
		return;
	plic_priority(UART_LINE, 1);
	plic_enable(c, UART_LINE, true);
	uart_line(true);
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
 * Lines that stay high, so that each completion makes its own pending again,
 * and two harts that do nothing but claim and complete: who is given a line has
 * it alone. With one line they meet at it, and the later one has nothing; of
 * two there is always one left.
 */
#define RACE_CLAIMS 1000 /* each hart's, with or without success */

static struct {
	struct barrier start;
	u32 held[64]; /* by line: claimed and not completed */
	u32 claimed;
} race;

static void race_hart(struct hart *h, void *arg)
{
	u32 c = hart_context(h), line;

	(void)arg;
	/* Starting a hart may reset its context: so each enables its own. */
	plic_threshold(c, 0);
	plic_enable(c, UART_LINE, true);
	plic_enable(c, RTC_LINE, true);
	barrier_wait(&race.start, 2);
	for (u32 i = 0; i < RACE_CLAIMS; i++) {
		line = plic_claim(c);
		if (!line)
			continue;
		if (!check(line == UART_LINE || line == RTC_LINE,
			   "a claim gave line %u", line))
			return;
		check(!__atomic_exchange_n(&race.held[line], 1,
					   __ATOMIC_ACQ_REL),
		      "both harts have line %u", line);
		__atomic_fetch_add(&race.claimed, 1, __ATOMIC_RELAXED);
		__atomic_store_n(&race.held[line], 0, __ATOMIC_RELEASE);
		plic_complete(c, line);
	}
}

static void race_lines(u32 lines, u32 claims_least)
{
	u32 c = my_context();

	memset(&race, 0, sizeof(race));
	plic_priority(UART_LINE, 1);
	plic_priority(RTC_LINE, lines - 1);
	uart_line(true);
	rtc_line(true);
	check_eq(harts_run(2, race_hart, NULL), 0, "start");
	check_spec(race.claimed >= claims_least,
		   "%u claims were given one of %u lines that are high",
		   race.claimed, lines);
	/* Each is there once. */
	plic_priority(RTC_LINE, 1);
	check_spec(plic_claim(c) + plic_claim(c) == UART_LINE + RTC_LINE,
		   "a line is gone");
	check_eq(plic_claim(c), 0, "third claim of two lines");
	uart_line(false);
	rtc_line(false);
	plic_complete(c, UART_LINE);
	plic_complete(c, RTC_LINE);
}

static void two_harts_claim(void)
{
	if (!devices_quiet())
		return;
	if (machine.hart_count < 2) {
		test_skip("needs two harts");
		return;
	}
	race_lines(1, 1);
	race_lines(2, 2 * RACE_CLAIMS);
	plic_reset();
}

const struct test claim_tests[] = {
	{"plic_claim_finds_a_line_that_fell", fallen_line},
	{"plic_completion_needs_a_claim", never_claimed},
	{"plic_line_is_claimed_by_one_of_two_harts", two_harts_claim},
};
TEST_LIST(claim_tests, claim_test_count);
