/* The end of the machine; kernel/arch.h has arch_poweroff and arch_reboot. */
#ifndef ROUSE_ARCH_RISCV_POWER_H
#define ROUSE_ARCH_RISCV_POWER_H

/* Finds what can end the machine with a status. Boot CPU, once. */
void power_init(void);

#endif
