/*
 * The table of knobs, and what can be told from the table alone.
 *
 * The parser of lab.dtb, the console's `set` and `guest create`, completion,
 * and the check that docs/lab.md names every knob all walk these rows: a knob
 * is added by adding a row (and a line to the documentation, or a test fails).
 *
 * Rejected: a function per property. Each would repeat its own range check and
 * its own wording, and the console would need all of it a second time.
 */
#include "kernel/lab_prop.h"

#include <stdio.h>
#include <string.h>

/* Half of what Sv48x4 can name; more than any machine has. */
#define MEMORY_MAX (1ULL << 47)

static const char *const poweroff_words[] = { "never", "when-done", NULL };
static const char *const wfi_words[] = { "trap", "native", "poll", NULL };
static const char *const populate_words[] = { "lazy", "eager", NULL };
static const char *const action_words[] = { "stop", "restart",
					    "host-poweroff", NULL };

#define TOP(m) .at = offsetof(struct lab, m)
#define G(m) .at = offsetof(struct guest_config, m)
#define D(m) .at = offsetof(struct device_config, m)
#define HAS(s, m) .has = offsetof(struct s, m)
#define NO_HAS .has = LAB_NO_HAS
#define RANGE(lo, hi) .min = (lo), .max = (hi)
#define GWORD(m) \
	.type = LAB_WORD, G(m), NO_HAS, \
	.bytes = sizeof(((struct guest_config *)0)->m)

const struct lab_prop lab_top_props[] = {
	{ "scheduler", .type = LAB_POLICY, TOP(scheduler), NO_HAS },
	{ "poweroff", .type = LAB_WORD, TOP(poweroff_when_done), NO_HAS,
	  .bytes = sizeof(bool), .words = poweroff_words },
	{ "seed", .type = LAB_U64, TOP(seed), HAS(lab, has_seed),
	  RANGE(0, UINT64_MAX) },
	{ "boot", .type = LAB_LINES, TOP(boot), HAS(lab, boot_count) },
	{ .name = NULL },
};

const struct lab_prop lab_guest_props[] = {
	{ "vcpus", .type = LAB_U32, G(vcpus), NO_HAS,
	  RANGE(1, GUEST_VCPUS_MAX) },
	{ "memory", .type = LAB_SIZE, G(memory_bytes), NO_HAS,
	  RANGE(MIB, MEMORY_MAX), .multiple = PAGE_BYTES },
	{ "kernel", .type = LAB_FILE, G(kernel), NO_HAS },
	{ "initrd", .type = LAB_FILE, G(initrd), NO_HAS },
	{ "dtb", .type = LAB_FILE, G(dtb), NO_HAS },
	{ "bootargs", .type = LAB_STRING, G(bootargs), NO_HAS },
	{ "load", .type = LAB_U64, G(load), HAS(guest_config, has_load),
	  RANGE(0, UINT64_MAX) },
	{ "entry", .type = LAB_U64, G(entry), HAS(guest_config, has_entry),
	  RANGE(0, UINT64_MAX), .multiple = 2 },
	{ "weight", .type = LAB_U32, G(sched.weight), NO_HAS, RANGE(1, 65535),
	  .live = true },
	{ "cap", .type = LAB_U32, G(sched.cap), NO_HAS,
	  RANGE(0, 100 * GUEST_VCPUS_MAX), .live = true },
	{ "priority", .type = LAB_U32, G(sched.priority), NO_HAS, RANGE(0, 255),
	  .live = true },
	{ "slice-us", .type = LAB_U32, G(sched.slice_us), NO_HAS,
	  RANGE(100, 1000000), .live = true },
	{ "affinity", .type = LAB_CPUS, G(affinity),
	  HAS(guest_config, has_affinity), .live = true },
	{ "pin", .type = LAB_PINS, G(pin), HAS(guest_config, pin_count),
	  .live = true },
	{ "wfi", GWORD(wfi), .words = wfi_words, .live = true },
	{ "wfi-poll-us", .type = LAB_U32, G(wfi_poll_us), NO_HAS,
	  RANGE(1, 10000), .live = true },
	{ "populate", GWORD(eager), .words = populate_words },
	{ "on-poweroff", GWORD(on_poweroff), .words = action_words,
	  .live = true },
	{ "on-reboot", GWORD(on_reboot), .words = action_words, .live = true },
	{ "on-crash", GWORD(on_crash), .words = action_words, .live = true },
	{ "autostart", .type = LAB_FLAG, G(autostart), NO_HAS, .live = true },
	{ .name = NULL },
};

const struct lab_prop lab_device_props[] = {
	{ "absent", .type = LAB_FLAG, D(absent), NO_HAS },
	{ "reg-base", .type = LAB_U64, D(base), HAS(device_config, has_base),
	  RANGE(0, MEMORY_MAX), .multiple = PAGE_BYTES },
	{ "irq", .type = LAB_U32, D(irq), HAS(device_config, has_irq),
	  RANGE(0, 1023) },
	{ .name = NULL },
};

const struct lab_prop *lab_prop_find(const struct lab_prop *table,
				     const char *name, size_t len)
{
	for (const struct lab_prop *p = table; p->name; p++)
		if (strlen(p->name) == len && memcmp(p->name, name, len) == 0)
			return p;
	return NULL;
}

void lab_prop_names(const struct lab_prop *table, char *buf, size_t bytes)
{
	size_t n = 0;

	buf[0] = 0;
	for (const struct lab_prop *p = table; p->name && n < bytes; p++)
		n += (size_t)snprintf(buf + n, bytes - n, "%s%s",
				      p == table ? "" : ", ", p->name);
}

