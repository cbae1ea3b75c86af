/*
 * Attacks: what the files of the hostile guest share.
 *
 * An attack is a function that is called on the hart that booted, and never
 * has to return. Most want all harts: `everywhere` runs a function on each.
 * An attack must not rely on being left in peace: its calls fail, its harts
 * are killed, its RAM is taken away in the middle of it.
 */
#ifndef ROUSE_GUESTS_BAREMETAL_HOSTILE_H
#define ROUSE_GUESTS_BAREMETAL_HOSTILE_H

#include "guests/baremetal/runtime/paging.h"
#include "guests/baremetal/runtime/runtime.h"
#include "guests/baremetal/runtime/sbi.h"

struct attack {
	const char *name;
	void (*run)(void);
};

extern const struct attack irq_attacks[], call_attacks[], memory_attacks[],
	trap_attacks[], life_attacks[], wild_attacks[], device_attacks[],
	firmware_attacks[], wake_attacks[];
extern const size_t irq_attack_count, call_attack_count, memory_attack_count,
	trap_attack_count, life_attack_count, wild_attack_count,
	device_attack_count, firmware_attack_count, wake_attack_count;

#define ATTACK_LIST(list, count) const size_t count = ARRAY_LEN(list)

/* Neither RAM nor a device, on QEMU's virt and in a Rouse guest. */
#define HOLE 0x180000UL

/* fn on every hart, for ever: it is called again when it returns. */
void everywhere(void (*fn)(struct hart *h));

/* Interrupts of this kind go to fn on all harts; enabled on this one. */
void irq_take(u32 irq, irq_fn fn);

/* The UART's line is up for good, of the highest priority and for all harts:
 * the transmitter is always empty, and who never reads IIR never takes its
 * interrupt back. */
void uart_line_up(void);

/* Asleep until a deadline that is as near as can be. */
void nap(void);

/* The first address behind RAM. */
u64 ram_end(void);

/* RAM that nothing is in: the upper half, as whole pages. */
u64 ram_spare(u64 *bytes);

/* A random number that differs from hart to hart. */
u64 dice(struct hart *h);

#endif
