/*
 * The lab: which guests there are, and what each of them is given.
 *
 * A lab is a device tree, `lab.dtb`, first in a cpio archive with the images
 * that it names; docs/lab.md is the binding. Everything in it is checked before
 * anything starts, and whatever the binding does not know is an error: one line
 * that names the lab, the node, the property, what is wrong and what was
 * expected. The console's `set` and `guest create` go through the same rows of
 * the same table, so they know the same knobs and say the same things.
 *
 * All functions: any CPU, one caller at a time per object; not in a hot path.
 */
#ifndef ROUSE_KERNEL_LAB_H
#define ROUSE_KERNEL_LAB_H

#include "kernel/base.h"
#include "kernel/config.h"
#include "kernel/cpio.h"

struct guest_fdt_isa;

/* What a lab's values are checked against. */
struct lab_env {
	u32 cpu_count;             /* CPUs there are, dense from 0 */
	const struct cpio *images; /* where kernel, initrd, dtb are */
	/* Is there a scheduler, is there a device, of that name? */
	bool (*policy_exists)(const char *name);
	bool (*device_exists)(const char *name);
	/* For the size of the guests' trees; NULL: a generous guess. */
	const struct guest_fdt_isa *isa;
};

struct lab {
	char *scheduler;         /* or NULL: Rouse's default */
	bool poweroff_when_done; /* end when the last autostarted one stopped */
	bool has_seed;
	u64 seed;                /* for every random choice */
	char **boot;             /* console commands to run at start */
	u32 boot_count;
	struct guest_config *guests; /* in the order of the file */
	u32 guest_count;
};

/*
 * Finds lab.dtb in env->images and reads it. 0 and *out; -EINVAL and the first
 * error in `err`; -ENOMEM (said in `err` as well), and then nothing is kept.
 */
int lab_open(const struct lab_env *env, struct lab **out,
	     struct lab_error *err) __must_check;

/* The same for a tree that is already in memory, aligned to 8. */
int lab_parse(const void *dtb, size_t bytes, const struct lab_env *env,
	      struct lab **out, struct lab_error *err) __must_check;

/* Frees a lab, its guests' configurations included; NULL does nothing. */
void lab_free(struct lab *lab);

/*
 * A configuration of its own with all defaults, to be filled by
 * lab_config_set. 0; -EINVAL if `name` is no good name; -ENOMEM.
 */
int lab_config_init(struct guest_config *cfg, const char *name,
		    struct lab_error *err) __must_check;

/* A deep copy: `to` owns all it points to. 0 or -ENOMEM (`to` is empty). */
int lab_config_copy(struct guest_config *to, const struct guest_config *from)
	__must_check;

/* Frees what a configuration owns, not the struct, and leaves it empty. */
void lab_config_fini(struct guest_config *cfg);

/*
 * Sets one knob from text `key=value` as typed at the console: "weight=512",
 * "affinity=0-3", "pin=0,1", "pin=none", "memory=64M", "autostart=off",
 * "rtc.irq=12". With `live`, only what may change while the guest runs.
 * 0; -EINVAL ("linux0: weight: 70000 is outside 1 to 65535"); -ENOMEM. On an
 * error `cfg` is as it was. Knobs that depend on each other are checked by
 * lab_config_check, after the last one: to be atomic, set on a copy.
 */
int lab_config_set(struct guest_config *cfg, const char *text, bool live,
		   const struct lab_env *env, struct lab_error *err)
	__must_check;

/*
 * Checks what only the whole configuration can tell: pins against vCPUs and
 * affinity, the cap, the images and whether they fit. Of a gzip, and of a
 * device tree of its own, only the beginning is looked at: what is wrong behind
 * it, the guest's start tells. 0, -EINVAL, -ENOMEM.
 */
int lab_config_check(const struct guest_config *cfg, const struct lab_env *env,
		     struct lab_error *err) __must_check;

/*
 * The knobs that there are, for completion, help and the check of the
 * documentation: calls `fn` for row `n`, from 0 on, with its name, whether it
 * may change while the guest runs, and what it takes ("1 to 65535", "trap,
 * native or poll"). The rows of a device come as "DEVICE.irq" and so on.
 * False: there is no such row, that was all of them.
 */
bool lab_knob_nth(u32 n, void (*fn)(void *arg, const char *name, bool live,
				    const char *takes), void *arg);

/*
 * The knob's value in `cfg`, as lab_config_set would take it, into `buf` (cut
 * short, always terminated). 0 or -ENOENT: no such knob.
 */
int lab_knob_show(const struct guest_config *cfg, const char *name, char *buf,
		  size_t bytes) __must_check;

#endif
