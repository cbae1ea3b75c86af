/*
 * Harts and guests that come and go as fast as they can.
 */
#include "guests/baremetal/hostile/hostile.h"

/* Where storm harts begin: they start all others and stop. */
static void storm_hart(struct hart *h)
{
	for (u32 i = 1; i < machine.hart_count; i++)
		if (&harts[i] != h)
			sbi_hart_start(harts[i].id, (u64)hart_entry,
				       (u64)&harts[i]);
}

static void storm_once(struct hart *h, void *arg)
{
	(void)arg;
	storm_hart(h);
}

/* Hart 0 alone never stops, or that would be the end of it. */
static void hart_storm(void)
{
	for (u32 i = 1; i < machine.hart_count; i++)
		hart_start(&harts[i], storm_once, NULL);
	for (;;)
		storm_hart(this_hart());
}

/* Stops at once. */
void stop_entry(void);
__asm__(".globl	stop_entry\n"
	"stop_entry:\n"
	"	li	a7, 0x48534d\n" /* HSM: hart_stop */
	"	li	a6, 1\n"
	"	ecall\n"
	"	j	stop_entry\n");

/* As many harts as there are. They have next to no time of their own: all of it
 * is the hypervisor's, that looks for a CPU for each. */
static void start_in_a_row(void)
{
	for (u64 id = 1;; id++)
		if (sbi_hart_start(id, (u64)stop_entry, 0).error ==
		    SBI_ERR_INVALID_PARAM)
			id = 0;
}

/* Harts that suspend with an interrupt pending, both ways. */
static void suspend_hart(struct hart *h)
{
	struct suspend s;

	(void)h;
	csr_write(sie, IRQ_BIT(IRQ_S_SOFT));
	csr_set(sip, IRQ_BIT(IRQ_S_SOFT));
	hart_suspend(&s, HSM_SUSPEND_RETENTIVE);
	csr_set(sip, IRQ_BIT(IRQ_S_SOFT));
	hart_suspend(&s, HSM_SUSPEND_NON_RETENTIVE);
}

static void suspend_storm(void)
{
	everywhere(suspend_hart);
}

static void reboot(void)
{
	sbi_call(SBI_SRST, 0, SRST_WARM, SRST_REASON_NONE, 0);
}

/* All harts at once, and by the device as well. */
static void reboot_hart(struct hart *h)
{
	if (h->index & 1)
		write32(machine.finisher.base, FINISHER_RESET);
	reboot();
}

static void reboot_all(void)
{
	everywhere(reboot_hart);
}

static void off_hart(struct hart *h)
{
	(void)h;
	sbi_call(SBI_HSM, SBI_HSM_STOP, 0, 0, 0);
}

static void all_off(void)
{
	everywhere(off_hart);
}

const struct attack life_attacks[] = {
	{"hart-storm", hart_storm}, {"suspend-storm", suspend_storm},
	{"start-in-a-row", start_in_a_row},
	{"reboot", reboot},	    {"reboot-all", reboot_all},
	{"all-off", all_off},
};
ATTACK_LIST(life_attacks, life_attack_count);
