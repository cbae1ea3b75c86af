/*
 * What guest.c (being there), guest_make.c (coming), guest_life.c (living, as
 * others see it), guest_task.c (how it ends and begins anew), guest_boot.c
 * (starting) and guest_reap.c (going) know of each other, and nobody else does.
 */
#ifndef ROUSE_KERNEL_GUEST_PRIVATE_H
#define ROUSE_KERNEL_GUEST_PRIVATE_H

#include <ck_pr.h>

#include "kernel/guest.h"
#include "kernel/guest_fdt.h"
#include "kernel/image.h"
#include "kernel/lab.h"
#include "kernel/log.h"
#include "kernel/rng.h"
#include "kernel/sched/sched.h"
#include "kernel/time.h"

#define RNG_SEED_BYTES 64

/* Where the management task is; each is a step or several of one kind. */
enum life_phase {
	LIFE_IDLE,  /* nothing to do: stopped, or running */
	LIFE_KILL,  /* kills the vCPUs, waits until all are OFF */
	LIFE_DRAIN, /* waits until mail of this life is looked at */
	LIFE_ENDED, /* does what on-* says */
	LIFE_QUIET, /* waits until no CPU's second stage is ours */
	LIFE_UNMAP,
	LIFE_FORGET,   /* RAM is to be zeroes again */
	LIFE_POPULATE, /* eager RAM */
	LIFE_CLEAR,    /* vCPUs: nothing of the life before */
	LIFE_PREPARE,  /* devices, the console */
	LIFE_TREE,     /* the device tree, if it isn't there */
	LIFE_LOAD,     /* the images */
	LIFE_GO,       /* hart 0 is about to start */
};

/* What a start takes of the host: made with the guest, which so can start and
 * reboot however little memory is left then. */
struct boot_kit {
	struct image_load load;
	void *fdt; /* room for the guest's tree, and for the making of it */
	u64 fdt_bytes;
};

struct guest_life {
	struct task task;
	struct guest *guest;
	enum life_phase phase;
	u32 vcpu;    /* of KILL, CLEAR and the making: the next one */
	bool failed; /* this start didn't come as far as RUNNING */
	struct boot_kit kit;
	void *fdt_seed; /* where the tree's seed is, if there is one; or NULL */
	struct guest_fdt_job tree;
	struct rng rng;
	u8 seed[RNG_SEED_BYTES]; /* the tree's, until it is written */
	struct sched_quiesce drain;
	struct log_pace pace;
	u64 tell_ticks; /* when the untold are told of at the latest */
	u32 untold, untold_crashes; /* lives that were quiet, since the last
				     * line: life_tell_untold */
	u64 rest_ticks; /* not before may more vCPUs be told: tell_rest */
	struct guest *reap_next;
};

/* The guest's task, asleep, on a CPU that the guest may use. */
int life_create(struct guest *g) __must_check;
void life_free(struct guest *g);

/* A step that has come so far (ticks) goes no further: half of what it may
 * take, since the last piece isn't known before. */
#define LIFE_STEP_US 50
static inline u64 life_step_end(void)
{
	return time_now_ticks() + us_to_ticks(LIFE_STEP_US);
}

/*
 * For the steps of guest_boot.c, and the task's own. life_go_on: the next step
 * is the first of `phase`. life_tell_untold: the quiet lives so far, if there
 * were any.
 */
void life_tell_untold(struct guest_life *l);
enum task_result life_go_on(struct guest_life *l, enum life_phase phase);

/*
 * For starts of `g` as `cfg` has it, which may be about to become its own. 0;
 * -ENOMEM or -EINVAL, with a line that begins with the guest's name; then there
 * is nothing to free. `suits`: a kit for `cfg` does for `now`.
 */
int boot_kit_make(struct boot_kit *kit, struct guest *g,
		  const struct guest_config *cfg, struct lab_error *err)
	__must_check;
bool boot_kit_suits(const struct guest_config *cfg,
		    const struct guest_config *now);
void boot_kit_free(struct boot_kit *kit);

/* A step of the phase of that name. */
enum task_result boot_quiet(struct guest_life *l);
enum task_result boot_unmap(struct guest_life *l);
enum task_result boot_forget(struct guest_life *l);
enum task_result boot_populate(struct guest_life *l);
enum task_result boot_clear(struct guest_life *l);
enum task_result boot_prepare(struct guest_life *l);
enum task_result boot_tree(struct guest_life *l);
enum task_result boot_load(struct guest_life *l);
enum task_result boot_go(struct guest_life *l);

/*
 * The guest's state, recorded. guest_state_change is a compare-and-swap: false
 * if the state isn't `from`. guest_state_set is for the task, in a state that
 * nobody else changes.
 */
bool guest_state_change(struct guest *g, u32 from, u32 to) __must_check;
void guest_state_set(struct guest *g, u32 state);

/* Pauses the guest if `paused`, g->paused as it was when the guest was found
 * RUNNING, is still true: in that life, and not paused. 0, -EBUSY. */
int guest_pause_in(struct guest *g, u32 paused) __must_check;

/* The task of all guests that are to be destroyed. */
void reaper_init(void);
void reaper_take(struct guest *g);
void reaper_wake(void);

/* A number for a new guest. */
u32 guest_id_next(void);

/* Puts the guest into the list; false: its name is there already. */
bool guest_list(struct guest *g) __must_check;

/* Takes the guest out of the list, if it is there, and gives the reference back
 * that it was created with. True: it was. */
bool guest_unlist(struct guest *g);

/*
 * Gives back some of what the guest is made of, in reverse; any part of it may
 * be missing. Its RAM has been destroyed before, or was never touched, and
 * nobody knows of it or its vCPUs any more. True: there is more. False: that
 * was the last of it.
 */
bool guest_free_step(struct guest *g);

/*
 * When the lab is done: no guest that starts by itself is left that does
 * anything. look_done: one has become STOPPED, is this the end? guest_coming:
 * one is being made, and counts as long as it hasn't been asked to start, or
 * been given up, which guest_came says. Any CPU, any context.
 */
void guests_look_done(void);
void guest_coming(struct guest *g);
void guest_came(struct guest *g);

/* Counts a guest's end in the machine's exit status. */
void guests_status_add(const struct guest *g, u32 status);

#endif
