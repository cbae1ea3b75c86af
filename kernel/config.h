/*
 * What a lab says of a guest: the knobs, after they have been checked.
 *
 * Filled by kernel/lab.c from the lab's tree or by the console; one knob means
 * the same under every policy. docs/lab.md is the binding.
 *
 * A configuration owns its strings, its pins and its devices (lab_config_fini
 * frees them); its name too.
 */
#ifndef ROUSE_KERNEL_CONFIG_H
#define ROUSE_KERNEL_CONFIG_H

#include "kernel/base.h"
#include "kernel/cpuset.h"

enum wfi_policy {
	WFI_TRAP,   /* block at once */
	WFI_NATIVE, /* the hart itself waits while nothing else is queued */
	WFI_POLL,   /* spin up to wfi_poll_us first */
};

enum guest_action {
	ACTION_STOP,
	ACTION_RESTART,
	ACTION_HOST_POWEROFF,
};

/* What's wrong with a lab, an image or a knob: one line without a newline. */
struct lab_error {
	char text[256];
};

/*
 * Formats an error; what isn't printable ASCII becomes '?', since some of it
 * is quoted from files of unknown origin. Returns -EINVAL. Any context.
 */
int config_error(struct lab_error *err, const char *fmt, ...) __printf(2, 3);

/* How a guest is scheduled. All of it can be changed while it runs. */
struct sched_params {
	u32 weight;   /* 1..65535, of the guest, shared by its vCPUs */
	u32 cap;      /* per cent of one CPU for the whole guest; 0: none */
	u32 priority; /* 0..255, 255 runs first */
	u32 slice_us; /* 100..1000000 */
};

#define SCHED_PARAMS_DEFAULT \
	{ .weight = 256, .cap = 0, .priority = 100, .slice_us = 10000 }

/* A window of the guest's physical space that a device answers. */
struct device_config {
	const char *name; /* the emul_ops' name: "plic", "uart", "rtc", ... */
	bool absent;
	bool has_base, has_irq; /* else: the device's defaults */
	struct gpa base;
	u32 irq; /* line of the guest's PLIC; 0: none */
	struct device_config *next;
};

/* The PLIC's window in QEMU's memory map has contexts for this many. */
#define GUEST_VCPUS_MAX 512

struct guest_config {
	const char *name;
	u32 vcpus;              /* 1..GUEST_VCPUS_MAX */
	u64 memory_bytes;
	struct gpa ram_base;    /* 0x80000000 unless said otherwise */
	const char *kernel;     /* names of files in the archive, or NULL */
	const char *initrd;
	const char *dtb;
	const char *bootargs;
	bool has_load, has_entry;
	struct gpa load;        /* of a flat image */
	struct gpa entry;
	struct sched_params sched;
	struct cpuset affinity;
	bool has_affinity;      /* else: all CPUs */
	u32 *pin;               /* one CPU a vCPU, or NULL */
	u32 pin_count;          /* entries of pin: vcpus, or 0 */
	enum wfi_policy wfi;
	u32 wfi_poll_us;
	bool eager;             /* populate = "eager" */
	enum guest_action on_poweroff, on_reboot, on_crash;
	bool autostart;
	struct device_config *devices; /* what differs from the defaults */
	struct guest_config *next;
};

#endif
