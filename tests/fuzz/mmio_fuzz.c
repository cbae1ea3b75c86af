/*
 * The devices: accesses of any width and alignment by several vCPUs to every
 * device of the registry through the real bus, while time passes, input comes
 * and devices are reset.
 *
 * Whatever is accessed: only what a device says it has is no fault, a value is
 * no wider than its access, and each vCPU knows the level of its external
 * interrupt: what it was told when it last looked is what the controller's
 * registers say, unless it has been told to look again. All memory and timers
 * come back at the end.
 */
/* sources: DEVICES kernel/config.c kernel/devtimer.c kernel/heap.c
 *	kernel/timer.c tests/unit/fake_emul.c tests/unit/fake_trace.c */
#include "tests/unit/fake_emul.h"

#include "kernel/devtimer.h"
#include "kernel/time.h"
#include "tests/fuzz/fuzz.h"

#define STEPS_MAX 3000

u64 timebase_hz = 10000000;
static u64 ticks;
static bool level[FAKE_VCPUS]; /* of a vCPU's external interrupt: eval's */

u64 time_now_ticks(void)
{
	return ticks;
}

u64 host_wall_ns(void)
{
	return 1790000000123456700ull;
}

/* ---- the controller, as its registers are ---- */

#define PENDING	       0x1000ull
#define ENABLE(ctx)    (0x2000ull + 0x80 * (ctx))
#define THRESHOLD(ctx) (0x200000ull + 0x1000 * (ctx))

static u32 chip_read(u64 off)
{
	struct gpa at = {fake.guest.irqchip->base.v + off};
	u64 val;

	MUST(emul_read(&fake.guest, fake.vcpu[0], at, 4, &val) == EMUL_DONE);
	return (u32)val;
}

/* Sources of the guest's devices are all below 32. */
static void level_check(u32 id)
{
	u32 ctx = 2 * id + 1, threshold = chip_read(THRESHOLD(ctx));
	u32 set = chip_read(PENDING) & chip_read(ENABLE(ctx));
	bool high = false;

	MUST(!(chip_read(PENDING) & 1) && !(chip_read(ENABLE(ctx)) & 1));
	for (u32 src = 1; src < 32; src++)
		if (set >> src & 1 && chip_read(4 * src) > threshold)
			high = true;
	if (!(fake.vcpu[id]->virq & VIRQ_EXTERNAL))
		MUST(level[id] == high);
}

static void look(u32 id)
{
	struct vcpu *v = fake.vcpu[id];

	if (!(v->virq & VIRQ_EXTERNAL))
		return;
	v->virq &= ~VIRQ_EXTERNAL;
	level[id] = emul_eval(v);
}

/* ---- steps ---- */

static const struct emul_dev *device(u32 n)
{
	return &fake.guest.devices[n % fake.guest.device_count];
}

/* Registers are near the start of a window, or of a context of a vCPU's. */
static u64 address_take(struct fuzz_in *in)
{
	const struct emul_dev *d = device(fuzz_below(in, 16));
	u64 ctx;

	switch (fuzz_below(in, 8)) {
	case 0:
		return fuzz_take(in, 8);
	case 1:
		return d->base.v + d->ops->bytes - 8 + fuzz_below(in, 16);
	case 2:
		return d->base.v + fuzz_take(in, 3);
	case 3:
		ctx = fuzz_below(in, 12);
		return fake.guest.irqchip->base.v +
		       (ctx & 1 ? THRESHOLD(ctx >> 1) + 4 * fuzz_below(in, 2)
				: ENABLE(ctx >> 1));
	case 4:
		return fake.guest.irqchip->base.v + 4 * fuzz_below(in, 16);
	default:
		return d->base.v + fuzz_below(in, 40);
	}
}

/* Has a device this access, by what it says of itself? */
static bool accepted(u64 at, u32 width)
{
	for (u32 i = 0; i < fake.guest.device_count; i++) {
		const struct emul_dev *d = device(i);

		if (at >= d->base.v && at - d->base.v < d->ops->bytes)
			return (d->ops->widths & width) && at % width == 0;
	}
	return false;
}

