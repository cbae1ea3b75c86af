/*
 * The measuring guest: what its parts share.
 */
#ifndef ROUSE_GUESTS_BAREMETAL_METER_H
#define ROUSE_GUESTS_BAREMETAL_METER_H

#include "guests/baremetal/meter/marks.h"
#include "guests/baremetal/runtime/runtime.h"
#include "guests/baremetal/runtime/sbi.h"

/* A hint that the meter sees and nobody else (marks.h has the numbers). */
#define MARK(n) __asm__ volatile("slti x0, x0, %0" ::"i"(n) : "memory")
#define MARK_ROW(row, kind) MARK((row) << MARK_ROW_SHIFT | (kind))

/* What the handler of a hart saw, by kind of interrupt. */
struct seen {
	u32 soft, timer, external;
	u32 asleep; /* in WFI, or just about to be */
} __attribute__((aligned(64)));

extern struct seen seen[MAX_HARTS];

/* From the boot arguments. */
struct plan {
	u64 rounds;
	u64 sleep_ticks;
	u64 settle_ticks;
	struct hart *far;      /* another hart's vCPU, or NULL */
	struct hart *behind;   /* queued there, behind `far`, or NULL */
	struct hart *near;     /* shares our own hart, or NULL */
	const char *reason;    /* why the row that runs can't */
	struct hart *refused;  /* the one it needs and there is no room for */
};

extern struct plan plan;
extern char stacks[]; /* start.S */

struct row {
	const char *name;
	/* Does all rounds; sets plan.reason if it can't. */
	void (*run)(void);
	bool done;
	const char *reason; /* why not */
	const struct hart *refused;
};

extern struct row local_rows[], cross_rows[], switch_rows[];
extern const size_t local_row_count, cross_row_count, switch_row_count;

/* entry.S: the trap vector of all rows, and a hart's first instruction. */
void meter_trap(void);
void meter_start(void);

/* The hart that a boot argument names by its index; NULL: 0 or absent. */
struct hart *hart_arg(const char *key);
/* role=: one of two guests that give way to each other (switch.c), and one that
 * touches memory for the first time in its life (memory.c). */
void role_other(void);
void role_fault(void);
/* One of many on one hart (crowd.c). */
void role_crowd(void);
/* The meter's own test: known lengths, and marks in a wrong order (count.c). */
void role_count(void);
void role_broken(void);

/* The address of a register, worked out before it is measured. */
static inline u64 uart_at(u32 reg)
{
	return machine.uart.base + ((u64)reg << machine.uart_shift);
}

/* Starts a hart for the row that runs. False: it is plan.refused now, and
 * whoever says so on a console has had time to. */
bool partner_start(struct hart *h, void (*fn)(struct hart *h, void *arg));
/* Turns the trap vector and the interrupts in sie on, or all off. */
void traps_on(u64 sie);
void traps_off(void);

/* Not counted: waits until *word is `want` (not `from`), or for some ticks. */
void spin_until(const u32 *word, u32 want);
void spin_while(const u32 *word, u32 from);
void spin_ticks(u64 ticks);
/* Waits with interrupts on until *word is `want`; each interrupt is handled. */
void sleep_until(u32 *asleep, const u32 *word, u32 want);

#endif
