/*
 * The test finisher: one register with which a guest ends itself.
 *
 * QEMU's `virt` has it as "sifive,test1", and as "syscon" so that the generic
 * syscon-poweroff and syscon-reboot drivers can use it. A write at offset 0
 * says what is to be done in bits 15:0 and, with a failure, a code in bits
 * 31:16; all other values are ignored, reads give zero.
 *
 * A failure with code 0 counts as 1: the guest said that it failed, and 0 would
 * be reported as success. The device has no state, so nothing needs an order.
 */
#include "emul/emul.h"

#include "kernel/guest.h"

static u64 finisher_read(struct emul_dev *dev, struct vcpu *v, u64 off,
			 u32 width)
{
	(void)dev;
	(void)v;
	(void)off;
	(void)width;
	return 0;
}

static void finisher_write(struct emul_dev *dev, struct vcpu *v, u64 off,
			   u32 width, u64 val)
{
	u32 code = width >= 4 ? val >> 16 & 0xffff : 0;

	(void)v;
	if (off != 0)
		return;
	switch (val & 0xffff) {
	case FINISHER_PASS:
		guest_end(dev->guest, EVENT_POWEROFF, 0);
		break;
	case FINISHER_FAIL:
		guest_end(dev->guest, EVENT_POWEROFF, code ? code : 1);
		break;
	case FINISHER_RESET:
		guest_end(dev->guest, EVENT_REBOOT, 0);
		break;
	}
}

static const struct emul_ops finisher_ops = {
	.name = "finisher",
	EMUL_COMPATIBLE("sifive,test1\0sifive,test0\0syscon"),
	.base = { 0x100000 },
	.bytes = 0x1000,
	.widths = EMUL_W16 | EMUL_W32,
	.read = finisher_read,
	.write = finisher_write,
};

EMUL_DEVICE(finisher_ops);
