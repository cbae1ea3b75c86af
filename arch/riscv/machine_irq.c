/*
 * The machine's interrupt controllers as its device tree describes them.
 *
 * Nodes are found by `compatible`, harts by their interrupt controllers'
 * phandles, and a hart's place in a controller by its position in the
 * controller's `interrupts-extended`: the one list that ties them, so sparse
 * hart ids and any order of nodes work.
 */
#include "arch/riscv/machine_private.h"

#include <libfdt.h>

#include "arch/riscv/machine.h"
#include "kernel/log.h"

#define S_EXTERNAL 9
#define S_SOFT 1

/* Both kinds of controller have 1023 sources at most, and up to here what is
 * set for all contexts (PLIC 1.0, chapter 3; AIA 4.5). */
#define SOURCES_MOST 1023u
#define PLIC_LEAST   0x200000
#define APLIC_LEAST  0x4000
/* What an IMSIC's binding has of its addresses; of the places for a hart's
 * files 6 bits are enough for 63 guests and the hart itself (AIA 3.6). */
#define GUEST_BITS_MOST	 7u
#define HART_BITS_MOST	 15u
#define GROUP_BITS_MOST	 7u
#define GROUP_SHIFT	 24u
#define GROUP_SHIFT_MOST 55u

/* Identities that an interrupt file has (AIA 3.1). */
#define IDS_LEAST 63u
#define IDS_MOST  2047u

int machine_ext_index(const void *fdt, int node, u32 intc, u32 irq)
{
	int len;
	const fdt32_t *p = fdt_getprop(fdt, node, "interrupts-extended", &len);

	for (int i = 0; p && i < len / 8; i++)
		if (fdt32_to_cpu(p[2 * i]) == intc &&
		    fdt32_to_cpu(p[2 * i + 1]) == irq)
			return i;
	return -1;
}

/* Does any pair of the node's `interrupts-extended` carry this irq? */
static bool ext_has(const void *fdt, int node, u32 irq)
{
	int len;
	const fdt32_t *p = fdt_getprop(fdt, node, "interrupts-extended", &len);

	return p && len >= 8 && fdt32_to_cpu(p[1]) == irq;
}

static int find(const void *fdt, int from, const char *compatible)
{
	int node = fdt_node_offset_by_compatible(fdt, from, compatible);

	while (node >= 0 && !machine_node_usable(fdt, node))
		node = fdt_node_offset_by_compatible(fdt, node, compatible);
	return node;
}

/* Are the numbers of the console's UART this controller's? One without a
 * phandle is nobody's parent. */
static bool is_uarts(const void *fdt, int node)
{
	return machine.uart_irq_parent &&
	       fdt_get_phandle(fdt, node) == machine.uart_irq_parent;
}

/* Of several of a kind, one for each socket perhaps: the UART's, or else the
 * first, if its registers are there. True: it is taken. */
static bool controller_take(const void *fdt, int node, u64 least_bytes,
			    const char *sources_name, struct mmio *at,
			    u32 *sources)
{
	if ((at->bytes && !is_uarts(fdt, node)) ||
	    machine_regs(fdt, node, least_bytes, at))
		return false;
	*sources = MIN(machine_prop_u32(fdt, node, sources_name, 0),
		       SOURCES_MOST);
	return true;
}

static void read_plic(const void *fdt)
{
	const char *name = find(fdt, -1, "riscv,plic0") >= 0 ?
				   "riscv,plic0" : "sifive,plic-1.0.0";

	for (int node = -1; (node = find(fdt, node, name)) >= 0;) {
		if (controller_take(fdt, node, PLIC_LEAST, "riscv,ndev",
				    &machine.plic, &machine.plic_ndev))
			machine.plic_node = node;
	}
}

/* The S-level APLIC: the one that sends its messages to the S-level IMSIC, or,
 * without IMSICs, is wired to the harts' S external inputs itself. */
static bool is_our_aplic(const void *fdt, int node)
{
	if (machine.imsic_node < 0)
		return ext_has(fdt, node, S_EXTERNAL);
	return machine_prop_u32(fdt, node, "msi-parent", 0) ==
	       fdt_get_phandle(fdt, machine.imsic_node);
}

/* How many bits number all harts of the node's list. */
static u32 ext_bits(const void *fdt, int node)
{
	int len;
	u32 bits = 0;

	if (!fdt_getprop(fdt, node, "interrupts-extended", &len))
		return 0;
	while (len / 8 > 1 << bits)
		bits++;
	return bits;
}

/* Where a hart's file is depends on how many for guests are before it, and what
 * the APLIC calls it on all of these. */
static bool imsic_fits(const void *fdt, int node)
{
	const struct {
		const char *name;
		u32 absent, most, *to;
	} parts[] = {
		{ "riscv,guest-index-bits", 0, GUEST_BITS_MOST,
		  &machine.imsic_guest_bits },
		{ "riscv,hart-index-bits", ext_bits(fdt, node), HART_BITS_MOST,
		  &machine.imsic_hart_bits },
		{ "riscv,group-index-bits", 0, GROUP_BITS_MOST,
		  &machine.imsic_group_bits },
		{ "riscv,group-index-shift", GROUP_SHIFT, GROUP_SHIFT_MOST,
		  &machine.imsic_group_shift },
	};

	for (u32 i = 0; i < ARRAY_LEN(parts); i++) {
		u32 n = machine_prop_u32(fdt, node, parts[i].name,
					 parts[i].absent);

		*parts[i].to = n;
		if (n > parts[i].most) {
			log_warn("%.32s: has %u as %s, not 0 to %u: left out",
				 fdt_get_name(fdt, node, NULL), n,
				 parts[i].name, parts[i].most);
			return false;
		}
	}
	return true;
}

/* AIA: the S-level IMSIC is the one wired to the harts' S external input. */
static void read_aia(const void *fdt)
{
	int node = -1;

	while ((node = find(fdt, node, "riscv,imsics")) >= 0)
		if (ext_has(fdt, node, S_EXTERNAL))
			break;
	if (node >= 0 && imsic_fits(fdt, node)) {
		machine.imsic_node = node;
		machine.imsic_ids = MIN(machine_prop_u32(fdt, node,
							 "riscv,num-ids",
							 IDS_LEAST), IDS_MOST);
	}
	for (node = -1; (node = find(fdt, node, "riscv,aplic")) >= 0;) {
		if (is_our_aplic(fdt, node) &&
		    controller_take(fdt, node, APLIC_LEAST, "riscv,num-sources",
				    &machine.aplic, &machine.aplic_sources))
			machine.aplic_node = node;
	}
}

static void read_sswi(const void *fdt)
{
	int node = find(fdt, -1, "riscv,aclint-sswi");

	if (node >= 0 && ext_has(fdt, node, S_SOFT) &&
	    machine_regs(fdt, node, 4, &machine.sswi) == 0)
		machine.sswi_node = node;
}

/* Its number is its parent's: it says nothing to another controller. */
static void check_uart_irq(const void *fdt)
{
	int node = machine.aplic.bytes ? machine.aplic_node :
		   machine.plic.bytes  ? machine.plic_node : -1;

	if (node < 0 || (machine.uart_irq_parent && !is_uarts(fdt, node)))
		machine.uart_irq = 0;
}

void machine_read_irqs(const void *fdt)
{
	read_plic(fdt);
	read_aia(fdt);
	check_uart_irq(fdt);
	read_sswi(fdt);
}