/* "65536" as "64K": the largest unit that divides it. */
static void size_show(u64 v, char *buf, size_t bytes)
{
	static const char unit[] = "KMG";
	u32 i = 0;

	while (i < 3 && v && v % 1024 == 0) {
		v /= 1024;
		i++;
	}
	if (i)
		snprintf(buf, bytes, "%lu%c", v,
			 unit[i - 1]);
	else
		snprintf(buf, bytes, "%lu", v);
}

/* "trap, native or poll" */
static void words_show(const char *const *words, char *buf, size_t bytes)
{
	size_t n = 0;

	for (u32 i = 0; words[i] && n < bytes; i++)
		n += (size_t)snprintf(buf + n, bytes - n, "%s%s",
				      !i ? "" : words[i + 1] ? ", " : " or ",
				      words[i]);
}

void lab_prop_takes(const struct lab_prop *p, char *buf, size_t bytes)
{
	char lo[24], hi[24];

	switch (p->type) {
	case LAB_FLAG:
		snprintf(buf, bytes, "on or off");
		break;
	case LAB_U64:
		if (p->max == UINT64_MAX) {
			snprintf(buf, bytes, "a number");
			break;
		}
		snprintf(buf, bytes, "0x%lx to 0x%lx",
			 p->min,
			 p->max);
		break;
	case LAB_U32:
		snprintf(buf, bytes, "%lu to %lu", p->min,
			 p->max);
		break;
	case LAB_SIZE:
		size_show(p->min, lo, sizeof(lo));
		size_show(p->max, hi, sizeof(hi));
		snprintf(buf, bytes, "%s to %s", lo, hi);
		break;
	case LAB_WORD:
		words_show(p->words, buf, bytes);
		break;
	case LAB_CPUS:
		snprintf(buf, bytes, "CPUs such as 0-3,6, or all");
		break;
	case LAB_PINS:
		snprintf(buf, bytes, "one CPU a vCPU such as 0,1, or none");
		break;
	case LAB_FILE:
		snprintf(buf, bytes, "a file of the lab");
		break;
	case LAB_POLICY:
		snprintf(buf, bytes, "a scheduler");
		break;
	case LAB_STRING:
		snprintf(buf, bytes, "text");
		break;
	case LAB_LINES:
		snprintf(buf, bytes, "commands");
		break;
	}
}

static void cpus_show(const struct cpuset *s, char *buf, size_t bytes)
{
	size_t n = 0;

	buf[0] = 0;
	for (u32 a = cpuset_next(s, 0); a != CPU_NONE && n < bytes;) {
		u32 b = a;

		while (cpuset_has(s, b + 1))
			b++;
		n += (size_t)snprintf(buf + n, bytes - n,
				      a == b ? "%s%lu" : "%s%lu-%lu",
				      n ? "," : "", (unsigned long)a,
				      (unsigned long)b);
		a = cpuset_next(s, b + 1);
	}
}

static void pins_show(const u32 *pin, u32 count, char *buf, size_t bytes)
{
	size_t n = 0;

	if (!pin)
		snprintf(buf, bytes, "none");
	for (u32 i = 0; pin && i < count && n < bytes; i++)
		n += (size_t)snprintf(buf + n, bytes - n, "%s%lu",
				      i ? "," : "", (unsigned long)pin[i]);
}

static void num_show(const struct lab_prop *p, const char *at, char *buf,
		     size_t bytes)
{
	u64 num = 0;
	u32 word = 0;

	switch (p->type) {
	case LAB_FLAG:
		snprintf(buf, bytes, "%s", *(const bool *)at ? "on" : "off");
		break;
	case LAB_U32:
		memcpy(&word, at, sizeof(word));
		snprintf(buf, bytes, "%lu", (unsigned long)word);
		break;
	case LAB_WORD:
		/* Little-endian wherever this runs: a bool is its low byte. */
		memcpy(&word, at, p->bytes);
		snprintf(buf, bytes, "%s", p->words[word]);
		break;
	default:
		memcpy(&num, at, sizeof(num));
		if (p->type == LAB_SIZE)
			size_show(num, buf, bytes);
		else
			snprintf(buf, bytes, "0x%lx", num);
	}
}

void lab_prop_show(const struct lab_prop *p, const void *obj, char *buf,
		   size_t bytes)
{
	const char *at = (const char *)obj + p->at;
	struct cpuset set;
	const char *text;
	const u32 *pin;
	bool has = true;
	u32 count = 0;

	buf[0] = 0;
	switch (p->type) {
	case LAB_CPUS:
		memcpy(&has, (const char *)obj + p->has, sizeof(has));
		memcpy(&set, at, sizeof(set));
		if (has)
			cpus_show(&set, buf, bytes);
		else
			snprintf(buf, bytes, "all");
		break;
	case LAB_PINS:
		memcpy(&count, (const char *)obj + p->has, sizeof(count));
		memcpy(&pin, at, sizeof(pin));
		pins_show(pin, count, buf, bytes);
		break;
	case LAB_STRING:
	case LAB_FILE:
	case LAB_POLICY:
		memcpy(&text, at, sizeof(text));
		snprintf(buf, bytes, "%s", text ? text : "");
		break;
	case LAB_LINES:
		break;
	default:
		if (p->has != LAB_NO_HAS)
			memcpy(&has, (const char *)obj + p->has, sizeof(has));
		if (has)
			num_show(p, at, buf, bytes);
	}
}
