/*
 * The harts' ISA, and the honest part of it that a guest is told.
 *
 * One table names each extension, what enables it for a guest, and how the
 * state that it adds is kept apart between guests. A row without either adds
 * instructions only: it has no state and needs no enable. What all harts share
 * is one bit set; a guest may run on any of them.
 */
#include "arch/riscv/isa.h"

#include <libfdt.h>
#include <string.h>

#include "arch/riscv/csr.h"
#include "kernel/log.h"

struct isa_row {
	const char *name;
	bool guest;   /* guests are told */
	u64 henvcfg;  /* bits that enable it in VS-mode */
	enum isa_ext needs; /* what goes takes along what needs it */
};

/*
 * State, where a row adds any:
 *   f, d     f0-f31, fcsr         fpu.S, when dirty
 *   v        v0-v31 and its CSRs  fpu.S, when dirty
 *   sstc     vstimecmp            vtimer.c
 *   zicbo*   senvcfg              world.c
 *   zicntr   scounteren           world.c; time through htimedelta
 *   ssctr    control transfers    world.c: forgotten, guests aren't told
 *   zcmt     jvt                  likewise
 *   ssnpm    senvcfg              world.c; guests aren't told
 * svadu is enabled through SBI FWFT by the rules of the specification; until a
 * guest asks, ADUE stays clear and it manages A and D itself, so it isn't told.
 */
static const struct isa_row rows[] = {
	[ISA_I] = { "i", true, 0 },
	[ISA_M] = { "m", true, 0 },
	[ISA_A] = { "a", true, 0 },
	/* fpu.S moves registers of D; with F alone, FP stays off for all. */
	[ISA_F] = { "f", true, 0, ISA_D },
	[ISA_D] = { "d", true, 0, ISA_F },
	[ISA_C] = { "c", true, 0 },
	[ISA_V] = { "v", true, 0, ISA_D },
	[ISA_H] = { "h", false, 0 },
	[ISA_SSTC] = { "sstc", true, HENVCFG_STCE },
	[ISA_SVADU] = { "svadu", false, 0 },
	[ISA_SVINVAL] = { "svinval", true, 0 },
	[ISA_SVNAPOT] = { "svnapot", true, 0 },
	/* Who can pass by the caches must find zeroes in memory: clean.c. */
	[ISA_SVPBMT] = { "svpbmt", true, HENVCFG_PBMTE, ISA_ZICBOM },
	[ISA_SMSTATEEN] = { "smstateen", false, 0 },
	[ISA_SSAIA] = { "ssaia", false, 0 },
	[ISA_SSCSRIND] = { "sscsrind", false, 0 },
	[ISA_SSCTR] = { "ssctr", false, 0 },
	[ISA_SSNPM] = { "ssnpm", false, 0 },
	[ISA_ZAWRS] = { "zawrs", true, 0 },
	[ISA_ZCMT] = { "zcmt", false, 0 },
	[ISA_ZICBOM] = { "zicbom", true, HENVCFG_CBCFE | HENVCFG_CBIE_FLUSH },
	[ISA_ZICBOZ] = { "zicboz", true, HENVCFG_CBZE },
	[ISA_ZICNTR] = { "zicntr", true, 0 },
	[ISA_OTHER] =
	{ "zicsr", true, 0 },
	{ "zifencei", true, 0 },
	{ "zihintpause", true, 0 },
	{ "zihintntl", true, 0 },
	{ "zicond", true, 0 },
	{ "zimop", true, 0 },
	{ "zcmop", true, 0 },
	{ "zacas", true, 0 },
	{ "zabha", true, 0 },
	{ "zaamo", true, 0 },
	{ "zalrsc", true, 0 },
	{ "zfa", true, 0, ISA_F },
	{ "zfh", true, 0, ISA_F },
	{ "zfhmin", true, 0, ISA_F },
	{ "zfbfmin", true, 0, ISA_F },
	{ "zca", true, 0 },
	{ "zcb", true, 0 },
	{ "zcd", true, 0, ISA_D },
	{ "zba", true, 0 },
	{ "zbb", true, 0 },
	{ "zbc", true, 0 },
	{ "zbs", true, 0 },
	{ "zbkb", true, 0 },
	{ "zbkc", true, 0 },
	{ "zbkx", true, 0 },
	{ "zknd", true, 0 },
	{ "zkne", true, 0 },
	{ "zknh", true, 0 },
	{ "zksed", true, 0 },
	{ "zksh", true, 0 },
	{ "zkt", true, 0 },
	{ "zvfh", true, 0, ISA_V },
	{ "zvfhmin", true, 0, ISA_V },
	{ "zvbb", true, 0, ISA_V },
	{ "zvbc", true, 0, ISA_V },
	{ "zvkb", true, 0, ISA_V },
	{ "zvkg", true, 0, ISA_V },
	{ "zvkned", true, 0, ISA_V },
	{ "zvknha", true, 0, ISA_V },
	{ "zvknhb", true, 0, ISA_V },
	{ "zvksed", true, 0, ISA_V },
	{ "zvksh", true, 0, ISA_V },
	{ "zvkt", true, 0, ISA_V },
	{ "svvptc", true, 0 },
};

