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
/* Of an IMSIC's places for a hart's files; 6 are enough for 63 guests and the
 * hart itself (AIA 3.6), and its binding has one more. */
#define GUEST_BITS_MOST 7u

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

static void read_plic(const void *fdt)
{
	int node = find(fdt, -1, "riscv,plic0");

	if (node < 0)
		node = find(fdt, -1, "sifive,plic-1.0.0");
	if (node < 0 || machine_regs(fdt, node, PLIC_LEAST, &machine.plic))
		return;
	machine.plic_node = node;
	machine.plic_ndev = MIN(machine_prop_u32(fdt, node, "riscv,ndev", 0),
				SOURCES_MOST);
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

/* Where a hart's file is depends on how many for guests are before it. */
static bool imsic_fits(const void *fdt, int node)
{
	u32 bits = machine_prop_u32(fdt, node, "riscv,guest-index-bits", 0);

	machine.imsic_guest_bits = bits;
	if (bits > GUEST_BITS_MOST)
		log_warn("%.32s: has %u guest-index-bits, not 0 to %u: left "
			 "out", fdt_get_name(fdt, node, NULL), bits,
			 GUEST_BITS_MOST);
	return bits <= GUEST_BITS_MOST;
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
		if (!is_our_aplic(fdt, node) ||
		    machine_regs(fdt, node, APLIC_LEAST, &machine.aplic))
			continue;
		machine.aplic_node = node;
		machine.aplic_sources =
			MIN(machine_prop_u32(fdt, node, "riscv,num-sources", 0),
			    SOURCES_MOST);
	}
}

static void read_sswi(const void *fdt)
{
	int node = find(fdt, -1, "riscv,aclint-sswi");

	if (node >= 0 && ext_has(fdt, node, S_SOFT) &&
	    machine_regs(fdt, node, 4, &machine.sswi) == 0)
		machine.sswi_node = node;
}

void machine_read_irqs(const void *fdt)
{
	read_plic(fdt);
	read_aia(fdt);
	read_sswi(fdt);
}
