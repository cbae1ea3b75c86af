/*
 * Guests' consoles, with threads for CPUs: all of them print to the guests
 * there are, take what was typed, and destroy each guest when it has ended,
 * while one reads, types, attaches and turns away. The rings are small, so that
 * the reader is overtaken all the time.
 *
 * What the reader finds is whole records, of each CPU in its order, none twice,
 * and without a loss that it was told of none is missing; when all is quiet it
 * has come to the end of every console, those of guests that are gone too. Each
 * character typed is taken once, in order. Freed memory is poisoned, and each
 * console is freed.
 */
/* sources: tests/stress/stress.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <ck_pr.h>
#include <ck_spinlock.h>

#include "emul/emul.h"
#include "kernel/gcons.h"
#include "kernel/guest.h"
#include "kernel/mem.h"
#include "tests/stress/stress.h"

static void jitter(void)
{
	u32 r = rnd(1024);

	if (r == 0)
		usleep(20);
	else if (r < 64)
		sched_yield();
}

#undef GCONS_RING_BYTES
#define GCONS_RING_BYTES 1024
#undef GCONS_INPUT_BYTES
#define GCONS_INPUT_BYTES 64

/* What lies before a lock, or before a reference is given back, is late. */
#define ck_spinlock_fas_lock(l) (jitter(), ck_spinlock_fas_lock(l))
#define ck_pr_dec_32_zero(at, zero) (jitter(), ck_pr_dec_32_zero(at, zero))
#include "kernel/gcons.c"

#define CPUS_MOST 8
#define SLOTS 3	   /* guests at once */
#define PUTS 30	   /* of a CPU in a guest's life */
#define HEADER 6   /* bytes of a record: who, its number, how much follows */
#define TYPED_MOST 200

/* A guest's life; its console may be read after it. */
struct life {
	u32 on;		     /* atomic: CPUs that have yet to print */
	u64 written;	     /* atomic */
	u8 taken[TYPED_MOST]; /* atomic: how often, of each character */

	/* The reader's. */
	u64 at, lost;
	u32 typed;
	u32 next[CPUS_MOST]; /* the record to come */
	u32 skipped;	     /* bits: CPUs of which records may be lost */
	u8 record[HEADER];
	u32 len, payload, seq; /* of the record: bytes so far; it says */
	bool lost_now;
};

struct slot {
	struct guest *guest;
	struct emul_dev dev;
	u32 number;	      /* atomic: of the life that is on */
	u32 last_plus_1;      /* of the characters that the device took, */
	pthread_mutex_t lock; /* under its lock */
};

static struct slot slots[SLOTS];
static struct life *lives[SLOTS];
static u32 cpus, lives_most;
static u32 woken, at_end; /* atomic */
static u64 lost_bytes, read_bytes, orphans, typed, refused; /* the reader's */
static struct gcons *attached;		/* its own */

static void wake(void)
{
	ck_pr_store_32(&woken, 1);
}

/* ---- the guests' side ---- */

static u8 payload_byte(u32 life, u32 seq, u32 i)
{
	return (u8)((life + seq * 5 + i) & 0x7f);
}

/* Whole records of exactly `bytes` bytes. */
static void records_fill(char *buf, u32 bytes, u32 cpu, u32 life, u32 *seq)
{
	while (bytes) {
		u32 n = bytes <= 100 ? bytes : HEADER + rnd(80);
		u32 payload = n - HEADER;

		*buf++ = (char)(0x80 | cpu);
		for (u32 i = 0; i < 4; i++)
			*buf++ = (char)(*seq >> 7 * i & 0x7f);
		*buf++ = (char)payload;
		for (u32 i = 0; i < payload; i++)
			*buf++ = (char)payload_byte(life, *seq, i);
		++*seq;
		bytes -= n;
	}
}

