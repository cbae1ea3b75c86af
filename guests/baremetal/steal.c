/*
 * What a guest is told of the time it was kept waiting (SBI STA): every hart
 * registers a page, works for `ms=` (2000) of guest time, and says what its
 * page does. Meanwhile it looks at the pages: its own `preempted` must be 0
 * whenever it looks, and, with `cpus=1`, that of a hart that works must not be,
 * since there is no second CPU on which that could run.
 *
 * pages=off registers none.
 */
#include "guests/baremetal/runtime/runtime.h"
#include "guests/baremetal/runtime/sbi.h"

static struct {
	u32 sequence, flags;
	u64 steal;
	u8 preempted, pad[47];
} volatile pages[MAX_HARTS] __attribute__((aligned(64)));

static struct {
	u64 looks, wrong;
	u32 busy;
} __attribute__((aligned(64))) seen[MAX_HARTS];

static struct barrier barrier;
static bool one_cpu, use_pages;

static void look(u32 self)
{
	seen[self].looks++;
	seen[self].wrong += pages[self].preempted != 0;
	for (u32 i = 0; one_cpu && i < machine.hart_count; i++)
		if (i != self && __atomic_load_n(&seen[i].busy,
						 __ATOMIC_ACQUIRE))
			seen[self].wrong += pages[i].preempted == 0;
}

static u64 stolen_ns(u32 self)
{
	u64 ns;
	u32 seq;

	do {
		seq = pages[self].sequence;
		ns = pages[self].steal;
	} while ((seq & 1) || seq != pages[self].sequence);
	return ns;
}

static void run(struct hart *h, void *arg)
{
	u64 length = *(u64 *)arg, start, passed;
	u32 self = h->index;
	long error = 0;

	if (use_pages)
		error = sbi_call(SBI_STA, SBI_STA_SET_SHMEM, (u64)&pages[self],
				 0, 0).error;
	start = time_now();
	if (error)
		print("steal: hart %ld: no page: %ld\n", h->id, error);
	barrier_wait(&barrier, machine.hart_count);
	__atomic_store_n(&seen[self].busy, 1, __ATOMIC_RELEASE);
	while ((passed = time_now() - start) < length)
		if (use_pages)
			look(self);
	__atomic_store_n(&seen[self].busy, 0, __ATOMIC_RELEASE);
	barrier_wait(&barrier, machine.hart_count);
	print("steal: hart %ld: %ld of %ld us stolen, %ld looks, %ld wrong\n",
	      h->id, stolen_ns(self) / 1000, passed / (machine.hz / 1000000),
	      seen[self].looks, seen[self].wrong);
}

int main(void)
{
	u64 length = arg_u64("ms", 2000) * (machine.hz / 1000);
	char word[8] = "";

	one_cpu = arg_u64("cpus", 0) == 1;
	arg_str("pages", word, sizeof(word));
	use_pages = strcmp(word, "off") != 0;
	for (u32 i = 1; i < machine.hart_count; i++)
		if (hart_start(&harts[i], run, &length))
			return 1;
	run(&harts[0], &length);
	for (u32 i = 1; i < machine.hart_count; i++)
		hart_join(&harts[i]);
	return 0;
}
