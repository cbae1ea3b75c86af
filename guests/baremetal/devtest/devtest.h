/*
 * Devices by their specifications: what the parts of the test share.
 */
#ifndef ROUSE_GUESTS_BAREMETAL_DEVTEST_H
#define ROUSE_GUESTS_BAREMETAL_DEVTEST_H

#include "guests/baremetal/runtime/runtime.h"
#include "guests/baremetal/runtime/sbi.h"

extern const struct test plic_tests[], uart_tests[], rtc_tests[],
	finisher_tests[], width_tests[], claim_tests[];
extern const size_t plic_test_count, uart_test_count, rtc_test_count,
	finisher_test_count, width_test_count, claim_test_count;

#define TEST_LIST(list, count) const size_t count = ARRAY_LEN(list)

/* sip.SEIP of this hart, after the moment that a line may need. */
bool external_pending(void);

/*
 * The two level-triggered lines a guest can move by itself: the UART's by its
 * transmitter interrupt and the RTC's by an alarm in the past.
 */
void uart_line(bool up);
void rtc_line(bool up);

/* Everything as after reset; false: the test is skipped for want of it. */
bool devices_quiet(void);

/* The same, and then the UART's line, of priority 1 and enabled for the
 * context, goes up. */
bool uart_line_interrupts(u32 context);

/* This hart's S-mode context, and the second hart's (or its own M-mode's). */
u32 my_context(void);
u32 other_context(void);

#endif
