/*
 * From a machine that has been read to guests that run.
 */
#ifndef ROUSE_KERNEL_MAIN_H
#define ROUSE_KERNEL_MAIN_H

struct cpu;

/*
 * The part of booting that knows no instruction set: lab, scheduler, guests,
 * console; then the boot CPU's loop. All CPUs are registered and wait.
 */
_Noreturn void kernel_main(struct cpu *boot);

#endif
