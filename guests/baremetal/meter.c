/*
 * The measuring guest: does one operation after another, between markers.
 *
 * It measures nothing itself. Around each operation it executes hints that the
 * meter's plugin sees (docs/meter.md), and everything else here exists so that
 * what lies between two of them is the operation and nothing more: partners
 * are in a known state (asleep for `sleep_us=` (5000), or in a loop that isn't
 * counted) before the first marker, and nobody prints.
 *
 * A partner that whoever is beneath has no room for is no failure: the rows
 * that it is wanted for are skipped, and say so.
 *
 * It runs unchanged on OpenSBI, under Rouse and under any hypervisor with the
 * map of QEMU's virt. Boot arguments:
 *
 *	rounds=1000	of each row
 *	settle_us=0	before the first row, for others to settle, and after a
 *			hart that was refused
 *	rows=a,b	only these; all that are possible otherwise
 *	far=1		the vCPU of another hart (0: none)
 *	behind=2	one that shares that hart with it
 *	near=3		one that shares the first vCPU's hart
 *	integer=2 fp=4 vector=6
 *			the first of two vCPUs each, all on the first vCPU's
 *			hart, that switch with FP or vector registers dirty
 *	role=none	only says when it began
 *	role=other	takes turns with another guest (switch.c)
 *	role=fault	touches its memory (memory.c)
 *	role=crowd	gives way, with many others (crowd.c)
 *	role=count, role=broken		the meter's own test (count.c)
 */
#include "guests/baremetal/meter/meter.h"

struct plan plan;

/* `name` stands in the comma-separated list, or there is no list. */
static bool wanted(const char *name)
{
	static char list[512];
	size_t n = strlen(name);

	if (!arg_str("rows", list, sizeof(list)))
		return true;
	for (const char *s = list; *s;) {
		const char *end = strchr(s, ',');
		size_t len = end ? (size_t)(end - s) : strlen(s);

		if (len == n && !memcmp(s, name, n))
			return true;
		s += len + (end != NULL);
	}
	return false;
}

static void run(struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (!wanted(rows[i].name))
			continue;
		plan.reason = NULL;
		plan.refused = NULL;
		rows[i].run();
		rows[i].done = true;
		rows[i].reason = plan.reason;
		rows[i].refused = plan.refused;
	}
}

/* After all rows, since whoever shows the text would be at work in the next. */
static void tell(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (rows[i].reason)
			print("meter: skip %s: %s\n", rows[i].name,
			      rows[i].reason);
		else if (rows[i].refused)
			print("meter: skip %s: hart %ld does not start\n",
			      rows[i].name, rows[i].refused->id);
		else if (rows[i].done)
			print("meter: did %s\n", rows[i].name);
}

struct hart *hart_arg(const char *key)
{
	u64 i = arg_u64(key, 0);

	if (i >= machine.hart_count)
		die("boot arguments: %s=%ld, but there are %u harts", key, i,
		    machine.hart_count);
	return i ? &harts[i] : NULL;
}

static void role_none(void)
{
}

static void play(const char *role)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} roles[] = {{"none", role_none},
		     {"other", role_other}, {"fault", role_fault},
		     {"crowd", role_crowd},
		     {"count", role_count}, {"broken", role_broken}};

	for (size_t i = 0; i < ARRAY_LEN(roles); i++)
		if (!strcmp(role, roles[i].name)) {
			roles[i].run();
			return;
		}
	die("boot arguments: role=%s; there are none, other, "
	    "fault, crowd, count and broken", role);
}

int main(void)
{
	u64 began = time_now();
	char role[16];

	print("meter: began at tick %ld\n", began);
	/* The text above is on its way by then. */
	plan.settle_ticks = us_to_ticks(arg_u64("settle_us", 0));
	spin_ticks(plan.settle_ticks);
	plan.rounds = arg_u64("rounds", 1000);
	plan.sleep_ticks = us_to_ticks(arg_u64("sleep_us", 5000));
	plan.far = hart_arg("far");
	plan.behind = hart_arg("behind");
	plan.near = hart_arg("near");
	if (arg_str("role", role, sizeof(role))) {
		play(role);
	} else {
		run(local_rows, local_row_count);
		run(cross_rows, cross_row_count);
		run(switch_rows, switch_row_count);
		tell(local_rows, local_row_count);
		tell(cross_rows, cross_row_count);
		tell(switch_rows, switch_row_count);
	}
	print("meter: done\n");
	return 0;
}
