/*
 * A guest: its memory, vCPUs and devices, and its life.
 *
 *   create -> STOPPED --start--> STARTING --> RUNNING --end--> STOPPING
 *                ^                  ^                              |
 *                |                  +---- restart, reset ----------+
 *                +---------- poweroff, crash, stop ----------------+
 *   STOPPED -> destroy -> DYING -> gone
 *
 * RUNNING begins when hart 0 is about to start, and ends with the first
 * guest_end(). Everything that takes long is a step of the guest's management
 * task; what the functions below do is to change a word and wake that task.
 * Pausing is no state: a paused guest is RUNNING and its vCPUs are in no queue.
 */
#ifndef ROUSE_KERNEL_GUEST_H
#define ROUSE_KERNEL_GUEST_H

#include <ck_pr.h>

#include "kernel/base.h"
#include "kernel/config.h"

struct vcpu;
struct emul_dev;
struct gcons;
struct gmem;
struct lab_env;
struct lab_env;
struct sched_account;
struct arch_guest;
struct task;
struct guest_life;

enum guest_state {
	GUEST_STOPPED,
	GUEST_STARTING, /* images are being unpacked */
	GUEST_RUNNING,
	GUEST_STOPPING, /* vCPUs are on their way to OFF */
	GUEST_DYING,    /* being destroyed */
	GUEST_BUSY,     /* stopped, and can't be started: guest_set changes its
			 * configuration, or its last life is being counted */
};

/* Why a guest left RUNNING, for its on-* actions and for the listing. */
enum guest_event {
	EVENT_NONE,
	EVENT_POWEROFF, /* by the guest; the code is its status */
	EVENT_REBOOT,   /* by the guest */
	EVENT_CRASH,    /* it could not go on */
	EVENT_STOP,     /* by the console */
	EVENT_RESET,    /* by the console */
};

struct guest {
	/* Constant after creation. */
	u32 id;
	u32 trace_id;            /* of its first vCPU */
	struct guest_config cfg; /* its knobs are the lab's owner's to change */
	struct vcpu **vcpu;      /* cfg.vcpus of them */
	u32 vcpus_made;          /* so many, while it is made or freed */
	bool memory_made, devices_made;
	struct arch_guest *arch; /* G-stage, VMID */
	struct gmem *mem;
	struct emul_dev *devices; /* an array in order of address, and a list */
	u32 device_count;
	struct emul_dev *irqchip; /* one of them, or NULL */
	struct gcons *console;
	struct sched_account *account; /* the core's and the policy's part */

	/* Any CPU, atomic (ck_pr). */
	u32 state;         /* enum guest_state */
	u32 event;         /* enum guest_event: first one wins until handled */
	u32 event_code;    /* exit status with EVENT_POWEROFF; 0 is success */
	u32 stop_asked;    /* the life (`stops` + 1) that is to be the last,
			    * whatever it ends by */
	u32 vcpus_on;      /* vCPUs that are not OFF */
	u32 stops, boots;  /* how often */
	u32 quiet;         /* of this life, unless it is the last, nothing is
			    * told: there were too many */

	u32 coming;        /* it is to start by itself, and hasn't yet */
	u32 paused;        /* by the console: its lives so far << 1 | paused */
	u32 refs;          /* guest_get, guest_put */

	/* The guest's management task only. */
	struct task *task;
	struct guest_life *life; /* guest_task.c's and guest_boot.c's own */
	u32 last_event, last_code; /* why it last left RUNNING; listings read */

	/* The list of guests, under its lock. */
	struct guest *next;
};

/*
 * The world that guests live in: what a configuration is checked against and
 * where images are (`env` and all in it stay), and what the lab says of all
 * guests together. Once, at boot, after sched_init, before the first guest.
 * guests_env: the same `env`, for whoever reads knobs from text.
 */
void guests_init(const struct lab_env *env, bool poweroff_when_done);
const struct lab_env *guests_env(void);

/*
 * Makes a guest: RAM reserved, vCPUs OFF, devices at power-on, nothing loaded;
 * STOPPED. `cfg` is copied. All or nothing.
 * 0 and *out (which the list holds); -EINVAL: an image is missing or doesn't
 * fit, a name is taken; -ENOMEM. Both said in `err`. The boot CPU, before its
 * loop, or a test: it takes long.
 */
int guest_create(const struct guest_config *cfg, struct guest **out,
		 struct lab_error *err) __must_check;

/*
 * The same in steps of a task. begin: *out is the caller's alone until it has
 * been made. step: 1: there is more; 0: it has been made, and the list holds
 * it; or an error as above, and it goes by itself (guests_all_freed says when).
 * So it does after cancel, which is for one of which there is more to make.
 */
int guest_create_begin(const struct guest_config *cfg, struct guest **out,
		       struct lab_error *err) __must_check;
int guest_create_step(struct guest *g, struct lab_error *err) __must_check;
void guest_create_cancel(struct guest *g);

/*
 * The wishes that can be had of a guest. They return at once, 0 or -EBUSY: the
 * state doesn't allow it (to start one that runs, to destroy one that does not
 * stand still), and the guest's task does the rest. Any CPU, any context.
 */
