/*
 * Rows of vCPUs that take turns on one hart.
 *
 * Two of them, of this guest or one of each of two guests, do the same: mark,
 * give way by `wrs.nto` (which traps under a hypervisor that sets VTW), make
 * registers dirty if the row is about them, mark. The meter counts from one's
 * mark to the other's; where the same vCPU comes back nothing was switched.
 */
#include "guests/baremetal/meter/meter.h"

enum dirt { INTEGER, FP, VECTOR };

void fp_dirty(void);
void vector_dirty(void);

#define TURNS(row, who, dirty) \
	do { \
		for (u64 i = 0; i < plan.rounds; i++) { \
			MARK_ROW(row, MARK_OUT + (who)); \
			wrs_nto(); \
			dirty; \
			MARK_ROW(row, MARK_IN + (who)); \
		} \
	} while (0)

#define TURNS_OF(who) \
	static void turns_##who(enum dirt d, bool other) \
	{ \
		if (d == INTEGER && !other) \
			TURNS(ROW_SWITCH_INTEGER, who, ); \
		else if (d == FP && !other) \
			TURNS(ROW_SWITCH_FP, who, fp_dirty()); \
		else if (d == VECTOR && !other) \
			TURNS(ROW_SWITCH_VECTOR, who, vector_dirty()); \
		else if (d == INTEGER) \
			TURNS(ROW_OTHER_INTEGER, who, ); \
		else if (d == FP) \
			TURNS(ROW_OTHER_FP, who, fp_dirty()); \
		else \
			TURNS(ROW_OTHER_VECTOR, who, vector_dirty()); \
	}
TURNS_OF(0)
TURNS_OF(1)

static void units_on(enum dirt d)
{
	if (d == FP)
		csr_set(sstatus, SSTATUS_FS & -SSTATUS_FS);
	if (d == VECTOR)
		csr_set(sstatus, SSTATUS_VS & -SSTATUS_VS);
}

static enum dirt dirt;

static void turns_first(struct hart *h, void *arg)
{
	(void)h, (void)arg;
	units_on(dirt);
	turns_0(dirt, false);
}

static void turns_second(struct hart *h, void *arg)
{
	(void)h, (void)arg;
	units_on(dirt);
	turns_1(dirt, false);
}

/* Waits asleep, not to take part: a look is a turn in one of their rounds, so
 * they are few, but before the end of a slice, for which each switch would set
 * the hart's timer. */
static void join_asleep(struct hart *h)
{
	while (__atomic_load_n(&h->running, __ATOMIC_ACQUIRE))
		sleep_ticks(us_to_ticks(90000));
	hart_join(h);
}

static void turns(struct hart *first, struct hart *second, enum dirt d)
{
	bool both;

	dirt = d;
	if (!partner_start(first, turns_first))
		return;
	both = partner_start(second, turns_second);
	join_asleep(first);
	if (both)
		join_asleep(second);
}

static void pair(const char *key, enum dirt d)
{
	struct hart *first = hart_arg(key);

	if (!first) {
		plan.reason = "no two vCPUs for it on one hart";
		return;
	}
	if (first->index + 1 == machine.hart_count)
		die("boot arguments: %s=%u wants two harts", key, first->index);
	turns(first, first + 1, d);
}

static void switch_integer(void)
{
	pair("integer", INTEGER);
}

static void switch_fp(void)
{
	pair("fp", FP);
}

static void switch_vector(void)
{
	pair("vector", VECTOR);
}

void role_other(void)
{
	char what[16] = "integer";
	enum dirt d;

	arg_str("dirty", what, sizeof(what));
	d = !strcmp(what, "fp") ? FP : !strcmp(what, "vector") ? VECTOR :
								 INTEGER;
	units_on(d);
	if (arg_u64("who", 0))
		turns_1(d, true);
	else
		turns_0(d, true);
}

struct row switch_rows[] = {
	{.name = "switch_integer", .run = switch_integer},
	{.name = "switch_fp", .run = switch_fp},
	{.name = "switch_vector", .run = switch_vector},
};
const size_t switch_row_count = ARRAY_LEN(switch_rows);
