/*
 * SBI calls with any arguments, and a look at whatever comes of them: no answer
 * may be an address of the host's, neither in a register nor in memory that a
 * call has written to.
 *
 * What this guest passes is never like one itself, so each such value that
 * comes back is a leak. The hypervisor's own addresses are in the upper half.
 * Which physical ones are the host's and not this guest's as well, whoever
 * starts it has to say: image=, image_end= and ram=, ram_end=; without them
 * there are none.
 *
 * Memory of calls is in the spare half of RAM, where nothing else is. Software
 * events are never unmasked, and debug triggers fire at nothing, or this guest
 * would be astray before long.
 */
#include "guests/baremetal/hostile/hostile.h"

#define SPOTS	   8
#define LOOK_CALLS 16  /* so many calls to a look at all of a place */
#define LOOK_BYTES 128 /* what is looked at behind each */

#define SSE_ATTRS    11 /* one more than there are */
#define DBTR_BYTES   1024
#define STA_BYTES    64
#define TRIGGER_IDLE (6UL << 60 | 1 << 4) /* mcontrol6, S-mode, no access */

/* Where calls of a hart were told to write. */
static struct spots {
	u64 at[SPOTS];
	u32 bytes[SPOTS], next;
	u64 calls;
	volatile struct dbtr_entry *triggers; /* or NULL */
} spots[MAX_HARTS];

static struct range hosts[2]; /* physical addresses that are the host's */

static bool is_hosts(u64 val)
{
	if ((s64)val < -4096)
		return true;
	for (u32 i = 0; i < ARRAY_LEN(hosts); i++)
		if (val - hosts[i].base < hosts[i].bytes)
			return true;
	return false;
}

static void look(struct sbi_ret r)
{
	if (is_hosts((u64)r.error) || is_hosts(r.value))
		die("an answer of 0x%lx, 0x%lx", (u64)r.error, r.value);
}

static void spot_add(struct hart *h, u64 at, u32 bytes)
{
	struct spots *s = &spots[h->index];
	u32 i = s->next++ % SPOTS;
	u64 spare_bytes, spare = ram_spare(&spare_bytes);

	s->bytes[i] = 0;
	if (at < spare || at % 8 || at + bytes > spare + spare_bytes)
		return;
	s->at[i] = at;
	s->bytes[i] = bytes;
}

static void spot_look(const struct spots *s, u32 i, u32 most)
{
	const volatile u64 *words = (const volatile u64 *)s->at[i];
	u32 bytes = s->bytes[i] < most ? s->bytes[i] : most;

	for (u32 n = 0; n < bytes / 8; n++)
		if (is_hosts(words[n]))
			die("0x%lx in memory at 0x%lx", words[n],
			    (u64)&words[n]);
}

/* The beginning of the latest, and now and then all of one. */
static void spots_look(struct hart *h)
{
	struct spots *s = &spots[h->index];

	spot_look(s, (s->next - 1) % SPOTS, LOOK_BYTES);
	if (++s->calls % LOOK_CALLS == 0)
		spot_look(s, (u32)(dice(h) % SPOTS), PAGE_BYTES);
}

/* ---- arguments ----------------------------------------------------- */

static u64 any(struct hart *h)
{
	u64 val;

	do
		val = dice(h) >> dice(h) % 64;
	while (is_hosts(val));
	return val;
}

static u64 few(struct hart *h)
{
	return dice(h) % 3 ? dice(h) % 8 : any(h);
}

/* Any address, as likely as not one of RAM; but nothing may be written over
 * this code, or start a hart in it. */
static u64 address(struct hart *h)
{
	u64 at = any(h), bytes, spare = ram_spare(&bytes);

	if (dice(h) % 4)
		at = spare + at % bytes;
	if (at >= machine.ram[0].base && at < spare)
		at = spare + at % bytes;
	return dice(h) % 4 ? at & ~63UL : at;
}

/* What a call finds in its memory. */
static void memory_fill(struct hart *h, u64 at)
{
	u64 bytes, spare = ram_spare(&bytes);

	if (at % 8 == 0 && at >= spare && at < spare + bytes)
		*(volatile u64 *)at = few(h);
}

/* ---- extensions ---------------------------------------------------- */

static struct sbi_ret call_any(struct hart *h, u64 ext, u64 fid)
{
	return sbi_call6(ext, fid, few(h), dice(h) % 3 - 1, address(h),
			 address(h), any(h), 0);
}

static struct sbi_ret call_pmu(struct hart *h, u64 ext, u64 fid)
{
	u64 at = address(h), page = at & ~(PAGE_BYTES - 1);
	struct sbi_ret r;

	switch (fid) {
	case SBI_PMU_INFO: /* the uppermost bit says that it's firmware's */
		r = sbi_call(ext, fid, few(h), few(h), few(h));
		r.value &= ~0UL >> 1;
		return r;
	case SBI_PMU_SHMEM:
		spot_add(h, page, PAGE_BYTES);
		return sbi_call(ext, fid, page, dice(h) & 1, 0);
	case SBI_PMU_EVENT_INFO:
		memory_fill(h, at);
		spot_add(h, at, PAGE_BYTES);
		return sbi_call(ext, fid, at, dice(h) & 1, few(h));
	case SBI_PMU_START: /* counts go on from a value that stays small */
		return sbi_call6(ext, fid, few(h), few(h), few(h), dice(h) % 64,
				 0, 0);
	default:
		return sbi_call6(ext, fid, few(h), few(h), few(h), few(h), 0,
				 0);
	}
}

