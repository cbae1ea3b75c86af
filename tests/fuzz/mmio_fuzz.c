/*
 * The devices: accesses of any width and alignment by several vCPUs to every
 * device of the registry through the real bus, while time passes, input comes
 * and devices are reset. Where they are and which there are may be as a lab has
 * it.
 *
 * Whatever is accessed: only what a device says it has is no fault, a value is
 * no wider than its access, and each vCPU knows the level of its external
 * interrupt: what it was told when it last looked is what the controller's
 * registers say, unless it has been told to look again, or some are yet to be
 * told by the guest's task. Devices that can't be are refused in one line. All
 * memory and timers come back at the end.
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
static bool untold;	       /* the guest's task has some to tell */

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
	u32 ctx = 2 * id + 1, threshold, set;
	bool high = false;

	if (!fake.guest.irqchip)
		return;
	threshold = chip_read(THRESHOLD(ctx));
	set = chip_read(PENDING) & chip_read(ENABLE(ctx));
	MUST(!(chip_read(PENDING) & 1) && !(chip_read(ENABLE(ctx)) & 1));
	for (u32 src = 1; src < 32; src++)
		if (set >> src & 1 && chip_read(4 * src) > threshold)
			high = true;
	if (!(fake.vcpu[id]->virq & VIRQ_EXTERNAL) && !untold)
		MUST(level[id] == high);
}

/* Has the guest's task tell some of those that are left. */
static void tell(void)
{
	untold = emul_tell_rest(&fake.guest);
	fake.rests = 0;
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
	u32 what = fuzz_below(in, 8);
	u64 ctx;

	if (!fake.guest.irqchip && (what == 3 || what == 4))
		what = 0;
	switch (what) {
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
	case 5:
		tell();
		break;
	default:
		access(in, id);
	}
	untold |= fake.rests != 0;
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

/* ---- where they are ---- */

/* Up to three, each perhaps one that can't be. */
static void devices_config(struct fuzz_in *in, struct device_config *c)
{
	static const char *const names[] = {"plic", "uart", "rtc", "finisher",
					    "printer"};
	static const u64 bases[] = {0x100000,  0x101000,   0x102000,
				    0xc001000, 0x10000000, 0x7ffff000,
				    0x80001000};
	struct device_config **link = &fake.guest.cfg.devices;
	u32 count = fuzz_below(in, 4);

	for (u32 i = 0; i < count; i++, c++) {
		u32 how = fuzz_below(in, 16);

		*c = (struct device_config){
			.name = names[fuzz_below(in, how ? 4 : 5)],
			.absent = how == 1,
			.has_base = how & 4,
			.base.v = bases[fuzz_below(in, ARRAY_LEN(bases))],
			.has_irq = how & 8,
			.irq = how == 15 ? 1024 : fuzz_below(in, 32),
		};
		if (how == 6)
			c->base.v += fuzz_take(in, 6);
		*link = c;
		link = &c->next;
	}
}

static void run(struct fuzz_in *in, u32 vcpus)
{
	bool enabled = fuzz_below(in, 2);

	emul_reset(&fake.guest);
	reset(vcpus);
	if (enabled && fake.guest.irqchip)
		lines_enable(vcpus);
	for (u32 i = 0; in->left && i < STEPS_MAX; i++)
		step(in, vcpus);
	for (u32 i = 0; untold && i <= vcpus; i++)
		tell();
	MUST(!untold);
	for (u32 i = 0; i < vcpus; i++)
		level_check(i);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes)
{
	static const u32 counts[] = {1, 2, 3, 70, 300};
	struct fuzz_in in = {data, bytes};
	u32 vcpus = counts[fuzz_below(&in, ARRAY_LEN(counts))];
	struct device_config configs[3];
	struct lab_error err = {""};
	bool memory_ends;
	int ret;

	fake_start(vcpus);
	memset(level, 0, sizeof(level));
	untold = false;
	ticks = 777;
	fake.allocs_left = (int)fuzz_take(&in, 1);
	memory_ends = fake.allocs_left <= 20;
	if (!memory_ends)
		fake.allocs_left = -1;
	if (fuzz_below(&in, 4) == 0)
		devices_config(&in, configs);
	ret = emul_create(&fake.guest, &err);
	if (ret == 0) {
		if (fake.guest.device_count)
			run(&in, vcpus);
		emul_destroy(&fake.guest);
	} else if (ret != -ENOMEM) {
		MUST(fuzz_is_line(err.text, sizeof(err.text)));
	} else {
		MUST(memory_ends);
	}
	MUST(fake.live == 0);
	MUST(dev_timers_next_ticks(&fake.timers) == TIME_NEVER);
	fake_stop();
	return 0;
}