/* A piece, or several: the last one is of any length. */
static void print(struct slot *s, u32 cpu, u32 number, u32 *seq)
{
	struct life *l = &lives[s - slots][number];
	u32 whole = rnd(4) ? 0 : rnd(4), n = HEADER + rnd(250);
	char buf[4 * GCONS_PIECE_BYTES];

	for (u32 i = 0; i < whole; i++)
		records_fill(buf + i * GCONS_PIECE_BYTES, GCONS_PIECE_BYTES,
			     cpu, number, seq);
	records_fill(buf + whole * GCONS_PIECE_BYTES, n, cpu, number, seq);
	n += whole * GCONS_PIECE_BYTES;
	ck_pr_add_64(&l->written, n);
	guest_console_put(s->guest, buf, n);
}

/* Characters are numbers: those of a life come once each, and in order. */
static void taken(struct slot *s, const char *buf, size_t n)
{
	struct life *l = &lives[s - slots][ck_pr_load_32(&s->number)];

	for (size_t i = 0; i < n; i++) {
		u8 c = (u8)buf[i];

		CHECK(c < TYPED_MOST, "%u was never typed", c);
		CHECK(!i || c == (u8)buf[i - 1] + 1, "%u comes after %u", c,
		      (u8)buf[i - 1]);
		CHECK(!__atomic_fetch_add(&l->taken[c], 1, __ATOMIC_SEQ_CST),
		      "%u was taken twice", c);
	}
}

static size_t dev_input(struct emul_dev *dev, const char *buf, size_t len)
{
	struct slot *s = container_of(dev, struct slot, dev);
	size_t n = rnd(4);

	n = MIN(n, len);
	pthread_mutex_lock(&s->lock);
	taken(s, buf, n);
	if (n) {
		CHECK((u8)buf[0] >= s->last_plus_1, "%u comes after %u",
		      (u8)buf[0], s->last_plus_1 - 1);
		s->last_plus_1 = (u8)buf[n - 1] + 1;
	}
	pthread_mutex_unlock(&s->lock);
	return n;
}

static const struct emul_ops dev_ops = {.input = dev_input};

static void take(struct slot *s)
{
	char buf[8];

	if (rnd(2))
		guest_console_ready(s->guest);
	else
		taken(s, buf, guest_console_get(s->guest, buf, 1 + rnd(8)));
}

static void guest_make(struct slot *s, u32 number)
{
	char name[32];

	snprintf(name, sizeof(name), "%u/%u", (u32)(s - slots), number);
	s->guest = obj_alloc(sizeof(*s->guest));
	s->guest->cfg.name = name;
	s->guest->devices = &s->dev;
	s->last_plus_1 = 0;
	CHECK(!gcons_create(s->guest), "no console");
	lives[s - slots][number].on = cpus;
	ck_pr_store_32(&s->number, number);
}

/* No CPU has it any more. What was taken is what was typed first, if nothing
 * had to be forgotten. */
static void guest_unmake(struct slot *s)
{
	struct life *l = &lives[s - slots][s->number];
	bool forgets = rnd(4) == 0;
	u32 i = 0;

	if (forgets)
		gcons_reset(s->guest);
	gcons_destroy(s->guest);
	obj_free(s->guest);
	if (forgets)
		return;
	while (i < TYPED_MOST && l->taken[i])
		i++;
	for (; i < TYPED_MOST; i++)
		CHECK(!l->taken[i], "%u was taken, others before were not", i);
}

static void *cpu_main(void *arg)
{
	u32 cpu = (u32)(uintptr_t)arg, left = SLOTS;
	u32 number[SLOTS] = {0}, puts[SLOTS] = {0}, seq[SLOTS] = {0};

	rnd_begin(cpu + 1);
	while (left) {
		u32 i = rnd(SLOTS);
		struct slot *s = &slots[i];

		if (number[i] == lives_most)
			continue;
		if (ck_pr_load_32(&s->number) != number[i]) {
			sched_yield();
			continue;
		}
		if (puts[i]++ < PUTS) {
			print(s, cpu, number[i], &seq[i]);
			take(s);
			continue;
		}
		puts[i] = seq[i] = 0;
		if (ck_pr_faa_32(&lives[i][number[i]++].on, (u32)-1) == 1) {
			guest_unmake(s);
			if (number[i] < lives_most)
				guest_make(s, number[i]);
		}
		left -= number[i] == lives_most;
	}
	return NULL;
}

