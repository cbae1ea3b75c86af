/*
 * A guest that asks for a reboot with its first instructions: nobody causes
 * more lives in less time. It looks at nothing, so it may have any number of
 * vCPUs.
 */
#include "guests/baremetal/runtime/runtime.h"
#include "guests/baremetal/runtime/sbi.h"

void boot(void);

/* In place of the runtime's own: no stack, no memory. */
__attribute__((naked, noreturn)) void boot(void)
{
	__asm__ volatile("li a0, %0\n\t"
			 "li a1, %1\n\t"
			 "li a6, 0\n\t"
			 "li a7, %2\n\t"
			 "ecall\n"
			 "1: j 1b"
			 :
			 : "i"(SRST_WARM), "i"(SRST_REASON_NONE),
			   "i"(SBI_SRST));
}

int main(void)
{
	return 0;
}