#define ROWS ARRAY_LEN(rows)
#define LOG_COLUMNS 60
/* In place of a size that harts don't agree on, or that one doesn't say; no
 * block has it. */
#define BLOCKS_DIFFER 1

bool riscv_has_sstc;
bool isa_untold;
u32 isa_cbom_bytes, isa_cboz_bytes;

bool isa_have[ROWS];
static u64 guest_henvcfg;
static const char *guest_names[ROWS];
static u32 guest_count;
static char guest_string[8 * ROWS];
static u32 mmu_bits;

static int row_find(const char *name, size_t len)
{
	for (u32 i = 0; i < ROWS; i++)
		if (strlen(rows[i].name) == len &&
		    memcmp(rows[i].name, name, len) == 0)
			return (int)i;
	return -1;
}

static void mark(bool *set, const char *name, size_t len)
{
	int i = row_find(name, len);

	if (i >= 0)
		set[i] = true;
	if (len == 1 && *name == 'g')
		set[ISA_I] = set[ISA_M] = set[ISA_A] = set[ISA_F] =
			set[ISA_D] = true;
}

/* "rv64imafdch_svinval_...": single letters, then names between underscores. It
 * is older than some names of what belonged to I (the binding of riscv,isa). */
static void mark_string(bool *set, const char *isa)
{
	static const char *const of_i[] = { "zicntr", "zicsr", "zifencei" };

	for (u32 i = 0; i < ARRAY_LEN(of_i); i++)
		mark(set, of_i[i], strlen(of_i[i]));
	isa += strncmp(isa, "rv64", 4) == 0 ? 4 : 0;
	for (; *isa && *isa != '_'; isa++)
		mark(set, isa, 1);
	while (*isa == '_') {
		size_t len = strcspn(++isa, "_");

		mark(set, isa, len);
		isa += len;
	}
}

void isa_init(void)
{
	memset(isa_have, true, sizeof(isa_have));
	mmu_bits = UINT32_MAX;
}

static u32 mmu_bits_of(const void *fdt, int node)
{
	const char *type = fdt_stringlist_get(fdt, node, "mmu-type", 0, NULL);

	if (type && strcmp(type, "riscv,sv57") == 0)
		return 57;
	return type && strcmp(type, "riscv,sv48") == 0 ? 48 : 39;
}

static void block_size(const void *fdt, int node, const char *name, u32 *out)
{
	int len;
	const fdt32_t *p = fdt_getprop(fdt, node, name, &len);
	u32 bytes = p && len >= 4 ? fdt32_to_cpu(*p) : BLOCKS_DIFFER;

	/* One for all harts, or none: a vCPU may run on any. */
	*out = *out && *out != bytes ? BLOCKS_DIFFER : bytes;
}