/* ---- the reader ---- */

static void record_begins(struct life *l)
{
	u32 cpu = l->record[0] & 0x7f;

	l->seq = 0;
	for (u32 i = 0; i < 4; i++)
		l->seq |= (u32)l->record[1 + i] << 7 * i;
	l->payload = l->record[HEADER - 1];
	CHECK(cpu < cpus, "CPU %u", cpu);
	CHECK(l->seq == l->next[cpu] ||
	      (l->skipped >> cpu & 1 && l->seq > l->next[cpu]),
	      "CPU %u: record %u instead of %u", cpu, l->seq, l->next[cpu]);
	l->skipped &= ~(1u << cpu);
	l->next[cpu] = l->seq + 1;
}

static void byte_read(struct life *l, u32 number, u8 c)
{
	u32 i = l->len;

	if (l->lost_now && c < 0x80)
		return;
	l->lost_now = false;
	CHECK((c >= 0x80) == !i, "byte %u of a record is %u", i, c);
	l->len++;
	if (i < HEADER)
		l->record[i] = c;
	else
		CHECK(c == payload_byte(number, l->seq, i - HEADER),
		      "byte %u of record %u of CPU %u is %u", i, l->seq,
		      l->record[0] & 0x7f, c);
	if (i == HEADER - 1)
		record_begins(l);
	if (l->len >= HEADER && l->len == HEADER + l->payload)
		l->len = 0;
}

static void type(struct gcons *c, struct life *l)
{
	size_t n = 1 + rnd(16), done;
	char buf[16];

	n = MIN(n, TYPED_MOST - l->typed);
	for (size_t i = 0; i < n; i++)
		buf[i] = (char)(l->typed + i);
	done = gcons_type(c, buf, n);
	CHECK(done <= n, "%zu of %zu", done, n);
	l->typed += (u32)done;
	typed += done;
	refused += done < n && !gcons_orphaned(c);
}

static struct life *life_of(const struct gcons *c, u32 *number)
{
	u32 slot;

	CHECK(sscanf(c->name, "%u/%u", &slot, number) == 2 && slot < SLOTS &&
	      *number < lives_most, "no console's name");
	return &lives[slot][*number];
}

/* Of what was written after the last look of the reader's. */
static void check_stats(struct gcons *c, const struct life *l)
{
	struct gcons_stats s;

	gcons_stats(c, &s);
	CHECK(s.written_bytes >= l->at, "written");
	CHECK(s.unseen_bytes <= s.written_bytes - l->at, "unseen");
	CHECK(s.lost_bytes >= l->lost, "lost");
	CHECK(gcons_line_start(c) + GCONS_PIECE_BYTES >= l->at, "line");
}

/* Settled: what came since has been told, if anyone wants it. */
static void check_told(struct gcons *c, u64 head)
{
	ck_spinlock_fas_lock(&c->lock);
	CHECK(c->head == head || c->dirty || !c->wanted, "nobody is told");
	ck_spinlock_fas_unlock(&c->lock);
}

/* Reads a piece. False: there is no more, and the next will be told. */
static bool read_some(struct gcons *c)
{
	u64 lost, head;
	char buf[200];
	u32 number;
	struct life *l = life_of(c, &number);
	size_t n = gcons_peek(c, &l->at, buf, 1 + rnd(200), &lost, &head);

	if (lost) {
		l->lost_now = true;
		l->skipped = ~0u;
		l->len = 0;
		l->lost += lost;
		lost_bytes += lost;
	}
	for (size_t i = 0; i < n; i++)
		byte_read(l, number, (u8)buf[i]);
	l->at += n;
	read_bytes += n;
	CHECK(l->at <= head, "past the end");
	if (!n) {
		if (!gcons_settle(c, head))
			return true;
		check_told(c, head);
		return false;
	}
	gcons_shown(c, l->at);
	return true;
}

