/*
 * A list of tests, run one after the other, with one line for each.
 *
 * A test fails by test_fail, from any hart and as often as it likes; the first
 * words are kept under a lock and printed when the test is over.
 */
#include "guests/baremetal/runtime/runtime.h"

#include <stdio.h>

static struct spinlock lock;
static char why[256];
static bool failed, skipped;

static void note(bool *flag, const char *fmt, va_list ap)
{
	u64 old = spin_lock_irq(&lock);

	if (!failed && (!skipped || flag == &failed))
		vsnprintf(why, sizeof(why), fmt, ap);
	*flag = true;
	spin_unlock_irq(&lock, old);
}

void test_fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	note(&failed, fmt, ap);
	va_end(ap);
}

void test_skip(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	note(&skipped, fmt, ap);
	va_end(ap);
}

bool test_failed(void)
{
	return __atomic_load_n(&failed, __ATOMIC_RELAXED);
}

int tests_run(const struct test *t, size_t n)
{
	u32 pass = 0, fail = 0;
	char only[64] = "";

	arg_str("only", only, sizeof(only));
	for (; n; t++, n--) {
		if (!strstr(t->name, only))
			continue;
		failed = skipped = false;
		t->fn();
		if (failed) {
			print("FAIL %s: %s\n", t->name, why);
			fail++;
		} else if (skipped) {
			print("skip %s: %s\n", t->name, why);
		} else {
			print("ok %s\n", t->name);
			pass++;
		}
	}
	print("%u passed, %u failed\n", pass, fail);
	return fail ? 1 : 0;
}
