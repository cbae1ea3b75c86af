/*
 * The host's device tree: RAM, reservations, harts and their ISA, the console,
 * interrupt controllers, the initrd and the command line. It is the firmware's,
 * and a firmware may be broken.
 *
 * Any tree is read without a byte outside it, ends in a machine or in a refusal
 * of one line, and what is said of harts is kept within the tree's.
 */
/* sources: arch/riscv/machine.c arch/riscv/machine_irq.c arch/riscv/range.c
 *	kernel/cmdline.c GUEST_FDT tests/unit/fake_lab.c LIBFDT */
#include "arch/riscv/machine.h"

#include <libfdt.h>
#include <setjmp.h>
#include <stdarg.h>

#include "fake_lab.h"
#include "kernel/cmdline.h"
#include "kernel/log.h"
#include "kernel/mem.h"
#include "kernel/panic.h"
#include "kernel/time.h"
#include "tests/fuzz/fuzz.h"

/* For its table. */
#include "arch/riscv/isa.c"

u64 timebase_hz;
static jmp_buf refused;

void refuse(const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	MUST(fuzz_is_line(text, sizeof(text)));
	longjmp(refused, 1);
}

void log_line(enum log_level level, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	MUST(fuzz_is_line(text, sizeof(text)));
}

/* Ranges of RAM are whole pages, and no page is there twice: the tree that is
 * read, and where the last range that was told of begins. */
static const void *tree;
static u64 previous;

static void range_found(u64 base, u64 bytes)
{
	MUST(bytes && IS_ALIGNED(base | bytes, PAGE_BYTES));
	MUST(base + bytes > base && base != previous);
	MUST(machine_is_ram(tree, (struct range){base, base + bytes}));
	previous = base;
}

static void parts_read(const void *fdt)
{
	static const char *const known[] = {"sched", "cmd"};
	u32 count, intc = machine.hart_count ? machine.harts[0].intc : 1;
	char bad[32];

	(void)cmdline_unknown(known, ARRAY_LEN(known), bad, sizeof(bad));
	for (u32 irq = 1; irq < 12; irq += 8) {
		(void)machine_ext_index(fdt, machine.plic_node, intc, irq);
		(void)machine_ext_index(fdt, machine.imsic_node, intc, irq);
		(void)machine_ext_index(fdt, machine.sswi_node, intc, irq);
	}
	isa_log();
	(void)isa_guest_extensions(&count);
	MUST(count < ROWS && strlen(isa_guest_string()) < sizeof(guest_string));
	(void)isa_guest_henvcfg();
}

static void machine_try(const void *fdt)
{
	struct range_search first = {0, {UINT64_MAX, UINT64_MAX}};

	tree = fdt;
	previous = UINT64_MAX;
	MUST(machine_ram(fdt, range_found) <= 0);
	machine_reserved(fdt, &first);
	(void)machine_initrd(fdt);
	if (setjmp(refused) == 0) {
		machine_init(fdt);
		MUST(machine.hart_count > 0 && timebase_hz > 0);
		MUST(!machine.uart.bytes ||
		     (7ULL << machine.uart_shift) + machine.uart_width <=
			     machine.uart.bytes);
		parts_read(fdt);
	}
	cmdline_init(NULL);
	obj_free(machine.harts);
	MUST(obj_live_bytes() == 0);
	machine = (struct machine){
		.plic_node = -1, .sswi_node = -1, .imsic_node = -1};
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes)
{
	void *fdt = malloc(bytes);

	if (!fdt)
		abort();
	memcpy(fdt, data, bytes);
	/* The firmware says where it is; how long it is, it says itself. */
	if (bytes >= sizeof(struct fdt_header) && fdt_totalsize(fdt) <= bytes &&
	    machine_check(fdt) == 0)
		machine_try(fdt);
	free(fdt);
	return 0;
}
