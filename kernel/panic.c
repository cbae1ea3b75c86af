/*
 * Panics and refusals.
 *
 * The problem: nothing may be trusted any more, and still as much as possible
 * has to reach the terminal, in one piece.
 *
 * The first CPU that panics has the console; any other that panics, or that
 * looks (panic_active), stays quiet. Text goes straight to the device, from
 * the stack, with no lock; a panic within a panic prints one line and powers
 * off. Other CPUs are not stopped: what they do is read as it stands.
 */
#include <ck_pr.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "kernel/panic.h"

#include "kernel/arch.h"
#include "kernel/backtrace.h"
#include "kernel/log.h"
#include "kernel/percpu/cpu.h"
#include "kernel/where.h"

static struct cpu *owner; /* who panicked first; atomic */

bool panic_active(void)
{
	return ck_pr_load_ptr(&owner) != NULL;
}

static void put(const char *text)
{
	arch_console_write(text, strlen(text));
	arch_console_write("\n", 1);
}

static void put_line(void *ctx, const char *text)
{
	(void)ctx;
	arch_console_write("  ", 2);
	put(text);
}

/* *ctx: is `pc` where something happened, rather than a return address? Only
 * the first of a backtrace may be. */
static void put_frame(void *ctx, u64 pc)
{
	char name[96], text[128];
	bool *exact = ctx;

	if (*exact)
		ksym_format(pc, name, sizeof(name));
	else
		ksym_format_return(pc, name, sizeof(name));
	*exact = false;
	snprintf(text, sizeof(text), "  %016lx %s", pc,
		 name);
	put(text);
}

_Noreturn static void die(u64 pc, u64 fp, bool exact, const char *fmt,
			  va_list ap)
{
	struct cpu *c = cpu_this();
	char text[320];

	if (!ck_pr_cas_ptr(&owner, NULL, c)) {
		if (ck_pr_load_ptr(&owner) == c) {
			put("panic: and another one while that was printed");
			arch_poweroff(1);
		}
		for (;;)
			ck_pr_stall();
	}
	log_flush();
	arch_console_write("\n", 1);
	snprintf(text, sizeof(text), "panic on CPU %u:", c->index);
	put(text);
	vsnprintf(text, sizeof(text), fmt, ap);
	put_line(NULL, text);
	put("registers:");
	arch_panic_regs(put_line, NULL);
	put("called from:");
	backtrace(c, pc, fp, put_frame, &exact);
	put("CPUs:");
	for (u32 i = 0; i < cpu_count(); i++)
		where_print(cpu_by_index(i), put_line, NULL);
	arch_poweroff(1);
}

_Noreturn void panic(const char *fmt, ...)
{
	u64 pc = (u64)(uintptr_t)__builtin_return_address(0);
	u64 fp = (u64)(uintptr_t)__builtin_frame_address(0);
	va_list ap;

	/* From our own frame to the caller's, which `pc` belongs to. */
	(void)arch_frame_next(cpu_this(), &fp, &pc);
	va_start(ap, fmt);
	die(pc, fp, false, fmt, ap);
}

_Noreturn void panic_at(u64 pc, u64 fp, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	die(pc, fp, true, fmt, ap);
}

_Noreturn void refuse(const char *fmt, ...)
{
	char text[LOG_LINE_BYTES];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_flush();
	arch_console_write("rouse: ", 7);
	put(text);
	arch_poweroff(1);
}
