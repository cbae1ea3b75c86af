/*
 * A guest that means harm: it attacks the hypervisor, and through it its
 * neighbours, in the way that `attack=` says, on all of its harts, for ever.
 * `attack=list` names them all.
 *
 * What is tried here must cost nobody but this guest; tests/system/hostile.py
 * looks at the neighbours. One attack is none: `calm` only works, and says what
 * the neighbours get beside a guest that wants all it can have.
 */
#include "guests/baremetal/hostile/hostile.h"

static struct rand dices[MAX_HARTS];

struct everywhere {
	void (*fn)(struct hart *h);
};

static void again_and_again(struct hart *h, void *arg)
{
	struct everywhere *e = arg;

	for (;;)
		e->fn(h);
}

void everywhere(void (*fn)(struct hart *h))
{
	static struct everywhere e;

	e.fn = fn;
	harts_run(machine.hart_count, again_and_again, &e);
}

void irq_take(u32 irq, irq_fn fn)
{
	irq_handler(irq, fn);
	csr_set(sie, IRQ_BIT(irq));
}

u64 ram_end(void)
{
	struct range *r = &machine.ram[machine.ram_count - 1];

	return r->base + r->bytes;
}

u64 ram_spare(u64 *bytes)
{
	struct range *r = &machine.ram[0];
	u64 half = r->bytes / 2 & ~(PAGE_BYTES - 1), end = r->base + r->bytes;

	/* Whatever the loader put on top, the tree above all. */
	for (u32 i = 0; i < machine.reserved_count; i++)
		if (machine.reserved[i].base >= r->base + half &&
		    machine.reserved[i].base < end)
			end = machine.reserved[i].base;
	*bytes = end - (r->base + half);
	return r->base + half;
}

u64 dice(struct hart *h)
{
	return rand_next(&dices[h->index]);
}

static void calm_hart(struct hart *h)
{
	(void)h;
}

static void calm(void)
{
	everywhere(calm_hart);
}

static const struct attack calm_attacks[] = {{"calm", calm}};

static const struct list {
	const struct attack *attacks;
	const size_t *count;
} lists[] = {
	{irq_attacks, &irq_attack_count},
	{call_attacks, &call_attack_count},
	{memory_attacks, &memory_attack_count},
	{trap_attacks, &trap_attack_count},
	{life_attacks, &life_attack_count},
	{device_attacks, &device_attack_count},
	{firmware_attacks, &firmware_attack_count},
	{wild_attacks, &wild_attack_count},
	{wake_attacks, &wake_attack_count},
};

static const struct attack *find(const char *name)
{
	const struct attack *found = NULL;
	bool list = !strcmp(name, "list");

	if (!strcmp(name, calm_attacks[0].name))
		return calm_attacks;
	for (size_t l = 0; l < ARRAY_LEN(lists); l++)
		for (size_t i = 0; i < *lists[l].count; i++) {
			const struct attack *a = &lists[l].attacks[i];

			if (list)
				print("hostile: attack %s\n", a->name);
			if (!strcmp(a->name, name))
				found = a;
		}
	return found;
}

int main(void)
{
	char name[32] = "list";
	const struct attack *a;

	arg_str("attack", name, sizeof(name));
	a = find(name);
	if (!a)
		return strcmp(name, "list") != 0;
	for (u32 i = 0; i < MAX_HARTS; i++)
		rand_seed(&dices[i], i);
	print("hostile: %s, %u harts\n", name, machine.hart_count);
	a->run();
	die("the attack is over");
}
