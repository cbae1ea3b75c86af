/* An interrupt controller that remembers a line's level; see fake_emul.h. */
#include "tests/unit/fake_emul.h"

static void chip_set(struct emul_line *line, bool level)
{
	(void)line;
	fake_chip.changes++;
	fake_chip.level = level;
}

static struct emul_line *chip_line(struct emul_dev *dev, struct emul_dev *of)
{
	static struct emul_line line = { chip_set };

	(void)dev;
	fake_chip.irq = of->irq;
	return &line;
}

static const struct emul_ops chip_ops = {
	.name = "chip",
	.base = { 0x0c000000 },
	.bytes = 0x1000,
	.widths = EMUL_W32,
	.lines = 64,
	.read = fake_none_read,
	.line = chip_line,
	.pin = fake_no_pin,
};

EMUL_DEVICE(chip_ops);
