/*
 * Booting, once the machine is known: the lab is read and checked as a whole,
 * then guests are made, then the CPUs are let go.
 *
 * Whatever is wrong with the lab is said before anything runs, and ends Rouse
 * with a failing status: nothing is half started.
 */
#include "kernel/main.h"

#include <stdio.h>
#include <string.h>

#include "emul/emul.h"
#include "kernel/arch.h"
#include "kernel/cmdline.h"
#include "kernel/cpio.h"
#include "kernel/devtimer.h"
#include "kernel/guest.h"
#include "kernel/lab.h"
#include "kernel/log.h"
#include "kernel/mem.h"
#include "kernel/panic.h"
#include "kernel/percpu/cpu.h"
#include "kernel/rng.h"
#include "kernel/sched/sched.h"
#include "kernel/shell/console.h"
#include "kernel/time.h"
#include "kernel/timer.h"
#include "kernel/tracer.h"
#include "kernel/watchdog.h"

static struct cpio images;
static struct lab_env env;
static struct lab *lab;

/* Of each CPU: the guests' device timers (kernel/devtimer.h) that it serves,
 * and its own timer for them. */
static struct served {
	struct dev_timers timers;
	struct timer due;
} __cacheline *served;

struct dev_timers *dev_timers_here(void)
{
	return &served[cpu_this()->index].timers;
}

void dev_timers_arm(u64 at_ticks)
{
	sched_timer_set(&served[cpu_this()->index].due, at_ticks);
}

void dev_timers_pay(const struct guest *g, u64 now)
{
	sched_pay(g, now);
}

static void devices_due(struct timer *t, u64 now)
{
	dev_timers_run(&container_of(t, struct served, due)->timers, now);
}

static void dev_timers_begin(void)
{
	served = obj_alloc(cpu_count() * sizeof(*served));
	if (!served)
		refuse("not enough memory for devices' timers");
	for (u32 i = 0; i < cpu_count(); i++) {
		dev_timers_init(&served[i].timers);
		timer_init(&served[i].due, devices_due);
	}
}

static bool policy_exists(const char *name)
{
	const char *p;

	for (u32 i = 0; (p = sched_policy_list(i)); i++)
		if (strcmp(p, name) == 0)
			return true;
	return false;
}

static bool device_exists(const char *name)
{
	const struct emul_ops *const *p;

	for (p = __start_rouse_emul; p < __stop_rouse_emul; p++)
		if (strcmp((*p)->name, name) == 0)
			return true;
	return false;
}

static void lab_read(void)
{
	struct lab_error err;
	size_t bytes;
	const void *initrd = arch_initrd(&bytes);

	if (!initrd)
		refuse("no initrd: Rouse expects a lab, packed by `make lab` "
		       "(QEMU: -initrd lab.cpio)");
	images = (struct cpio){ initrd, bytes };
	env = (struct lab_env){
		.cpu_count = cpu_count(),
		.images = &images,
		.policy_exists = policy_exists,
		.device_exists = device_exists,
		.isa = arch_guest_isa(),
	};
	if (lab_open(&env, &lab, &err))
		refuse("%s", err.text);
}

static void seed(void)
{
	u64 now = time_now_ticks();
	size_t bytes;
	const void *tree = arch_rng_seed(&bytes);

	if (lab->has_seed) {
		rng_seed(&lab->seed, sizeof(lab->seed));
		return;
	}
	if (tree)
		rng_stir(tree, bytes);
	rng_stir(&now, sizeof(now));
}

/* "pinned, rr, ...": all there are. */
static const char *policy_names(void)
{
	static char names[160];
	const char *p;
	size_t n = 0;

	for (u32 i = 0; (p = sched_policy_list(i)) && n < sizeof(names); i++)
		n += (size_t)snprintf(names + n, sizeof(names) - n, "%s%s",
				      i ? ", " : "", p);
	return names;
}

/* The words that the command line may have. One that isn't known is a slip of
 * somebody's hand, and would go unnoticed: a machine that isn't what one asked
 * for is worse than none. */
static void cmdline_check(void)
{
	static const char *const known[] = {
		"sched", "cmd", "doorbell", "timer", "vmid-bits", "quick",
		"watchdog", "fail", "sse", "htinst",
	};
	char bad[32];

	if (!cmdline_unknown(known, ARRAY_LEN(known), bad, sizeof(bad)))
		return;
	refuse("'%s' on the command line: expected sched=, cmd=, doorbell=, "
	       "timer=, vmid-bits=, quick=, htinst=, watchdog=, sse= or fail=",
	       bad);
}

/* `sched=` of the command line, else the lab's word, else the Makefile's. */
static void policy_init(void)
{
	static char name[32];
	size_t len;
	const char *asked = cmdline_get("sched", &len);
	int err;

	snprintf(name, sizeof(name), "%.*s",
		 asked ? (int)MIN(len, sizeof(name)) : 31,
		 asked ? asked : lab->scheduler ? lab->scheduler :
						  ROUSE_DEFAULT_POLICY);
	sched_short_way = !cmdline_is("quick", "off");
	err = sched_init(name);
	if (err == -ENOENT)
		refuse("sched=%s: no such scheduler; expected %s", name,
		       policy_names());
	if (err)
		refuse("not enough memory for the scheduler");
	log_info("scheduler: %s on %u CPUs", name, cpu_count());
}

static void guests_make(void)
{
	struct lab_error err;
	struct guest *g;

	guests_init(&env, lab->poweroff_when_done);
	for (struct guest_config *c = lab->guests; c; c = c->next)
		if (guest_create(c, &g, &err))
			refuse("%s", err.text);
}

static void guests_begin(void)
{
	for (struct guest_config *c = lab->guests; c; c = c->next) {
		struct guest *g = guest_find(c->name);

		if (c->autostart && guest_start(g))
			log_error("%s: could not be started", c->name);
		guest_put(g);
	}
}

static void scripts_begin(void)
{
	size_t len;
	const char *cmd = cmdline_get("cmd", &len);

	for (u32 i = 0; i < lab->boot_count; i++)
		console_script(lab->boot[i], strlen(lab->boot[i]));
	if (cmd)
		console_script(cmd, len);
}

_Noreturn void kernel_main(struct cpu *boot)
{
	cmdline_check();
	lab_read();
	seed();
	policy_init();
	if (tracer_init())
		refuse("not enough memory for tracing");
	log_info("memory: %lu MiB free of %lu",
		 (page_free_count() * PAGE_BYTES / MIB),
		 (page_total_count() * PAGE_BYTES / MIB));
	dev_timers_begin();
	console_init(boot);
	watchdog_init();
	guests_make();
	scripts_begin();
	guests_begin();
	arch_cpus_release();
	sched_loop(boot);
}
