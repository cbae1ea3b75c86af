/*
 * The firmware's own description of itself.
 *
 * Only what is asked more than once lives here; each other call is made where
 * it is needed, through sbi_call.
 */
#include "arch/riscv/sbi.h"
#include "kernel/log.h"
#include "kernel/panic.h"

#define BASE_SPEC_VERSION 0
#define BASE_IMPL_ID 1
#define BASE_IMPL_VERSION 2
#define BASE_PROBE 3
#define IMPL_OPENSBI 1

bool sbi_probe(u64 ext)
{
	struct sbi_ret r = sbi_call(SBI_EXT_BASE, BASE_PROBE, ext, 0, 0);

	return r.error == 0 && r.value != 0;
}

u32 sbi_spec_version(void)
{
	return (u32)sbi_call(SBI_EXT_BASE, BASE_SPEC_VERSION, 0, 0, 0).value;
}

void sbi_check_firmware(void)
{
	u64 id = sbi_call(SBI_EXT_BASE, BASE_IMPL_ID, 0, 0, 0).value;
	u64 version = sbi_call(SBI_EXT_BASE, BASE_IMPL_VERSION, 0, 0, 0).value;
	u32 spec = sbi_spec_version();
	u32 major = (u32)(version >> 16), minor = (u32)(version & 0xffff);

	log_info("firmware: SBI %u.%u, implementation %u, version %u.%u",
		 spec >> 24, spec & 0xffffff, (u32)id, major, minor);
	if (id == IMPL_OPENSBI && major == 1 && minor == 5)
		refuse("OpenSBI 1.5 loses a hart at boot now and then; "
		       "use 1.6 or newer, or 1.4");
	if (!sbi_probe(SBI_EXT_HSM))
		refuse("the firmware has no SBI HSM extension, "
		       "which starts the other harts");
}
