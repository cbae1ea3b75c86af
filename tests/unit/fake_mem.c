#include "fake_mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "kernel/mem.h"
#include "kernel/panic.h"

static u8 *ram;
static u64 ram_from, ram_bytes;

jmp_buf fake_panic_jmp;
bool fake_panic_expected;
char fake_panic_text[256];

void *hpa_ptr(struct hpa pa)
{
	if (pa.v - ram_from >= ram_bytes) {
		fprintf(stderr, "hpa 0x%llx is no RAM\n",
			(unsigned long long)pa.v);
		abort();
	}
	return ram + (pa.v - ram_from);
}

struct hpa ptr_hpa(const void *ptr)
{
	return (struct hpa){ (u64)((const u8 *)ptr - ram) + ram_from };
}

void fake_ram(u64 from, u64 bytes)
{
	fake_ram_end();
	ram = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (ram == MAP_FAILED)
		abort();
	ram_from = from;
	ram_bytes = bytes;
	mem_reset();
}

void fake_ram_add(u64 from, u64 bytes)
{
	fake_ram(from, bytes);
	page_add((struct hpa){ from }, (struct hpa){ from + bytes });
}

void fake_ram_end(void)
{
	if (ram)
		munmap(ram, ram_bytes);
	ram = NULL;
	ram_bytes = 0;
}

_Noreturn void panic(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(fake_panic_text, sizeof(fake_panic_text), fmt, ap);
	va_end(ap);
	if (fake_panic_expected)
		longjmp(fake_panic_jmp, 1);
	fprintf(stderr, "panic: %s\n", fake_panic_text);
	abort();
}

u64 fake_random(u64 *state)
{
	/* xorshift64* */
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dULL;
}
