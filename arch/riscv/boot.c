/*
 * From the firmware to the CPUs' loops.
 *
 * The boot hart alone finds memory, reads the tree, maps itself, and then has
 * all other harts started (harts.c). Only then is it known what all harts
 * offer, and guests can be made.
 */
#include <libfdt.h>

#include "arch/riscv/cbo.h"
#include "arch/riscv/cpu.h"
#include "arch/riscv/doorbell.h"
#include "arch/riscv/gstage.h"
#include "arch/riscv/harts.h"
#include "arch/riscv/host_irq.h"
#include "arch/riscv/isa.h"
#include "arch/riscv/machine.h"
#include "arch/riscv/mm.h"
#include "arch/riscv/power.h"
#include "arch/riscv/sbi.h"
#include "arch/riscv/sse.h"
#include "arch/riscv/clock.h"
#include "arch/riscv/triggers.h"
#include "arch/riscv/uart.h"
#include "arch/riscv/vector.h"
#include "kernel/arch.h"
#include "kernel/cmdline.h"
#include "kernel/guest_fdt.h"
#include "kernel/log.h"
#include "kernel/main.h"
#include "kernel/mem.h"
#include "kernel/panic.h"
#include "version.h"

#define PANIC_STACK_BYTES 4096

_Noreturn void boot_main(u64 hartid, u64 fdt_pa, u64 image_pa);
_Noreturn void call_on_stack(u64 stack_top, void (*fn)(void *), void *arg);
extern char _start[], _image_end[];

struct riscv_cpu boot_cpu;
static char boot_panic_stack[PANIC_STACK_BYTES]
	__attribute__((aligned(16)));
static struct guest_fdt_isa guest_isa;

/* --- memory --------------------------------------------------------------- */

static struct {
	const void *fdt;
	struct range image, tree, initrd;
} taken;

static void taken_ranges(const void *ctx, struct range_search *s)
{
	(void)ctx;
	machine_reserved(taken.fdt, s);
	range_consider(s, taken.image);
	range_consider(s, taken.tree);
	range_consider(s, taken.initrd);
}

static void frames_add(u64 base, u64 bytes)
{
	page_add((struct hpa){ base },
		 (struct hpa){ MIN(base + bytes, mm_end()) });
}

static void add_ram(u64 base, u64 bytes)
{
	range_without((struct range){ base, base + bytes }, taken_ranges, NULL,
		      frames_add);
}

static void memory_init(const void *fdt, u64 fdt_pa, u64 image_pa)
{
	struct range initrd = machine_initrd(fdt);

	taken.fdt = fdt;
	taken.image = range_around(image_pa, (u64)(_image_end - _start));
	taken.tree = range_around(fdt_pa, fdt_totalsize(fdt));
	if (initrd.from < initrd.to)
		taken.initrd = range_around(initrd.from,
					    initrd.to - initrd.from);
	machine_ram(fdt, add_ram);
}

/* --- what the kernel asks ------------------------------------------------- */

const void *arch_initrd(size_t *bytes)
{
	struct range r = machine.initrd;

	*bytes = r.to - r.from;
	if (!*bytes)
		return NULL;
	if (r.from > r.to || !mm_has(range_around(r.from, *bytes)))
		refuse("the initrd, from 0x%lx to 0x%lx, is not in memory",
		       r.from, r.to);
	return hpa_ptr((struct hpa){ r.from });
}

const struct guest_fdt_isa *arch_guest_isa(void)
{
	return &guest_isa;
}

const void *arch_rng_seed(size_t *bytes)
{
	int len = 0, node = fdt_path_offset(machine.fdt, "/chosen");
	const void *p = node < 0 ? NULL :
		fdt_getprop(machine.fdt, node, "rng-seed", &len);

	*bytes = p ? (size_t)len : 0;
	return p;
}

/* --- boot ----------------------------------------------------------------- */

static void vmid_limit_init(void)
{
	u32 bits;
	int err = cmdline_u32("vmid-bits", 0, 14, &bits);

	if (err == -EINVAL)
		refuse("vmid-bits=: expected a number from 0 to 14");
	if (!err)
		vmid_limit(bits);
}

