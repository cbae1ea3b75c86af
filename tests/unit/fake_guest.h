/*
 * Guests with everything around them made up: tasks run when the test says so,
 * owners acknowledge a kill when it says so, and each part that a guest is made
 * of is an object, so that what is left behind is counted.
 */
#ifndef ROUSE_TEST_FAKE_GUEST_H
#define ROUSE_TEST_FAKE_GUEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <libfdt.h>

#include "emul/emul.h"
#include "fake_mem.h"
#include "kernel/arch.h"
#include "kernel/gcons.h"
#include "kernel/gmem.h"
#include "kernel/guest_fdt.h"
#include "kernel/guest_private.h"
#include "kernel/image.h"
#include "kernel/lab.h"
#include "kernel/log.h"
#include "kernel/mem.h"
#include "kernel/percpu/cpu.h"
#include "kernel/rng.h"
#include "kernel/sched/policy.h"
#include "kernel/sched/sched.h"
#include "kernel/shell/console.h"
#include "kernel/time.h"
#include "kernel/vcpu.h"

#define BASE 0x80000000ULL
#define ENTRY 0x80200000ULL
#define TREE 0x80300000ULL
#define CPUS 4u
#define IMAGE_STEPS 3u
#define TREE_STEPS 2u
#define REQUESTS_AT_ONCE 32u
#define VCPU_US 5u       /* it takes so long to make one, clear it, free it */
#define REST_US 9u       /* and to tell a batch of them something */
#define STEP_MOST_US 100 /* no task's step may take longer */

/* The world, and what was asked of it. */
struct fake_guests {
	u64 now;
	bool quiet;       /* no CPU holds any second stage */
	bool slow_owners; /* kills are acknowledged by owners_answer only */
	bool slow_mail;   /* CPUs look at their mail by mail_looked only */
	struct sched_quiesce *draining;
	struct task *drainer;
	bool no_room;     /* of the policy */
	bool image_broken, image_missing;
	bool checks_fail;
	const char *rival; /* is made while another one is being made */

	u32 unmaps, emul_resets, clears, arch_resets, starts, kills, loads;
	u32 params;
	u32 trees; /* written, not only given another seed */
	bool tree_broken;
	u32 pauses, resumes, moves, asked;
	u32 fences_untold; /* batches that the architecture has to tell */
	bool end_first; /* before the first FOLLOW is posted */
	struct guest *stopped_late; /* by someone, once, as its end is told */
	u64 late_us; /* what keeps a CPU for so long while they are told */
	u32 rest; /* batches that an interrupt controller has yet to tell */
	u64 entry, arg;
	struct guest *started;
	u32 powered_off, status;
	char log[LOG_LINE_BYTES], before[LOG_LINE_BYTES]; /* the last lines */
	u32 lines, begun; /* of them: about a life that begins */
	u32 counted, crashes; /* lives that were only counted */
	u8 seed[64];
};

extern struct fake_guests w;
extern struct lab_error err;
extern const char *fake_trace_last; /* the only record, or NULL */

/* A world without guests; at the end whatever there is is stopped and
 * destroyed, and nothing may be left. `when_done`: it ends with the last
 * guest. */
void begin(bool when_done);
void end(void);

/* The configuration of a small guest; the guest, STOPPED; it is started, and as
 * far as it gets; the guest, RUNNING. */
struct guest_config config(const char *name);
struct guest *create(struct guest_config cfg);
void start(struct guest *g);
struct guest *running(const char *name);

/* One step of the first task that is ready, false: there is none. All steps,
 * until all wait. What waits for its timer goes on. */
bool run_one(void);
void run_all(void);
void timers_fire(void);

/* Kills are acknowledged; CPUs have looked at their mail. */
void owners_answer(struct guest *g);
void all_owners_answer(void);
void mail_looked(void);

/* Memory is as it was at the beginning. */
void assert_as_before(void);

#endif
