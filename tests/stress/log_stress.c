/*
 * Who prints the log, with threads for CPUs: several log at once, while one
 * takes printing over and gives it back, again and again. Each line is printed
 * once, whole, those of a thread in their order, never by two at a time; and
 * when all have said what they had to say, none waits for another to come.
 */
/* sources: */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <ck_pr.h>
#include <ck_spinlock.h>

#include "kernel/arch.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/time.h"

#define LOGGERS 3
#define LINES 20 /* of each in a round; the ring has room for all */
#define ROUNDS 1000

static _Thread_local unsigned int jitter_seed;

static void jitter(u32 one_in)
{
	u32 r = (u32)rand_r(&jitter_seed) % one_in;

	if (r == 0)
		usleep(50);
	else if (r < 4)
		sched_yield();
}

static u32 jitter_fas_32(u32 *at, u32 val)
{
	jitter(32);
	return ck_pr_fas_32(at, val);
}

/* Long after the last look: before `printing` is given. */
static void jitter_store_32(u32 *at, u32 val)
{
	jitter(8);
	ck_pr_store_32(at, val);
}

static void jitter_store_ptr(void *at, const void *val)
{
	jitter(8);
	ck_pr_store_ptr(at, val);
}

#define ck_pr_fas_32 jitter_fas_32
#define ck_pr_store_32 jitter_store_32
#undef ck_pr_store_ptr
#define ck_pr_store_ptr jitter_store_ptr
#include "kernel/log.c"

u64 timebase_hz = 10000000;

static pthread_barrier_t barrier;
static u32 in_console, two_in_console, loggers_left, woken, by_reader;
static char out[LOGGERS * LINES * 64]; /* of whoever prints */
static size_t out_len;

#define LOAD(p) __atomic_load_n(p, __ATOMIC_SEQ_CST)
#define STORE(p, val) __atomic_store_n(p, val, __ATOMIC_SEQ_CST)
#define SWAP(p, val) __atomic_exchange_n(p, val, __ATOMIC_SEQ_CST)

u64 time_now_ticks(void)
{
	return 0;
}

bool panic_active(void)
{
	return false;
}

void arch_console_write(const char *text, size_t len)
{
	if (SWAP(&in_console, 1))
		STORE(&two_in_console, 1);
	jitter(64);
	if (out_len + len < sizeof(out)) {
		memcpy(&out[out_len], text, len);
		out_len += len;
	}
	STORE(&in_console, 0);
}

static void wake(void)
{
	STORE(&woken, 1);
}

static void reader_reads(u64 *cursor)
{
	struct log_entry e;
	u64 lost = 0;

	if (!SWAP(&woken, 0))
		return;
	while (log_read(cursor, &e, &lost)) {
		print_entry(&e);
		by_reader++;
	}
	assert_int_equal(lost, 0);
}

/* Prints for a while, then no more; at a round's end either is so. */
static void reader_comes_and_goes(void)
{
	u64 cursor = 0;
	bool goes;

	do {
		log_reader_set(wake, &cursor);
		for (u32 i = (u32)rand_r(&jitter_seed) % 8; i; i--) {
			reader_reads(&cursor);
			sched_yield();
		}
		goes = rand_r(&jitter_seed) % 2;
		if (goes || LOAD(&loggers_left))
			log_reader_set(NULL, &cursor);
		jitter(2);
	} while (LOAD(&loggers_left));
	if (LOAD(&reader_wake)) {
		reader_reads(&cursor);
		/* It was woken for each. */
		assert_int_equal(cursor, head);
		log_reader_set(NULL, &cursor);
	}
}

static void *logger(void *arg)
{
	u32 self = (u32)(uintptr_t)arg;

	jitter_seed = self + 1;
	for (u32 i = 0; i < ROUNDS; i++) {
		pthread_barrier_wait(&barrier);
		for (u32 n = 0; n < LINES; n++)
			log_info("round %u: %u says %u.", i, self, n);
		__atomic_fetch_sub(&loggers_left, 1, __ATOMIC_SEQ_CST);
		pthread_barrier_wait(&barrier);
	}
	return NULL;
}

static void all_is_printed_once(u32 round)
{
	u32 next[LOGGERS] = {0}, lines_seen = 0;
	char *save, *line;

	assert_int_equal(two_in_console, 0);
	out[out_len] = 0;
	for (line = strtok_r(out, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		u32 i, self, n;
		char dot;

		assert_int_equal(sscanf(line, "[    0.000000] round %u: "
					"%u says %u%c", &i, &self, &n, &dot),
				 4);
		assert_int_equal(i, round);
		assert_in_range(self, 0, LOGGERS - 1);
		assert_int_equal(n, next[self]++);
		lines_seen++;
	}
	assert_int_equal(lines_seen, LOGGERS * LINES);
	out_len = 0;
}

static void a_line_is_printed_once_whoever_prints(void **state)
{
	pthread_t thread[LOGGERS];

	alarm(300);
	jitter_seed = LOGGERS + 1;
	pthread_barrier_init(&barrier, NULL, LOGGERS + 1);
	for (u32 i = 0; i < LOGGERS; i++)
		pthread_create(&thread[i], NULL, logger, (void *)(uintptr_t)i);
	for (u32 i = 0; i < ROUNDS; i++) {
		STORE(&loggers_left, LOGGERS);
		pthread_barrier_wait(&barrier);
		/* Now and then there is no reader in all of a round. */
		if (i % 4)
			reader_comes_and_goes();
		pthread_barrier_wait(&barrier);
		all_is_printed_once(i);
	}
	for (u32 i = 0; i < LOGGERS; i++)
		pthread_join(thread[i], NULL);
	/* Both have printed. */
	assert_in_range(by_reader, 1, LOGGERS * LINES * ROUNDS - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_is_printed_once_whoever_prints),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