int guest_start(struct guest *g) __must_check;
int guest_stop(struct guest *g) __must_check;    /* as if unplugged */
int guest_reset(struct guest *g) __must_check;   /* back to its images */
int guest_destroy(struct guest *g) __must_check;

/* Is the memory of every destroyed guest free again? Any context. */
bool guests_all_freed(void);

/*
 * From now on it is paused, in this life, or no more. 0, or -EBUSY as above.
 * Its vCPUs are then to be told by guest_follow: some of them, `from` (0 first)
 * and those after it, in steps of a task, until it returns cfg.vcpus. Nothing
 * else is asked of the guest by that caller before.
 */
int guest_pause(struct guest *g) __must_check;
int guest_resume(struct guest *g) __must_check;
u32 guest_follow(struct guest *g, u32 from) __must_check;

/*
 * Changes knobs from text, as `lab_config_set` takes it: all `count` of them or
 * none. 0; -EINVAL with the line in `err`; -ENOMEM. While the guest is STOPPED
 * what concerns its images and start may change too; what it is made of (vcpus,
 * memory, devices, name) never does. Scheduling knobs take effect at once, all
 * others at the next moment they are looked at. One caller at a time.
 *
 * After a 0 its vCPUs are told in steps of a task: step, until it returns
 * false. `s` is the caller's, for nothing else, and he keeps a reference; a
 * STOPPED guest is BUSY meanwhile.
 */
struct guest_setting {
	struct guest_config old;	/* what was replaced */
	struct cpuset places;		/* where vCPUs without a pin may run */
	u32 params_next, places_next;	/* to be told of these */
	bool stopped, moved;
};
int guest_set_begin(struct guest *g, const char *const *texts, u32 count,
		    struct guest_setting *s, struct lab_error *err)
	__must_check;
bool guest_set_step(struct guest *g, struct guest_setting *s) __must_check;

/*
 * Finding guests. Each takes a reference, given back by guest_put: a guest is
 * not freed while someone looks at it. guest_next(NULL) is the first one, by
 * id; guest_next(g) puts `g` and gets its successor. NULL: there is none.
 * Any CPU, any context.
 */
struct guest *guest_find(const char *name);
struct guest *guest_find_id(u32 id);
struct guest *guest_next(struct guest *g);
void guest_get(struct guest *g);
void guest_put(struct guest *g);
u32 guest_count(void);

/* Has it been paused, in this life? Any CPU. */
static inline bool guest_is_paused(const struct guest *g)
{
	return ck_pr_load_32(&g->paused) & 1;
}

/* "stopped", "running", "paused", ...; "poweroff", "crash", ... */
const char *guest_state_name(const struct guest *g);
const char *guest_event_name(u32 event);

/*
 * The guest can't go on: logs one line that names guest, vCPU, pc and the
 * reason (with the trap's registers, if there was one), then the last trace
 * records or that there are none, and ends it with EVENT_CRASH. The CPU that
 * runs `v`; or any, which knows of the pc where it was left last, and only its
 * own trace records.
 */
void guest_crash(struct vcpu *v, const char *fmt, ...) __printf(2, 3);

/*
 * Says that the guest has come to an end, of its own or by someone's wish.
 * Its vCPUs are asked to stop; when all are OFF the guest's management task
 * does what on-poweroff, on-reboot or on-crash say. The first event counts.
 * Any CPU, any context; never fails, never waits. The caller's vCPU, if it is
 * one of the guest's, must not enter the guest again.
 */
void guest_end(struct guest *g, enum guest_event why, u32 code);

/*
 * Its interrupt controller, or the architecture, has more vCPUs to tell than
 * one exit may: from now on the guest's task calls emul_tell_rest and
 * arch_guest_tell_rest until there are no more, whether or not any of them has
 * a CPU. Called by who has that to tell and has written it down; the next time
 * is needed when there was none any more. Any CPU, any context; a leaf that
 * never fails. Nobody is told of a guest that isn't RUNNING; its task calls
 * once when it has become so.
 */
void guest_tell_rest(struct guest *g);

/*
 * The guest's RAM as seen by the host. All return 0 or -EFAULT when any byte
 * of the range is not the guest's RAM; frames not yet there (populate = "lazy")
 * are made. Any CPU.
 */
int guest_read(struct guest *g, struct gpa at, void *buf, size_t len)
	__must_check;
int guest_write(struct guest *g, struct gpa at, const void *buf, size_t len)
	__must_check;
int guest_fill(struct guest *g, struct gpa at, u8 byte, u64 len) __must_check;

/*
 * Output of the guest's console device. Never blocks: what nobody reads is
 * kept in a ring, the oldest is lost first. Any CPU.
 */
void guest_console_put(struct guest *g, const char *buf, size_t len);

/*
 * Takes up to `len` bytes of input that was typed for the guest and that no
 * device took; returns how many. Never waits. Any CPU.
 */
size_t guest_console_get(struct guest *g, char *buf, size_t len);

/*
 * The console device has room for input again, after its `input` had taken
 * less than it was offered, or the guest's driver has just taken its receiver
 * into use. Called by the device with none of its locks held,
 * so `input` may be called from within. Any CPU, any context; never waits.
 */
void guest_console_ready(struct guest *g);

#endif