/* Whole ones fill a page (CMO specification, 2.7). */
static bool is_block(u32 bytes)
{
	return bytes > BLOCKS_DIFFER && bytes <= PAGE_BYTES &&
	       !(bytes & (bytes - 1));
}

int isa_add_hart(const void *fdt, int node)
{
	bool set[ROWS] = { false };
	int len = 0;
	const char *list = fdt_getprop(fdt, node, "riscv,isa-extensions", &len);
	const char *isa = fdt_stringlist_get(fdt, node, "riscv,isa", 0, NULL);

	if (list && len && !list[len - 1])
		for (const char *p = list; p < list + len; p += strlen(p) + 1)
			mark(set, p, strlen(p));
	else if (isa)
		mark_string(set, isa);
	else
		return -EINVAL;
	for (u32 i = 0; i < ROWS; i++)
		isa_have[i] = isa_have[i] && set[i];
	mmu_bits = MIN(mmu_bits, mmu_bits_of(fdt, node));
	block_size(fdt, node, "riscv,cbom-block-size", &isa_cbom_bytes);
	block_size(fdt, node, "riscv,cboz-block-size", &isa_cboz_bytes);
	return 0;
}

/* Letters follow the "rv64" at once, names each after an underscore. */
static void guest_string_add(const char *name)
{
	if (name[1])
		strcat(guest_string, "_");
	strcat(guest_string, name);
}

/* A block size nobody stated can't be told to a guest either. */
static void blocks_finish(enum isa_ext ext, u32 *bytes)
{
	isa_have[ext] = isa_have[ext] && is_block(*bytes);
	if (!isa_have[ext])
		*bytes = 0;
}

/* Harts have what theirs need: only what was dropped can be missing. F and D,
 * which need each other, come before what needs either. */
static void needs_finish(void)
{
	for (u32 i = 0; i < ROWS; i++)
		isa_have[i] = isa_have[i] && isa_have[rows[i].needs];
}

void isa_finish(void)
{
	u64 henvcfg = 0;

	blocks_finish(ISA_ZICBOM, &isa_cbom_bytes);
	blocks_finish(ISA_ZICBOZ, &isa_cboz_bytes);
	/* vsiselect is there with either. */
	isa_have[ISA_SSCSRIND] = isa_have[ISA_SSCSRIND] || isa_have[ISA_SSAIA];
	needs_finish();
	riscv_has_sstc = isa_have[ISA_SSTC];
	isa_untold = (isa_have[ISA_SSCTR] || isa_have[ISA_ZCMT]) &&
		     !isa_have[ISA_SMSTATEEN];
	guest_count = 0;
	strcpy(guest_string, "rv64");
	for (u32 i = 0; i < ROWS; i++) {
		if (!isa_have[i] || !rows[i].guest)
			continue;
		henvcfg |= rows[i].henvcfg;
		guest_names[guest_count++] = rows[i].name;
		guest_string_add(rows[i].name);
	}
	guest_henvcfg = henvcfg;
}

void isa_drop(enum isa_ext ext)
{
	isa_have[ext] = false;
	isa_finish();
}

const char *const *isa_guest_extensions(u32 *count)
{
	*count = guest_count;
	return guest_names;
}

const char *isa_guest_string(void)
{
	return guest_string;
}

u64 isa_guest_henvcfg(void)
{
	return guest_henvcfg;
}

const char *isa_mmu_type(void)
{
	return mmu_bits == 57 ? "riscv,sv57" :
	       mmu_bits == 48 ? "riscv,sv48" : "riscv,sv39";
}

/* The string is long: as many names a line as fit a terminal. */
void isa_log(void)
{
	const char *p = guest_string;

	log_info("isa: guests see %s and", isa_mmu_type() + 6);
	while (*p) {
		size_t n = strlen(p);

		if (n > LOG_COLUMNS) {
			n = LOG_COLUMNS;
			while (p[n] != '_' && n > 1)
				n--;
		}
		log_info("  %.*s", (int)n, p);
		p += n;
	}
}
