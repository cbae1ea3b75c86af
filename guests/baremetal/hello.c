/*
 * The smallest guest: says where it runs, lets every hart say so too, and
 * powers off. In the boot arguments `exit=N` ends with that status instead, and
 * `reboot=1` (cold) or `reboot=2` (warm) reboots instead of powering off: a
 * machine that really starts again prints its lines once more.
 */
#include "guests/baremetal/runtime/runtime.h"
#include "guests/baremetal/runtime/sbi.h"

static void hello(struct hart *h, void *arg)
{
	static u32 turn;

	(void)arg;
	while (__atomic_load_n(&turn, __ATOMIC_ACQUIRE) != h->index)
		cpu_relax();
	print("hello: hart %ld is here\n", h->id);
	__atomic_store_n(&turn, h->index + 1, __ATOMIC_RELEASE);
}

int main(void)
{
	u64 reboot = arg_u64("reboot", 0);

	print("hello: hart %ld of %u, model %s, %s timer\n", this_hart()->id,
	      machine.hart_count, machine.model, machine.sstc ? "Sstc" : "SBI");
	for (u32 i = 0; i < machine.ram_count; i++)
		print("hello: RAM at 0x%lx, %ld KiB\n", machine.ram[i].base,
		      machine.ram[i].bytes >> 10);
	print("hello: bootargs \"%s\"\n", machine.bootargs);
	if (harts_run(machine.hart_count, hello, NULL))
		die("a hart did not start");
	if (reboot) {
		sbi_call(SBI_SRST, 0, reboot, SRST_REASON_NONE, 0);
		die("reboot returned");
	}
	print("hello: bye\n");
	return (int)arg_u64("exit", 0);
}