static void attach(struct gcons *c)
{
	if (attached || gcons_orphaned(c))
		return;
	gcons_get(c);
	attached = c;
}

/* It types, turns away, or back, and goes, long after the guest perhaps. */
static void attached_goes_on(void)
{
	struct gcons *c = attached;
	u32 number;

	if (!c)
		return;
	type(c, life_of(c, &number));
	switch (rnd(16)) {
	case 0:
		gcons_want(c, false);
		break;
	case 1:
		gcons_want(c, true);
		break;
	case 2:
		orphans += gcons_orphaned(c);
		gcons_want(c, true);
		gcons_put(c);
		attached = NULL;
	}
}

/* As the console's task: wakes come together. */
static void *reader_main(void *arg)
{
	struct gcons *c;
	bool last = false;
	u32 number;

	rnd_begin(100);
	while (!last) {
		attached_goes_on();
		last = ck_pr_load_32(&at_end) && !attached;
		if (!ck_pr_fas_32(&woken, 0)) {
			sched_yield();
			continue;
		}
		last = false;
		while ((c = gcons_next_dirty()) != NULL) {
			attach(c);
			while (read_some(c)) {
				check_stats(c, life_of(c, &number));
				attached_goes_on();
			}
			gcons_put(c);
		}
	}
	return NULL;
}

static void all_has_been_read(void)
{
	for (u32 i = 0; i < SLOTS; i++) {
		for (u32 n = 0; n < lives_most; n++) {
			const struct life *l = &lives[i][n];

			CHECK(l->at == l->written && !l->len,
			      "guest %u/%u: read up to %lu of %lu", i, n,
			      (unsigned long)l->at, (unsigned long)l->written);
		}
	}
	CHECK(!objects, "%u are left", objects);
}

static void all_is_read_of_guests_that_come_and_go(void **state)
{
	pthread_t cpu[CPUS_MOST], reader;

	alarm(getenv("ROUSE_TEST_FULL") ? 800 : 300);
	rnd_begin(50);
	cpus = *(const u32 *)*state;
	lives_most = (getenv("ROUSE_TEST_FULL") ? 12000 : 240) / cpus;
	woken = at_end = 0;
	lost_bytes = read_bytes = orphans = typed = refused = 0;
	gcons_on_output(wake);
	gcons_watch_new(true);
	for (u32 i = 0; i < SLOTS; i++) {
		lives[i] = calloc(lives_most, sizeof(*lives[i]));
		slots[i].dev.ops = &dev_ops;
		pthread_mutex_init(&slots[i].lock, NULL);
		guest_make(&slots[i], 0);
	}
	pthread_create(&reader, NULL, reader_main, NULL);
	for (uintptr_t i = 0; i < cpus; i++)
		pthread_create(&cpu[i], NULL, cpu_main, (void *)i);
	for (u32 i = 0; i < cpus; i++)
		pthread_join(cpu[i], NULL);
	ck_pr_store_32(&at_end, 1);
	pthread_join(reader, NULL);
	all_has_been_read();
	print_message("# read %lu, lost %lu; typed %lu, refused %lu; attached "
		      "to %lu that were gone\n", (unsigned long)read_bytes,
		      (unsigned long)lost_bytes, (unsigned long)typed,
		      (unsigned long)refused, (unsigned long)orphans);
	/* All of it happened. */
	assert_true(read_bytes && lost_bytes && typed && refused && orphans);
	for (u32 i = 0; i < SLOTS; i++)
		free(lives[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON(1, all_is_read_of_guests_that_come_and_go),
		ON(2, all_is_read_of_guests_that_come_and_go),
		ON(4, all_is_read_of_guests_that_come_and_go),
		ON(8, all_is_read_of_guests_that_come_and_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
