/*
 * The naps of the lost-wake hunt. All of them begin with interrupts off and
 * return with interrupts off once something that sie enables is pending (or
 * for no reason, which is allowed).
 */
#include "guests/baremetal/wakehunt/hunt.h"

const char *const nap_names[NAP_COUNT] = {
	[NAP_WFI] = "wfi",	     [NAP_WFI_TRAP] = "wfi-trap",
	[NAP_RETENTIVE] = "suspend", [NAP_NON_RETENTIVE] = "suspend-nonret",
	[NAP_STOP] = "stop",	     [NAP_TIMER] = "timer",
	[NAP_SPIN] = "spin",	     [NAP_SPIN_TRAP] = "spin-trap",
};

/*
 * Stops this hart unless a token came meanwhile. The fence between the life
 * word and the rest pairs with kick_send's: either the sender sees STOPPING,
 * or this hart sees the token and the device kick. A hart that somebody is
 * going to start must stop, but not before it has served its device kicks.
 */
static void nap_stop(struct worker *w)
{
	u32 stopping = LIFE_STOPPING;

	timer_clear();
	__atomic_store_n(&w->deadline, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&w->life, LIFE_STOPPING, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if ((__atomic_load_n(&w->inbox, __ATOMIC_SEQ_CST) ||
	     __atomic_load_n(&w->device_kicks, __ATOMIC_SEQ_CST)) &&
	    __atomic_compare_exchange_n(&w->life, &stopping, LIFE_UP, false,
					__ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
		return;
	while (__atomic_load_n(&w->device_kicks, __ATOMIC_SEQ_CST))
		kick_serve(w);
	sbi_call(SBI_HSM, SBI_HSM_STOP, 0, 0, 0);
	die("hart_stop returned");
}

void nap_how(struct worker *w, enum nap nap)
{
	struct suspend s;
	long ret;

	switch (nap) {
	case NAP_WFI:
	case NAP_TIMER:
		wfi();
		break;
	case NAP_WFI_TRAP:
		wfi();
		irq_on();
		irq_off();
		break;
	case NAP_RETENTIVE:
		ret = hart_suspend(&s, HSM_SUSPEND_RETENTIVE);
		if (ret)
			die("retentive suspend: %ld", ret);
		break;
	case NAP_NON_RETENTIVE:
		ret = hart_suspend(&s, HSM_SUSPEND_NON_RETENTIVE);
		if (ret != 1)
			die("non-retentive suspend: %ld", ret);
		break;
	case NAP_STOP:
		nap_stop(w);
		break;
	case NAP_SPIN:
		while (!(csr_read(sip) & csr_read(sie)))
			;
		break;
	default:
		w->handled = false;
		irq_on();
		while (!*(volatile bool *)&w->handled)
			;
		irq_off();
		break;
	}
}

/* Suspend is optional: what the SBI refuses isn't used. */
u32 naps_allowed(void)
{
	u32 naps = (u32)arg_u64("naps", UINT32_MAX) & ((1u << NAP_COUNT) - 1);
	struct suspend s;

	if (!sbi_has(SBI_HSM))
		naps &= ~(1u << NAP_STOP | 1u << NAP_RETENTIVE |
			  1u << NAP_NON_RETENTIVE);
	for (u32 i = NAP_RETENTIVE; i <= NAP_NON_RETENTIVE; i++) {
		timer_set(time_now() + us_to_ticks(100));
		csr_write(sie, IRQ_BIT(IRQ_S_TIMER));
		if (naps >> i & 1 &&
		    hart_suspend(&s, i == NAP_RETENTIVE
					     ? HSM_SUSPEND_RETENTIVE
					     : HSM_SUSPEND_NON_RETENTIVE) < 0)
			naps &= ~(1u << i);
		timer_clear();
	}
	if (!(naps & ~(1u << NAP_STOP)))
		naps |= 1u << NAP_WFI; /* hart 0 can't stop */
	return naps;
}
