/*
 * The lost-wake hunt: what its two halves share. wakehunt.c has the story.
 */
#ifndef ROUSE_GUESTS_BAREMETAL_HUNT_H
#define ROUSE_GUESTS_BAREMETAL_HUNT_H

#include "guests/baremetal/runtime/runtime.h"
#include "guests/baremetal/runtime/sbi.h"

/* The ways to wake a hart; the last step of each is the kick. */
enum kick {
	KICK_IPI,	 /* SBI IPI to one hart */
	KICK_IPI_ALL,	 /* SBI IPI to all harts, base -1 */
	KICK_IPI_LEGACY, /* legacy send_ipi with a mask in memory */
	KICK_UART,	 /* UART's THRE interrupt: the IER write */
	KICK_ENABLE,	 /* line up already: the target's PLIC enable bit */
	KICK_THRESHOLD,	 /* ... : lowering the target's threshold */
	KICK_PRIORITY,	 /* ... : raising the line's priority */
	KICK_COMPLETE,	 /* ... and claimed by the sender: its completion */
	KICK_RTC,	 /* the RTC's alarm, now or some us later */
	KICK_START,	 /* HSM hart_start of a hart that stopped itself */
	KICK_COUNT,
};

/* The ways to wait. */
enum nap {
	NAP_WFI,	   /* WFI with SIE clear, look at sip */
	NAP_WFI_TRAP,	   /* the same, then take the trap */
	NAP_RETENTIVE,	   /* HSM retentive suspend */
	NAP_NON_RETENTIVE, /* HSM non-retentive suspend */
	NAP_STOP,	   /* HSM stop, until somebody starts it again */
	NAP_TIMER,	   /* WFI with a timer 0 to 30 us away */
	NAP_SPIN,	   /* no sleep: spin on sip, without any exit */
	NAP_SPIN_TRAP,	   /* spin with SIE set until the handler ran */
	NAP_COUNT,
};

/* One message that goes round. */
struct token {
	u32 from, to;
	enum kick kick;
	/*
	 * Bits 63..48 count the sends; the others say when the kick was done
	 * (ticks), 0 as long as it isn't.
	 */
	u64 stamp;
} __attribute__((aligned(64)));

#define STAMP_TIME_BITS 48
#define STAMP_TIME	((1UL << STAMP_TIME_BITS) - 1)

enum life {
	LIFE_STARTING,
	LIFE_UP,
	LIFE_STOPPING
};

struct worker {
	/* Any hart, atomic. */
	u64 inbox __attribute__((aligned(64))); /* bit t: token t is here */
	u32 life;
	u32 device_kicks; /* interrupts of devices on their way to it */
	/* Written by its own hart, read by observers. */
	u64 deadline; /* its timer, while it naps; 0: awake */
	u64 naps;     /* how often it went to sleep */
	enum nap nap;
	/* Its own hart only. */
	struct rand rand;
	bool handled; /* NAP_SPIN_TRAP: the handler ran */
	u64 by_nap[NAP_COUNT];
	u64 by_kick[KICK_COUNT], sum[KICK_COUNT], max[KICK_COUNT];
};

#define END_BIT	   (1UL << 63) /* in an inbox: the hunt is over */
#define TOKENS_MAX 32

extern struct worker workers[MAX_HARTS];
extern struct token tokens[TOKENS_MAX];
extern u32 token_count;
extern u64 delivered; /* tokens taken so far */
extern u64 watchdog;  /* ticks */
extern const char *const kick_names[KICK_COUNT];
extern const char *const nap_names[NAP_COUNT];

/* Naps other than spinning that hart 0 can take, too. */
#define NAPS_ASLEEP \
	(1u << NAP_WFI | 1u << NAP_WFI_TRAP | 1u << NAP_RETENTIVE | \
	 1u << NAP_NON_RETENTIVE | 1u << NAP_TIMER)

/* Which naps the SBI and the arguments allow, as bits. */
u32 naps_allowed(void);
/* One nap of that kind, with interrupts off before and after. */
void nap_how(struct worker *w, enum nap nap);

/* The watchdog woke this hart at `woke`: was a token waiting meanwhile? */
void watch_self(struct worker *w, u64 woke);
/* Does another hart sleep over its deadline or over a token? */
void watch_others(struct worker *w);

/* All harts sleep until timers, `n` times each. */
void timers_hunt(u64 n, u32 naps);

/* Which kicks this machine and the arguments allow, as bits. */
u32 kicks_allowed(void);
void kicks_init(void);

/*
 * Puts token `t` (index `ti`) into the inbox of worker `to` and wakes it by a
 * randomly chosen kick of `allowed`. On the sender's hart, interrupts off.
 */
void kick_send(struct worker *w, struct token *t, u32 ti, u32 to, u32 allowed);

/* Wakes a worker with nothing but bit 63 in its inbox: the end. */
void kick_end(u32 to);

/* Serves what is pending at this hart, so that sip is clear afterwards. */
void kick_serve(struct worker *w);

/* One line about the devices behind the PLIC, for a report. */
void kick_describe(u32 to);

#endif
