#include "tests/unit/fake_emul.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/log.h"
#include "kernel/mem.h"
#include "kernel/tree_write.h"

struct fake fake;
struct fake_chip fake_chip;
_Thread_local struct cpu *fake_this_cpu;

void fake_start(u32 vcpus)
{
	fake = (struct fake){ .allocs_left = -1,
			      .timers.armed = TIME_NEVER };
	fake.guest.cfg.name = "box";
	fake.guest.cfg.vcpus = vcpus;
	fake.guest.cfg.ram_base.v = 0x80000000;
	fake.guest.cfg.memory_bytes = 64 * MIB;
	fake.guest.vcpu = fake.vcpu;
	for (u32 i = 0; i < vcpus && i < FAKE_VCPUS; i++) {
		fake.vcpu[i] = aligned_alloc(64, sizeof(struct vcpu));
		memset(fake.vcpu[i], 0, sizeof(struct vcpu));
		fake.vcpu[i]->id = i;
		fake.vcpu[i]->guest = &fake.guest;
	}
}

void fake_stop(void)
{
	for (u32 i = 0; i < FAKE_VCPUS; i++)
		free(fake.vcpu[i]);
}

u64 fake_read(u64 at, u32 width)
{
	u64 val = 0xdeadbeefdeadbeef;

	assert_int_equal(emul_read(&fake.guest, fake.vcpu[0],
				   (struct gpa){ at }, width, &val), EMUL_DONE);
	return val;
}

void fake_write(u64 at, u32 width, u64 val)
{
	assert_int_equal(emul_write(&fake.guest, fake.vcpu[0],
				    (struct gpa){ at }, width, val), EMUL_DONE);
}

static struct {
	const char *name;
	u32 v;
} cell; /* the last one written into a tree */

void tree_u32(struct tree_writer *t, const char *name, u32 v)
{
	(void)t;
	cell.name = name;
	cell.v = v;
}

u32 fake_described(struct emul_dev *dev, const char *name)
{
	cell.name = "";
	dev->ops->describe(dev, NULL);
	assert_string_equal(cell.name, name);
	return cell.v;
}

void *obj_alloc(size_t bytes)
{
	void *obj;

	if (!fake.allocs_left)
		return NULL;
	if (fake.allocs_left > 0)
		fake.allocs_left--;
	obj = aligned_alloc(64, ALIGN_UP(bytes, 64));
	memset(obj, 0, bytes);
	fake.live++;
	return obj;
}

void obj_free(void *obj)
{
	if (obj)
		fake.live--;
	free(obj);
	if (fake.after_free)
		fake.after_free();
}

void log_line(enum log_level level, const char *fmt, ...)
{
	va_list ap;

	(void)level;
	va_start(ap, fmt);
	vsnprintf(fake.log, sizeof(fake.log), fmt, ap);
	va_end(ap);
}

void virq_raise(struct vcpu *v, u32 bits)
{
	v->virq |= bits;
	if (bits & VIRQ_EXTERNAL)
		fake.kicks[v->id]++;
}

void virq_raise_one(struct vcpu *v, u32 bits)
{
	virq_raise(v, bits);
}

struct dev_timers *dev_timers_here(void)
{
	return &fake.timers;
}

void dev_timers_arm(u64 at_ticks)
{
	fake.armed = at_ticks;
}

void dev_timers_pay(const struct guest *g, u64 now)
{
	(void)now;
	assert_ptr_equal(g, &fake.guest);
}

void guest_console_put(struct guest *g, const char *buf, size_t len)
{
	assert_ptr_equal(g, &fake.guest);
	assert_true(fake.out_len + len <= FAKE_OUT_BYTES);
	memcpy(fake.out + fake.out_len, buf, len);
	fake.out_len += len;
}

void guest_console_ready(struct guest *g)
{
	fake.ready++;
	if (fake.on_ready)
		fake.on_ready(g);
}

void guest_end(struct guest *g, enum guest_event why, u32 code)
{
	assert_ptr_equal(g, &fake.guest);
	fake.ends++;
	fake.end_event = why;
	fake.end_code = code;
}

u64 fake_none_read(struct emul_dev *dev, struct vcpu *v, u64 off, u32 width)
{
	(void)dev;
	(void)v;
	(void)off;
	(void)width;
	return 0;
}

struct emul_pin *fake_no_pin(struct emul_dev *dev, struct vcpu *v)
{
	(void)dev;
	(void)v;
	return &emul_no_pin;
}

int fake_devices_start(void **state)
{
	(void)state;
	fake_start(1);
	fake_chip = (struct fake_chip){ 0 };
	assert_int_equal(emul_create(&fake.guest, NULL), 0);
	emul_reset(&fake.guest);
	return 0;
}

int fake_devices_stop(void **state)
{
	(void)state;
	emul_destroy(&fake.guest);
	assert_int_equal(fake.live, 0);
	fake_stop();
	return 0;
}