/* `timer=` forces one. */
static void timer_choose(void)
{
	size_t len;
	const char *forced = cmdline_get("timer", &len);

	if (!forced)
		return;
	if (cmdline_is("timer", "sbi")) {
		if (isa_has(ISA_SSTC))
			clock_leave_sstc();
		isa_drop(ISA_SSTC);
		return;
	}
	if (!cmdline_is("timer", "sstc"))
		refuse("timer=%.*s: expected sstc or sbi", (int)len, forced);
	if (!isa_has(ISA_SSTC))
		refuse("timer=sstc: these harts have none");
}

static void timer_adjust(void)
{
	timer_choose();
	if (!isa_has(ISA_SSTC) && !sbi_probe(SBI_EXT_TIME))
		refuse("this machine has no timer: its harts have no Sstc, and "
		       "its firmware has no TIME extension");
}

/* `fail=N`: the N-th allocation from here on finds no memory. */
static void fail_adjust(void)
{
	u32 n;
	int err = cmdline_u32("fail", 1, UINT32_MAX, &n);

	if (err == -EINVAL)
		refuse("fail=: expected the number of an allocation, from 1");
	if (!err)
		mem_fail_after(n);
}

static void isa_adjust(void)
{
	timer_adjust();
	if (!isa_has(ISA_H))
		refuse("the harts have no H extension; Rouse needs it "
		       "(QEMU: -cpu rv64,h=true)");
}

static void guest_isa_init(void)
{
	clean_needed = isa_has(ISA_SVPBMT);
	guest_isa.isa = isa_guest_string();
	guest_isa.extensions = isa_guest_extensions(&guest_isa.count);
	guest_isa.mmu_type = isa_mmu_type();
	guest_isa.cbom_block_bytes = isa_cbom_bytes;
	guest_isa.cboz_block_bytes = isa_cboz_bytes;
}

static void boot_log(void)
{
	log_info("cpus: %u of %u harts, boot hart %lu", cpu_count(),
		 machine.hart_count, boot_cpu.hartid);
	isa_log();
	log_info("host: doorbell %s, timer %s, interrupts %s",
		 doorbell_name(), clock_name(), host_irq_name());
	log_info("host: console %s", uart_name());
	log_info("guests: G-stage up to %s, %u VMID bits",
		 gstage_widest_name(), vmid_bits());
	log_info("guests: %u debug triggers a hart", triggers_count);
}

static void boot_rest(void *arg)
{
	(void)arg;
	uart_init();
	power_init();
	log_info("Rouse %s", ROUSE_VERSION);
	sbi_check_firmware();
	fail_adjust();
	isa_adjust();
	clock_init();
	vmid_limit_init();
	host_irq_init();
	doorbell_init();
	sse_init();
	harts_start(); /* tells this CPU its place in the controllers, too */
	hart_local_init(&boot_cpu);
	cbo_finish();
	vector_finish();
	guest_isa_init();
	for (u32 i = 0; i < cpu_count(); i++) {
		struct riscv_cpu *c = riscv_cpu(cpu_by_index(i));

		vmid_cpu_init(&c->vmid, &c->c, i);
	}
	boot_log();
	if (host_irq_enable_uart(&boot_cpu))
		uart_enable_irq();
	kernel_main(&boot_cpu.c);
}

_Noreturn void boot_main(u64 hartid, u64 fdt_pa, u64 image_pa)
{
	const void *fdt;

	boot_cpu.hartid = hartid;
	boot_cpu.panic_sp = (u64)boot_panic_stack + PANIC_STACK_BYTES;
	fdt = mm_early_init((struct hpa){ image_pa }, (struct hpa){ fdt_pa });
	memory_init(fdt, fdt_pa, image_pa);
	machine_init(fdt);
	mm_init();
	boot_cpu.stack_top = mm_stack_alloc();
	if (!boot_cpu.stack_top)
		refuse("not enough memory for a stack");
	call_on_stack(boot_cpu.stack_top, boot_rest, NULL);
}
