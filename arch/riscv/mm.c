/*
 * The hypervisor's page tables.
 *
 * One function maps a range with the largest pages that fit; everything else
 * says what goes where, and maps nothing twice. RAM is mapped wholly (what the
 * firmware keeps of it, PMP protects), and the image's read-only pages are
 * read-only there as well: W^X would be a word only if the alias were writable.
 *
 * Rejected: an identity map (a board's RAM may lie where Sv39 has none, and
 * null pointers must fault), and Sv48 by default (a longer walk for each TLB
 * miss; RAM behind the window is left out and said).
 */
#include "arch/riscv/mm.h"

#include <libfdt.h>
#include <string.h>

#include "arch/riscv/csr.h"
#include "arch/riscv/machine.h"
#include "kernel/log.h"
#include "kernel/mem.h"
#include "kernel/panic.h"

#define DMAP_VA 0xffffffc000000000UL
#define DMAP_BYTES (240 * GIB)
#define DEVICE_VA 0xfffffffc00000000UL
#define STACK_VA 0xfffffffe00000000UL
#define STACK_STRIDE (STACK_BYTES + PAGE_BYTES)
#define STACK_END_VA 0xffffffff00000000UL
#define IMAGE_VA 0xffffffff80000000UL

#define PTE_V 1UL
#define PTE_R 2UL
#define PTE_W 4UL
#define PTE_X 8UL
#define PTE_AD 0xc0UL
#define PTE_RW (PTE_V | PTE_R | PTE_W | PTE_AD)
#define PTE_RO (PTE_V | PTE_R | PTE_AD)
#define PTE_RX (PTE_V | PTE_R | PTE_X | PTE_AD)
#define PTES 512

extern u64 boot_root[PTES];
extern char _start[], _text_end[], _rodata_end[], _image_end[];

static u64 image_pa;
static u64 dmap_from = UINT64_MAX; /* RAM address at DMAP_VA, 1 GiB aligned */
static u64 *root;
static u64 device_next = DEVICE_VA, stack_next = STACK_VA;

void *hpa_ptr(struct hpa pa)
{
	return (void *)(pa.v - dmap_from + DMAP_VA);
}

struct hpa ptr_hpa(const void *ptr)
{
	u64 va = (u64)ptr;

	if (va >= IMAGE_VA)
		return (struct hpa){ va - IMAGE_VA + image_pa };
	return (struct hpa){ va - DMAP_VA + dmap_from };
}

struct hpa mm_image_hpa(const void *ptr)
{
	return ptr_hpa(ptr);
}

u64 mm_end(void)
{
	return dmap_from + DMAP_BYTES;
}

bool mm_has(struct range r)
{
	return r.to <= mm_end() && machine_is_ram(machine.fdt, r);
}

static u64 root_index(u64 va)
{
	return va >> 30 & (PTES - 1);
}

static u64 pte(u64 pa, u64 bits)
{
	return pa >> 2 | bits;
}

static void lowest_ram(u64 base, u64 bytes)
{
	(void)bytes;
	dmap_from = MIN(dmap_from, ALIGN_DOWN(base, GIB));
}

static void early_map_ram(u64 base, u64 bytes)
{
	u64 end = MIN(base + bytes, mm_end());

	for (u64 pa = ALIGN_DOWN(base, GIB); pa < end; pa += GIB)
		boot_root[root_index(pa - dmap_from + DMAP_VA)] =
			pte(pa, PTE_RW);
}

const void *mm_early_init(struct hpa image, struct hpa fdt)
{
	u64 low = ALIGN_DOWN(fdt.v, GIB);
	const void *tree = (const void *)(DEVICE_VA + (fdt.v - low));
	struct range where;

	/* The tree may lie across a 1 GiB boundary: map two. */
	image_pa = image.v;
	boot_root[root_index(DEVICE_VA)] = pte(low, PTE_RO);
	boot_root[root_index(DEVICE_VA) + 1] = pte(low + GIB, PTE_RO);
	__asm__ volatile("sfence.vma" ::: "memory");
	if (machine_check(tree))
		refuse("the device tree at 0x%lx is damaged", fdt.v);
	if (machine_ram(tree, lowest_ram) || dmap_from == UINT64_MAX)
		refuse("the device tree at 0x%lx has no memory node",
		       fdt.v);
	machine_ram(tree, early_map_ram);
	__asm__ volatile("sfence.vma" ::: "memory");
	where = range_around(fdt.v, fdt_totalsize(tree));
	if (!machine_is_ram(tree, where) || where.to > mm_end())
		refuse("the device tree, at 0x%lx, is not in the memory that "
		       "it tells of", fdt.v);
	return hpa_ptr(fdt);
}

