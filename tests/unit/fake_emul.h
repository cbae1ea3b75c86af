/*
 * What the devices in emul/ ask of the kernel, for tests on the build host:
 * memory that can run out, a log of one line, vCPUs that count their kicks, a
 * guest that remembers what its devices told it.
 */
#ifndef ROUSE_TESTS_FAKE_EMUL_H
#define ROUSE_TESTS_FAKE_EMUL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "emul/emul.h"
#include "kernel/devtimer.h"
#include "kernel/guest.h"
#include "kernel/vcpu.h"
#include "kernel/virq.h"

#define FAKE_VCPUS 600
#define FAKE_OUT_BYTES 4096

struct fake {
	struct guest guest;
	struct vcpu *vcpu[FAKE_VCPUS];
	u32 kicks[FAKE_VCPUS]; /* virq_raise with VIRQ_EXTERNAL */

	int allocs_left;       /* obj_alloc fails when it is 0; -1: never */
	int live;              /* objects not freed */
	void (*after_free)(void); /* another CPU comes just then; or NULL */
	char log[256];         /* the last line */

	char out[FAKE_OUT_BYTES];
	size_t out_len;
	u32 ready;             /* calls of guest_console_ready */
	void (*on_ready)(struct guest *g);

	struct dev_timers timers; /* kernel/devtimer.h: of the one CPU */
	u64 armed;                /* and what it was armed for last */

	u32 ends;
	enum guest_event end_event;
	u32 end_code;
};

extern struct fake fake;

/* A guest with RAM at 0x80000000, 64 MiB, and no devices; all counts at 0. */
void fake_start(u32 vcpus);

/* Frees the vCPUs; whether every object was freed is for the test to ask. */
void fake_stop(void);

/* A test's set-up and tear-down: a guest of one vCPU with all devices that are
 * linked; at the end nothing is left of them. */
int fake_devices_start(void **state);
int fake_devices_stop(void **state);

/* Accesses as a guest makes them; the test fails if they fault. */
u64 fake_read(u64 at, u32 width);
/* A device of the test's own that nobody reads. */
u64 fake_none_read(struct emul_dev *dev, struct vcpu *v, u64 off, u32 width);
/* A controller of the test's own that asserts nothing. */
struct emul_pin *fake_no_pin(struct emul_dev *dev, struct vcpu *v);
void fake_write(u64 at, u32 width, u64 val);

/* What the device says in its node: the one cell, which is called `name`. */
u32 fake_described(struct emul_dev *dev, const char *name);

/*
 * A controller for the test of one device: tests/unit/fake_chip.c, linked where
 * it is wanted. fake_devices_start begins with all of it 0.
 */
struct fake_chip {
	u32 irq;     /* of the device that has the line */
	bool level;  /* as it was told last */
	u32 changes; /* how often it was told */
};

extern struct fake_chip fake_chip;

#endif