static void access(struct fuzz_in *in, u32 id)
{
	struct gpa at = {address_take(in)};
	u32 width = 1u << fuzz_below(in, 4), kind = fuzz_below(in, 4);
	enum emul_result result;
	u64 val;

	/* What most devices have comes oftener. */
	if (kind > 1)
		width = accepted(at.v, 1) ? 1 : 4;
	if (kind > 2)
		at.v = ALIGN_DOWN(at.v, (u64)width);
	if (fuzz_below(in, 2)) {
		val = fuzz_take(in, fuzz_below(in, 3) ? 1 : 8);
		result = emul_write(&fake.guest, fake.vcpu[id], at, width, val);
	} else {
		val = UINT64_MAX;
		result = emul_read(&fake.guest, fake.vcpu[id], at, width, &val);
		if (result == EMUL_DONE && width < 8)
			MUST(val >> (8 * width) == 0);
	}
	MUST((result == EMUL_DONE) == accepted(at.v, width));
}

static void input(struct fuzz_in *in)
{
	char buf[64];
	size_t n = fuzz_below(in, sizeof(buf)), got;

	memset(buf, 'x', sizeof(buf));
	for (u32 i = 0; i < fake.guest.device_count; i++) {
		struct emul_dev *d = &fake.guest.devices[i];

		if (!d->ops->input)
			continue;
		got = d->ops->input(d, buf, n);
		MUST(got <= n);
	}
}

static void reset(u32 vcpus)
{
	emul_reset(&fake.guest);
	/* Harts start anew: they look. */
	for (u32 i = 0; i < vcpus; i++)
		fake.vcpu[i]->virq |= VIRQ_EXTERNAL;
}

static void step(struct fuzz_in *in, u32 vcpus)
{
	u32 what = fuzz_below(in, 16), id = fuzz_below(in, MIN(vcpus, 256u));

	fake.out_len = 0;
	switch (what) {
	case 0:
		ticks += fuzz_take(in, fuzz_below(in, 6));
		dev_timers_run(&fake.timers, ticks);
		break;
	case 1:
		input(in);
		break;
	case 2:
	case 3:
		look(id);
		break;
	case 4:
		if (!fuzz_below(in, 16))
			reset(vcpus);
		break;
	default:
		access(in, id);
	}
	level_check(id);
}

static void chip_write(u64 off, u32 val)
{
	struct gpa at = {fake.guest.irqchip->base.v + off};

	MUST(emul_write(&fake.guest, fake.vcpu[0], at, 4, val) == EMUL_DONE);
}

/* As a kernel would have it: all lines, for all harts. */
static void lines_enable(u32 vcpus)
{
	for (u32 src = 1; src < 32; src++)
		chip_write(4 * src, 1 + src % 3);
	for (u32 i = 0; i < vcpus; i++)
		chip_write(ENABLE(2 * i + 1), UINT32_MAX);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes)
{
	static const u32 counts[] = {1, 2, 3, 70};
	struct fuzz_in in = {data, bytes};
	u32 vcpus = counts[fuzz_below(&in, ARRAY_LEN(counts))];
	struct lab_error err;

	fake_start(vcpus);
	memset(level, 0, sizeof(level));
	ticks = 777;
	fake.allocs_left = (int)fuzz_take(&in, 1);
	if (fake.allocs_left > 20)
		fake.allocs_left = -1;
	if (emul_create(&fake.guest, &err) == 0) {
		emul_reset(&fake.guest);
		reset(vcpus);
		if (fuzz_below(&in, 2))
			lines_enable(vcpus);
		for (u32 i = 0; in.left && i < STEPS_MAX; i++)
			step(&in, vcpus);
		emul_destroy(&fake.guest);
	}
	MUST(fake.live == 0);
	MUST(dev_timers_next_ticks(&fake.timers) == TIME_NEVER);
	fake_stop();
	return 0;
}