static u64 *table_alloc(void)
{
	struct hpa pa = page_alloc(0);

	if (hpa_is_none(pa))
		refuse("not enough memory for Rouse's own page tables");
	return memset(hpa_ptr(pa), 0, PAGE_BYTES);
}

/* Maps one page of 4 KiB << 9 * level at `va`. */
static void map_page(u64 va, u64 pa, u32 level, u64 bits)
{
	u64 *table = root;

	for (u32 l = 2; l > level; l--) {
		u64 *e = &table[va >> (PAGE_SHIFT + 9 * l) & (PTES - 1)];

		if (!(*e & PTE_V))
			*e = pte(ptr_hpa(table_alloc()).v, PTE_V);
		table = hpa_ptr((struct hpa){ *e >> 10 << PAGE_SHIFT });
	}
	table[va >> (PAGE_SHIFT + 9 * level) & (PTES - 1)] = pte(pa, bits);
}

static void map(u64 va, u64 pa, u64 bytes, u64 bits)
{
	while (bytes) {
		u32 level = 2;
		u64 size;

		while (level &&
		       (((va | pa) & ((PAGE_BYTES << 9 * level) - 1)) ||
			bytes < PAGE_BYTES << 9 * level))
			level--;
		size = PAGE_BYTES << 9 * level;
		map_page(va, pa, level, bits);
		va += size;
		pa += size;
		bytes -= size;
	}
}

static void map_image(void)
{
	u64 text = (u64)_text_end - IMAGE_VA;
	u64 rodata = (u64)_rodata_end - IMAGE_VA;
	u64 end = (u64)_image_end - IMAGE_VA;

	map(IMAGE_VA, image_pa, text, PTE_RX);
	map(IMAGE_VA + text, image_pa + text, rodata - text, PTE_RO);
	map(IMAGE_VA + rodata, image_pa + rodata, end - rodata, PTE_RW);
}

static void map_dmap(u64 from, u64 to, u64 bits)
{
	if (from < to)
		map(from - dmap_from + DMAP_VA, from, to - from, bits);
}

static void map_writable(u64 base, u64 bytes)
{
	u64 end = MIN(base + bytes, mm_end());

	if (end < base + bytes)
		log_warn("memory above 0x%lx is left out: Sv39 has no room",
			 end);
	map_dmap(base, end, PTE_RW);
}

static void image_read_only(const void *ctx, struct range_search *s)
{
	(void)ctx;
	range_consider(s, (struct range){ image_pa, ptr_hpa(_rodata_end).v });
}

static void map_ram(u64 base, u64 bytes)
{
	range_without((struct range){ base, base + bytes }, image_read_only,
		      NULL, map_writable);
}

void mm_init(void)
{
	root = table_alloc();
	map_image();
	machine_ram(machine.fdt, map_ram);
	if (image_pa >= dmap_from && image_pa < mm_end())
		map_dmap(image_pa, ptr_hpa(_rodata_end).v, PTE_RO);
	/* Devices and stacks are added later, below these entries. */
	__asm__ volatile("sfence.vma" ::: "memory");
	csr_write(CSR_SATP, mm_satp());
	__asm__ volatile("sfence.vma" ::: "memory");
}

u64 mm_satp(void)
{
	return SATP_MODE_SV39 << SATP_MODE_SHIFT |
	       ptr_hpa(root).v >> PAGE_SHIFT;
}

volatile void *mm_map_device(u64 base, u64 bytes)
{
	u64 from = ALIGN_DOWN(base, PAGE_BYTES);
	u64 to = ALIGN_UP(base + bytes, PAGE_BYTES);
	u64 va = device_next;

	map(va, from, to - from, PTE_RW);
	device_next += to - from + PAGE_BYTES;
	__asm__ volatile("sfence.vma" ::: "memory");
	return (volatile void *)(va + (base - from));
}

u64 mm_stack_alloc(void)
{
	struct hpa pa = page_alloc(2);
	u64 va = stack_next + PAGE_BYTES;

	if (hpa_is_none(pa))
		return 0;
	map(va, pa.v, STACK_BYTES, PTE_RW);
	stack_next += STACK_STRIDE;
	__asm__ volatile("sfence.vma" ::: "memory");
	return va + STACK_BYTES;
}

bool mm_is_stack_guard(u64 va)
{
	return va >= STACK_VA && va < STACK_END_VA &&
	       (va - STACK_VA) % STACK_STRIDE < PAGE_BYTES;
}
