/*
 * What the console's tests share: a few guests, a scheduler that only tells
 * numbers, a terminal that keeps what is written to it, and a clock that stands
 * still unless told.
 */
#ifndef ROUSE_TESTS_UNIT_FAKE_SHELL_H
#define ROUSE_TESTS_UNIT_FAKE_SHELL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "emul/emul.h"
#include "kernel/base.h"
#include "kernel/gcons.h"
#include "kernel/guest.h"
#include "kernel/mem.h"
#include "kernel/shell/out.h"
#include "kernel/tracer.h"
#include "kernel/vcpu.h"

/* A sink that keeps everything, terminated. */
struct paper {
	struct out out;
	char *text;
	size_t len, room;
};

void paper_init(struct paper *p);
void paper_clear(struct paper *p);
void paper_free(struct paper *p);

/* Is every line of `text` one JSON object whose first member is "type"?
 * Returns how many; -1: one is not. */
int json_lines(const char *text);

/* The next `n` allocations succeed, later ones fail; -1: none fails. */
void fake_alloc_limit(long n);

extern bool fake_thirds; /* CPUs: a third for guests, tasks and the host each */
extern u64 fake_now_ticks;
extern u64 fake_tick; /* how far the clock goes each time it's read */

/* Guests: made with a console, STOPPED, and `vcpus` vCPUs that are OFF. */
struct guest *fake_guest(const char *name, u32 vcpus);
void fake_guests_free(void);
extern bool fake_slow;	    /* wishes stay wishes until fake_grant */
void fake_grant(void);	    /* all of them come true */
extern u32 fake_work; /* looks at vCPUs and CPUs, and requests to them */
extern bool fake_broken;    /* what is started does not come to run */
extern char fake_did[1024]; /* what commands asked for, "start a; pin a:1; " */

/* The device's input, as far as it had room. */
extern char fake_input[8192];
extern size_t fake_input_len, fake_input_room;

/* The machine's terminal. */
extern struct paper fake_screen;
extern size_t fake_screen_room; /* bytes it takes before it's full */
void fake_keys(const char *s);	/* to be read by arch_console_read */

extern u32 fake_wakes;	    /* of the console's task */
extern u64 fake_wake_ticks; /* task_wake_at */
extern jmp_buf fake_end;    /* where poweroff and reboot go */
extern bool fake_panic_ends; /* panic, too; else it ends the test */
extern u32 fake_end_status;
extern bool fake_no_reboot; /* the machine has no way to */

void fake_log(const char *text); /* a log line */

/* Tracing: what was asked for last, the ring (16 records) that all CPUs have,
 * and what the tracer answers to the next wishes. */
extern struct tracer_config fake_traced;
extern struct trace_ring fake_ring;
extern int fake_tracer_error;

#endif