static struct sbi_ret call_sta(struct hart *h, u64 ext, u64 fid)
{
	u64 at = address(h);

	spot_add(h, at, STA_BYTES);
	return sbi_call(ext, fid, at, dice(h) & 1, 0);
}

static struct sbi_ret call_dbcn(struct hart *h, u64 ext, u64 fid)
{
	u64 at = address(h);

	spot_add(h, at, STA_BYTES);
	return sbi_call(ext, fid, fid == SBI_DBCN_READ ? any(h) : few(h), at,
			dice(h) & 1);
}

static struct sbi_ret call_hsm(struct hart *h, u64 ext, u64 fid)
{
	/* Nowhere a hart could start. */
	return sbi_call(ext, fid, few(h), address(h) | 1, address(h));
}

static struct sbi_ret call_sse(struct hart *h, u64 ext, u64 fid)
{
	static const u64 events[] = {
		SSE_LOCAL_RAS,	SSE_DOUBLE_TRAP, SSE_GLOBAL_RAS,     SSE_PMU,
		SSE_LOCAL_SOFT, SSE_GLOBAL_SOFT, SSE_GLOBAL_RAS_LOW,
	};
	u64 at = address(h), event = events[dice(h) % ARRAY_LEN(events)];

	if (fid == SBI_SSE_UNMASK)
		fid = SBI_SSE_MASK;
	if (fid == SBI_SSE_REGISTER || fid == SBI_SSE_INJECT)
		return sbi_call(ext, fid, event, few(h), any(h));
	memory_fill(h, at);
	spot_add(h, at, SSE_ATTRS * 8);
	return sbi_call6(ext, fid, event, dice(h) % SSE_ATTRS,
			 dice(h) % SSE_ATTRS, at, dice(h) & 1, 0);
}

static struct sbi_ret call_dbtr(struct hart *h, u64 ext, u64 fid)
{
	struct spots *s = &spots[h->index];
	volatile struct dbtr_entry *e = s->triggers;
	struct sbi_ret r;
	u64 at = address(h) & ~63UL;

	if (fid != SBI_DBTR_SHMEM) {
		if (e) { /* one to install, where it is looked for */
			e->first = dice(h) % 4;
			e->tdata1 = TRIGGER_IDLE;
		}
		return sbi_call(ext, fid, few(h), few(h), 0);
	}
	r = sbi_call(ext, fid, at, 0, 0);
	s->triggers = r.error ? NULL : (volatile struct dbtr_entry *)at;
	spot_add(h, at, DBTR_BYTES);
	return r;
}

static u64 legacy(u64 ext, u64 a0, u64 a1)
{
	return (u64)sbi_legacy(ext, a0, a1, a0 & 0xffff, a1 & 0xffff);
}

/* A hart mask that is nowhere is a fault of the caller's. */
static struct sbi_ret call_legacy(struct hart *h, u64 ext, u64 fid)
{
	u64 at = address(h);
	struct probe p;

	(void)fid;
	memory_fill(h, at);
	if (probe_call(&p, legacy, ext, at, few(h)))
		return (struct sbi_ret){(long)p.value, 0};
	return (struct sbi_ret){0, p.stval};
}

static const struct wild {
	u64 ext, fids;
	struct sbi_ret (*call)(struct hart *h, u64 ext, u64 fid);
} wilds[] = {
	{SBI_BASE, 8, call_any},
	{SBI_TIME, 2, call_any},
	{SBI_IPI, 2, call_any},
	{SBI_RFENCE, 8, call_any},
	{SBI_HSM, 1, call_hsm},
	{SBI_HSM, 1, call_any}, /* starts of harts, by no address */
	{SBI_DBCN, 3, call_dbcn},
	{SBI_STA, 2, call_sta},
	{SBI_PMU, 10, call_pmu},
	{SBI_FWFT, 3, call_any},
	{SBI_SUSP, 2, call_any},
	{SBI_SSE, 11, call_sse},
	{SBI_DBTR, 9, call_dbtr},
	{SBI_LEGACY_SET_TIMER, 1, call_legacy},
	{SBI_LEGACY_GETCHAR, 1, call_legacy},
	{SBI_LEGACY_CLEAR_IPI, 1, call_legacy},
	{SBI_LEGACY_SEND_IPI, 1, call_legacy},
	{SBI_LEGACY_FENCE_I, 1, call_legacy},
	{SBI_LEGACY_SFENCE, 1, call_legacy},
	{SBI_LEGACY_SFENCE_ASID, 1, call_legacy},
};

static void wild_hart(struct hart *h)
{
	const struct wild *w = &wilds[dice(h) % ARRAY_LEN(wilds)];

	look(w->call(h, w->ext, dice(h) % w->fids));
	spots_look(h);
}

static void calls_wild(void)
{
	hosts[0].base = arg_u64("image", 0);
	hosts[0].bytes = arg_u64("image_end", hosts[0].base) - hosts[0].base;
	hosts[1].base = arg_u64("ram", 0);
	hosts[1].bytes = arg_u64("ram_end", hosts[1].base) - hosts[1].base;
	everywhere(wild_hart);
}

/* What nobody has, nor ever will. */
static void unknown_hart(struct hart *h)
{
	look(sbi_call(dice(h), dice(h), dice(h), dice(h), dice(h)));
}

static void calls_unknown(void)
{
	everywhere(unknown_hart);
}

const struct attack wild_attacks[] = {
	{"calls-wild", calls_wild},
	{"calls-unknown", calls_unknown},
};
ATTACK_LIST(wild_attacks, wild_attack_count);
