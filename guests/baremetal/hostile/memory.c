/*
 * Page faults everywhere, page tables that lead astray, and code that changes
 * under its own feet.
 */
#include "guests/baremetal/hostile/hostile.h"

/* All of RAM for the first time; then it's taken away, and all over again. */
static void touch_hart(struct hart *h)
{
	u64 bytes, at = ram_spare(&bytes);

	for (u64 i = h->index; i < bytes / PAGE_BYTES; i += machine.hart_count)
		*(volatile u64 *)(at + i * PAGE_BYTES) = i;
	if (!h->index)
		sbi_call(SBI_SRST, 0, SRST_COLD, SRST_REASON_NONE, 0);
}

static void touch_and_reboot(void)
{
	everywhere(touch_hart);
}

/* Loads, stores, AMOs, fetches where nothing is, and where devices are. */
static u64 amo(u64 at, u64 unused, u64 unused2)
{
	u64 val = 1;

	(void)unused;
	(void)unused2;
	__asm__ volatile("amoadd.d %0, %0, (%1)"
			 : "+r"(val)
			 : "r"(at)
			 : "memory");
	return val;
}

static u64 fetch(u64 at, u64 unused, u64 unused2)
{
	(void)unused;
	(void)unused2;
	return ((u64(*)(void))at)();
}

static void fault_hart(struct hart *h)
{
	u64 at[] = {HOLE,
		    ram_end(),
		    dice(h) & ~7UL,
		    machine.plic.base,
		    machine.uart.base,
		    machine.rtc.base};
	u64 val, cause, to = at[dice(h) % ARRAY_LEN(at)];
	struct probe p;

	/* Not where there is RAM: that would be no fault. */
	if (to - machine.ram[0].base < machine.ram[0].bytes)
		to = HOLE;
	probe_load(to, 8, &val, &cause);
	probe_store(to + 1, 8, 0, &cause);
	probe_call(&p, amo, to, 0, 0);
	probe_call(&p, fetch, to, 0, 0);
}

static void faults(void)
{
	everywhere(fault_hart);
}

/*
 * satp that leads out of RAM or to a device. There is no way back: the next
 * fetch faults, and so does that of the trap vector, for ever.
 */
static void satp_use(u64 root)
{
	csr_write(satp, 8UL << 60 | root >> 12);
	__asm__ volatile("sfence.vma" ::: "memory");
}

static void satp_hart(struct hart *h)
{
	u64 root[] = {HOLE, machine.plic.base, ram_end(), 0x00fffffffffff000};

	satp_use(root[h->index % ARRAY_LEN(root)]);
}

static void satp(void)
{
	everywhere(satp_hart);
}

/* Or in a circle: these faults are the guest's own, and nobody else ever hears
 * of them. On a QEMU that counts instructions no time passes meanwhile. */
static u64 circle[512] __attribute__((aligned(4096)));

static void circle_hart(struct hart *h)
{
	(void)h;
	for (u32 i = 0; i < 512; i++)
		circle[i] = PTE_OF(circle, PTE_V);
	satp_use((u64)circle);
}

static void satp_circle(void)
{
	everywhere(circle_hart);
}

/* Tables that are good but for one level, so that most of the walk succeeds
 * and the harts go on. One hart at a time has the tables. */
static void tables_hart(struct hart *h)
{
	u64 *root = paging_new(), to[] = {HOLE, machine.plic.base, (u64)circle,
					  machine.uart.base, dice(h) >> 8};
	u64 val, cause;

	for (u32 level = 0; level <= 2; level++)
		for (u32 i = 0; i < ARRAY_LEN(to); i++) {
			u64 va = PAGING_FREE_VA + (u64)i * 0x40000000;

			*paging_entry(root, va, level) =
				PTE_OF(to[i], level ? PTE_V : PTE_RWX);
			paging_on(root, dice(h) & 0xffff);
			probe_load(va + dice(h) % 4096 / 8 * 8, 8, &val,
				   &cause);
			probe_store(va, 4, val, &cause);
			paging_off();
		}
}

static void tables(void)
{
	for (;;)
		tables_hart(this_hart());
}

/* Every hart writes a function, tells all, and calls it, again and again. */
static u32 code[64 * MAX_HARTS] __attribute__((aligned(4096)));

static void smc_hart(struct hart *h)
{
	u32 *own = code + 64 * h->index;
	u32 n = (u32)(dice(h) & 0x7ff);

	own[0] = 0x00000513 | n << 20; /* li a0, n */
	own[1] = 0x00008067;	       /* ret */
	__asm__ volatile("fence.i" ::: "memory");
	if (((u64(*)(void))own)() != n)
		die("an old instruction was run");
	sbi_call(SBI_RFENCE, SBI_RFENCE_I, 0, ~0UL, 0);
}

static void self_modifying(void)
{
	everywhere(smc_hart);
}

/*
 * A mark in all that one has, for whoever gets it next: nobody may. The number
 * is no address, no cause and no time that could be there by chance.
 */
#define MARK 0x5ec2e75ec2e75ec2UL

_Noreturn void plant_all(u64 pattern, u64 way, u64 fp, u64 vector);

static void plant_hart(struct hart *h)
{
	u64 bytes, at = ram_spare(&bytes), n = machine.hart_count;

	for (u64 i = h->index; i < bytes / 8; i += n)
		((volatile u64 *)at)[i] = MARK;
	plant_all(MARK, h->index % 3, isa_has("d"), isa_has("v"));
}

static void plant(void)
{
	everywhere(plant_hart);
}

const struct attack memory_attacks[] = {
	{"touch-and-reboot", touch_and_reboot},
	{"faults", faults},
	{"satp", satp},
	{"satp-circle", satp_circle},
	{"tables", tables},
	{"self-modifying", self_modifying},
	{"plant", plant},
};
ATTACK_LIST(memory_attacks, memory_attack_count);
