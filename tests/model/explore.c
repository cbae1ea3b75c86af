/*
 * The explorer: see explore.h.
 *
 * Depth first: where there are several ways the whole state is kept (the
 * world's memory, the threads and what they have on their stacks), the first
 * way is taken, and when nothing is left behind it the state is put back and
 * the next one is taken. A place with one way is no decision. Before a decision
 * the state is looked up by a hash of 64 bits: the memory, where each thread is
 * (a hash of all that it has read since it last forgot), what waits in its
 * buffer. One that is known is not followed again.
 *
 * A thread goes on until it comes to an operation on a watched word; the
 * operation itself is done when it is chosen next. What it does up to then
 * concerns nobody else.
 */
#include "tests/model/explore.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#define THREADS_MAX 6
#define BUFFER_MAX  8
#define STACK_BYTES (64 << 10)
#define ARENA_BYTES (64 << 10)
#define SAVED_BYTES 512
#define RANGES_MAX  64
#define DEPTH_MAX   10000
#define ALONE_MAX   10000
#define TOLD_MAX    500
#define WAYS_MAX    (THREADS_MAX * (BUFFER_MAX + 1))

struct late {
	void *p;
	size_t bytes;
	uint64_t v;
	enum explore_change how;
};

struct thread {
	const char *name;
	struct cpu *cpu;
	void (*run)(void *arg);
	void *arg;
	jmp_buf at;
	char *sp; /* its stack is in use from here on */
	bool begun, done;
	bool rests; /* has done nothing since explore_rest */
	bool (*until)(const void *arg); /* waits for that; NULL: doesn't */
	const void *until_arg;
	uint64_t seen;	/* hash of what it has read */
	const char *op; /* what it is about to do, and to what */
	const void *op_on;
	struct late late[BUFFER_MAX];
	uint32_t lates;
};

struct range {
	const void *p;
	size_t bytes;
	const char *name;
};

/* A way on: a thread, or one of its late stores (from 1). */
struct way {
	uint8_t thread, late;
};

struct decision {
	struct way way[WAYS_MAX];
	uint32_t ways, taken;
	uint32_t id; /* of the state */
	struct thread threads[THREADS_MAX];
	struct thread *last;
	uint32_t switches;
	char *memory; /* the arena, other states, stacks */
	size_t memory_size;
};

static const struct explore *ex;
static struct explore_result result;
static struct thread threads[THREADS_MAX];
static uint32_t thread_count, switches;
static struct thread *self, *last;
static char stacks[THREADS_MAX][STACK_BYTES] __attribute__((aligned(64)));
static char arena[ARENA_BYTES] __attribute__((aligned(64)));
static size_t arena_used;
static struct range states[RANGES_MAX], ignored[RANGES_MAX],
	watched[RANGES_MAX];
static uint32_t state_count, ignored_count, watched_count;
static struct decision decisions[DEPTH_MAX];
static uint32_t depth;
static uint32_t alone;	 /* steps since there was a choice */
static uint32_t stop_at; /* as a failure, at this state; 0: none */
static jmp_buf explorer;
static const char *failure;

extern _Thread_local struct cpu *fake_this_cpu;

/* ---- the set of states, and how they hang together ---- */

struct known {
	uint64_t hash; /* 0: none */
	uint32_t id;   /* from 1, as they were found */
};

struct edge {
	uint32_t from, to; /* to 0: an end */
};

static struct known *set;
static size_t set_size;
static uint32_t state_ids;
static struct edge *edges;
static size_t edge_count, edges_size;

static void *grown(void *old, size_t bytes)
{
	void *p = realloc(old, bytes);

	if (!p)
		abort();
	return p;
}

static struct known *set_find(uint64_t h)
{
	size_t i = h % set_size;

	while (set[i].hash && set[i].hash != h)
		i = (i + 1) % set_size;
	return &set[i];
}

static void set_grow(void)
{
	struct known *old = set;
	size_t n = set_size;

	set_size = n ? 2 * n : 1 << 16;
	set = grown(NULL, set_size * sizeof(*set));
	memset(set, 0, set_size * sizeof(*set));
	for (size_t i = 0; i < n; i++)
		if (old[i].hash)
			*set_find(old[i].hash) = old[i];
	free(old);
}

/* The state's number, and whether it is new. */
static uint32_t set_add(uint64_t h, bool *is_new)
{
	struct known *k;

	if ((size_t)state_ids * 2 >= set_size)
		set_grow();
	h += !h;
	k = set_find(h);
	*is_new = !k->hash;
	if (*is_new)
		*k = (struct known){h, ++state_ids};
	return k->id;
}

static void edge_add(uint32_t from, uint32_t to)
{
	if (edge_count == edges_size) {
		edges_size = edges_size ? 2 * edges_size : 1 << 16;
		edges = grown(edges, edges_size * sizeof(*edges));
	}
	edges[edge_count++] = (struct edge){from, to};
}

/* The first state from which no end can be come to; 0: there is none. */
static uint32_t state_without_end(void)
{
	bool *ends = calloc(state_ids + 1, sizeof(*ends)), more = true;
	uint32_t id = 1;

	if (!ends)
		abort();
	ends[0] = true;
	while (more) {
		more = false;
		for (size_t i = edge_count; i-- > 0;) {
			if (ends[edges[i].to] && !ends[edges[i].from])
				more = ends[edges[i].from] = true;
		}
	}
	while (id <= state_ids && ends[id])
		id++;
	free(ends);
	return id <= state_ids ? id : 0;
}

static uint64_t mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * 0x9e3779b97f4a7c15;
	return h ^ h >> 32;
}

static uint64_t mix_bytes(uint64_t h, const char *p, size_t n)
{
	uint64_t v;

	for (; n >= 8; p += 8, n -= 8) {
		memcpy(&v, p, 8);
		h = mix(h, v);
	}
	for (; n; n--)
		h = mix(h, (uint8_t)*p++);
	return h;
}

/* A range but for what is ignored; that is in order of address. */
static uint64_t mix_range(uint64_t h, const char *p, size_t bytes)
{
	const char *end = p + bytes;

	for (uint32_t i = 0; i < ignored_count; i++) {
		const char *from = ignored[i].p;

		if (from < p || from >= end)
			continue;
		h = mix_bytes(h, p, (size_t)(from - p));
		p = from + ignored[i].bytes;
	}
	return mix_bytes(h, p, (size_t)(end - p));
}

static uint64_t state_hash(void)
{
	uint64_t h = mix_range(1, arena, arena_used);

	for (uint32_t i = 0; i < state_count; i++)
		h = mix_range(h, states[i].p, states[i].bytes);
	for (uint32_t i = 0; i < thread_count; i++) {
		struct thread *t = &threads[i];

		/* What one that has ended has read concerns nobody. */
		if (t->done)
			h = mix(h, 1);
		else
			h = mix(mix(mix(h, t->seen + t->rests),
				    (uintptr_t)t->until),
				(uintptr_t)t->op);
		for (uint32_t k = 0; k < t->lates; k++) {
			h = mix(h, (uintptr_t)t->late[k].p + t->late[k].how);
			h = mix(h, t->late[k].v);
		}
		h = mix(h, t->lates);
	}
	if (ex->switches)
		h = mix(mix(h, switches), (uint64_t)(last - threads));
	return h;
}

/* ---- words ---- */

static const struct range *watch_of(const void *p)
{
	for (uint32_t i = 0; i < watched_count; i++)
		if ((size_t)((const char *)p - (const char *)watched[i].p) <
		    watched[i].bytes)
			return &watched[i];
	return NULL;
}

static uint64_t word_read(const void *p, size_t bytes)
{
	uint64_t v = 0;

	memcpy(&v, p, bytes);
	return v;
}

static uint64_t changed(uint64_t was, uint64_t v, enum explore_change how)
{
	return how == EXPLORE_SET   ? v
	       : how == EXPLORE_ADD ? was + v
	       : how == EXPLORE_OR  ? was | v
	       : how == EXPLORE_XOR ? was ^ v
				    : was & v;
}

static void word_change(void *p, size_t bytes, uint64_t v,
			enum explore_change how)
{
	v = changed(word_read(p, bytes), v, how);
	memcpy(p, &v, bytes);
}

static uint64_t has_read(uint64_t v)
{
	if (self)
		self->seen = mix(self->seen, v + 1);
	return v;
}

/* ---- threads ---- */

static void yield(void)
{
	/* With room for the registers and for what lies below. */
	self->sp = (char *)__builtin_frame_address(0) - SAVED_BYTES;
	if (_setjmp(self->at) == 0)
		_longjmp(explorer, 1);
	self->rests = false;
}

/* Others may come in before this. */
static void point(const char *op, const void *p)
{
	if (!self || !watch_of(p))
		return;
	self->seen = mix(self->seen, (uintptr_t)p);
	self->op = op;
	self->op_on = p;
	yield();
}

void explore_wait(bool (*until)(const void *arg), const void *arg)
{
	self->op = "waits";
	self->op_on = NULL;
	self->until = until;
	self->until_arg = arg;
	yield();
	self->until = NULL;
}

void explore_forget(void)
{
	self->seen = 0;
}

void explore_rest(void)
{
	self->rests = true;
	explore_forget();
}

static bool none_late(const void *arg)
{
	return ((const struct thread *)arg)->lates == 0;
}

static bool is_faulty(enum explore_fault fault)
{
	return ex->fault == fault && self &&
	       (!ex->faulty || strcmp(ex->faulty, self->name) == 0);
}

void explore_fence(enum explore_fence kind)
{
	if (!self || !self->lates || kind == EXPLORE_FENCE_LOADS)
		return;
	if ((kind == EXPLORE_FENCE_FULL && is_faulty(EXPLORE_NO_FULL_FENCE)) ||
	    (kind == EXPLORE_FENCE_STORES && is_faulty(EXPLORE_NO_STORE_FENCE)))
		return;
	explore_wait(none_late, self);
}

static struct late *late_to(const void *p)
{
	for (uint32_t i = self ? self->lates : 0; i-- > 0;)
		if (self->late[i].p == p)
			return &self->late[i];
	return NULL;
}

/* Before it reads or changes a word in memory: its own stores are there. */
static void own_are_seen(const void *p)
{
	if (late_to(p))
		explore_wait(none_late, self);
}

uint64_t explore_load(const void *p, size_t bytes)
{
	const struct late *l = late_to(p);

	if (l && l->how == EXPLORE_SET)
		return has_read(l->v);
	own_are_seen(p);
	point("reads", p);
	return has_read(word_read(p, bytes));
}

void explore_store(void *p, size_t bytes, uint64_t v, enum explore_change how)
{
	if (self && ex->weak && watch_of(p)) {
		if (self->lates == BUFFER_MAX)
			explore_wait(none_late, self);
		self->late[self->lates++] = (struct late){p, bytes, v, how};
		return;
	}
	point("writes", p);
	word_change(p, bytes, v, how);
}

uint64_t explore_rmw(void *p, size_t bytes, uint64_t v, enum explore_change how)
{
	uint64_t was;

	own_are_seen(p);
	point("swaps", p);
	was = word_read(p, bytes);
	word_change(p, bytes, v, how);
	return has_read(was);
}

uint64_t explore_cas(void *p, size_t bytes, uint64_t old, uint64_t v)
{
	uint64_t mask = bytes == 8 ? ~0ULL : (1ULL << 8 * bytes) - 1, was;

	own_are_seen(p);
	point("compares", p);
	was = word_read(p, bytes);
	if (was == (old & mask)) {
		if (is_faulty(EXPLORE_SPLIT_CAS))
			point("and swaps", p);
		word_change(p, bytes, v, EXPLORE_SET);
	}
	return has_read(was);
}

_Noreturn void explore_fail(const char *file, int line, const char *what)
{
	static char text[512];

	snprintf(text, sizeof(text), "%s:%d: %s", file, line, what);
	failure = text;
	if (self)
		_longjmp(explorer, 1);
	_longjmp(explorer, 2);
}

/* ---- the world ---- */

void *explore_alloc(size_t bytes)
{
	void *p = arena + arena_used;

	arena_used += (bytes + 63) / 64 * 64;
	if (arena_used > sizeof(arena))
		abort();
	memset(p, 0, bytes);
	return p;
}

static void range_add(struct range *r, uint32_t *n, const void *p, size_t bytes,
		      const char *name)
{
	uint32_t i = (*n)++;

	if (*n > RANGES_MAX)
		abort();
	for (; i && r[i - 1].p > p; i--)
		r[i] = r[i - 1];
	r[i] = (struct range){p, bytes, name};
}

void explore_state(void *p, size_t bytes)
{
	range_add(states, &state_count, p, bytes, NULL);
}

void explore_ignore(const void *p, size_t bytes)
{
	range_add(ignored, &ignored_count, p, bytes, NULL);
}

void explore_watch(const void *p, size_t bytes, const char *name)
{
	range_add(watched, &watched_count, p, bytes, name);
}

void explore_thread(const char *name, struct cpu *cpu, void (*run)(void *arg),
		    void *arg)
{
	struct thread *t = &threads[thread_count++];

	if (thread_count > THREADS_MAX)
		abort();
	*t = (struct thread){.name = name, .cpu = cpu, .run = run, .arg = arg};
}

static void thread_main(void)
{
	self->run(self->arg);
	self->done = true;
	_longjmp(explorer, 1);
}

static void thread_begin(struct thread *t)
{
	static ucontext_t start;

	t->begun = true;
	getcontext(&start);
	start.uc_stack.ss_sp = stacks[t - threads];
	start.uc_stack.ss_size = STACK_BYTES;
	start.uc_link = NULL;
	makecontext(&start, thread_main, 0);
	setcontext(&start);
}

static void thread_go(struct thread *t)
{
	self = last = t;
	fake_this_cpu = t->cpu;
	if (_setjmp(explorer) == 0) {
		if (t->begun)
			_longjmp(t->at, 1);
		thread_begin(t);
	}
	self = NULL;
}

static void late_out(struct thread *t, uint32_t i)
{
	struct late l = t->late[i];

	word_change(l.p, l.bytes, l.v, l.how);
	t->lates--;
	memmove(&t->late[i], &t->late[i + 1],
		(t->lates - i) * sizeof(t->late[0]));
}

/* ---- states that are kept ---- */

/* Copies to or from where a decision keeps it, and moves on there. */
static void copy(char **kept, void *now, size_t bytes, bool keep)
{
	if (bytes)
		memcpy(keep ? *kept : now, keep ? now : *kept, bytes);
	*kept += bytes;
}

static size_t stack_bytes(const struct thread *t)
{
	return t->begun && !t->done
		       ? (size_t)(stacks[t - threads] + STACK_BYTES - t->sp)
		       : 0;
}

static void copy_all(struct decision *d, bool keep)
{
	char *at = d->memory;

	copy(&at, arena, arena_used, keep);
	for (uint32_t i = 0; i < state_count; i++)
		copy(&at, (void *)(uintptr_t)states[i].p, states[i].bytes,
		     keep);
	for (uint32_t i = 0; i < thread_count; i++)
		copy(&at, threads[i].sp, stack_bytes(&threads[i]), keep);
}

static void decision_keep(struct decision *d)
{
	size_t need = arena_used;

	for (uint32_t i = 0; i < state_count; i++)
		need += states[i].bytes;
	for (uint32_t i = 0; i < thread_count; i++)
		need += stack_bytes(&threads[i]);
	if (need > d->memory_size) {
		free(d->memory);
		d->memory = malloc(need);
		d->memory_size = need;
		if (!d->memory)
			abort();
	}
	memcpy(d->threads, threads, sizeof(threads));
	d->last = last;
	d->switches = switches;
	copy_all(d, true);
}

static void decision_restore(struct decision *d)
{
	memcpy(threads, d->threads, sizeof(threads));
	last = d->last;
	switches = d->switches;
	copy_all(d, false);
}

/* ---- ways on ---- */

static bool can_go(const struct thread *t)
{
	return !t->done && (!t->until || t->until(t->until_arg));
}

static bool used_up(void)
{
	return ex->switches && switches == ex->switches;
}

/* What a way takes of the switches that are allowed: one to leave a thread that
 * could go on, one to let a thread go on before its stores are seen. */
static uint32_t cost(const struct thread *t)
{
	bool leaves = last && last != t && (can_go(last) || last->lates);

	if (used_up() && last && last->rests)
		leaves = false;

	return leaves + (t->lates && !t->until);
}

static void way_add(struct decision *d, const struct thread *t, uint32_t late)
{
	if (!late && ex->switches && switches + cost(t) > ex->switches)
		return;
	d->way[d->ways++] = (struct way){(uint8_t)(t - threads), (uint8_t)late};
}

static void ways_of_lates(struct decision *d, const struct thread *t)
{
	for (uint32_t i = 0; i < t->lates; i++) {
		bool first = true;

		for (uint32_t j = 0; j < i; j++)
			first &= t->late[j].p != t->late[i].p;
		if (first)
			way_add(d, t, i + 1);
	}
}

/* All switches are used up, and who went last goes round: the next one's turn,
 * so that nobody is waited for who never comes. */
static bool way_of_next(struct decision *d)
{
	uint32_t i = (uint32_t)(last - threads), n;

	for (n = 0; n < thread_count; n++)
		if (threads[n].lates)
			return false;
	for (n = 1; n < thread_count; n++) {
		struct thread *t = &threads[(i + n) % thread_count];

		if (can_go(t)) {
			way_add(d, t, 0);
			return true;
		}
	}
	return false;
}

/* The plain one first: who went last goes on, and its stores are seen. */
static void ways_find(struct decision *d)
{
	d->ways = d->taken = 0;
	if (used_up() && last && last->rests && way_of_next(d))
		return;
	if (last)
		ways_of_lates(d, last);
	if (last && can_go(last))
		way_add(d, last, 0);
	for (uint32_t i = 0; i < thread_count; i++) {
		if (&threads[i] == last)
			continue;
		if (can_go(&threads[i]))
			way_add(d, &threads[i], 0);
		ways_of_lates(d, &threads[i]);
	}
}

static const char *name_of(const void *p)
{
	const struct range *w = p ? watch_of(p) : NULL;

	return w ? w->name : "";
}

/* With `tell`, says so: for the schedule of a failure. */
static void way_take(const struct way *w, bool tell)
{
	struct thread *t = &threads[w->thread];

	result.steps++;
	if (w->late) {
		const struct late *l = &t->late[w->late - 1];

		if (tell)
			fprintf(stderr, "    %-8s late store to %s is seen\n",
				t->name, name_of(l->p));
		late_out(t, w->late - 1);
		return;
	}
	if (tell && t->begun)
		fprintf(stderr, "    %-8s %s %s\n", t->name, t->op ? t->op : "",
			name_of(t->op_on));
	switches += cost(t);
	thread_go(t);
}

static void world_begin(void)
{
	arena_used = 0;
	state_count = ignored_count = watched_count = thread_count = 0;
	self = last = NULL;
	switches = 0;
	ex->begin();
}

/* Another way from the last decision that has one; false: there is none. */
static bool turn_back(void)
{
	while (depth) {
		struct decision *d = &decisions[depth - 1];

		if (++d->taken < d->ways) {
			decision_restore(d);
			result.runs++;
			way_take(&d->way[d->taken], false);
			return true;
		}
		depth--;
	}
	return false;
}

/* Nobody can go on. */
static void look_at_end(void)
{
	result.ends++;
	if (depth)
		edge_add(decisions[depth - 1].id, 0);
	self = NULL;
	if (_setjmp(explorer) == 0)
		ex->end();
}

/* False: its state is known. */
static bool decision_add(struct decision *d)
{
	bool is_new;

	alone = 0;
	d->id = set_add(state_hash(), &is_new);
	if (depth)
		edge_add(decisions[depth - 1].id, d->id);
	if (!is_new)
		return false;
	if (++depth == DEPTH_MAX) {
		fprintf(stderr, "%s: an order of %u decisions has no end\n",
			ex->name, depth);
		abort();
	}
	if (depth > result.deepest)
		result.deepest = depth;
	decision_keep(d);
	if (d->id == stop_at)
		failure = "from here on nothing comes to an end";
	return true;
}

static bool go_on(void)
{
	struct decision *d = &decisions[depth];

	ways_find(d);
	if (!d->ways) {
		look_at_end();
		return false;
	}
	if (d->ways == 1) {
		if (++alone == ALONE_MAX)
			failure = "one thread goes round and round";
	} else if (!decision_add(d)) {
		return false;
	}
	if (!failure)
		way_take(&d->way[0], false);
	return true;
}

/* The failure once more, from the beginning, and what leads to it. */
static void tell_failure(void)
{
	struct decision *d = NULL, one;
	uint32_t told = 0, steps = 0;

	if (ex->fault != EXPLORE_SOUND)
		return;
	fprintf(stderr, "%s: %s\n", ex->name, failure);
	failure = NULL;
	world_begin();
	for (;;) {
		ways_find(&one);
		if (!one.ways || failure || steps++ == TOLD_MAX)
			return;
		d = one.ways > 1 && told < depth ? &decisions[told++] : NULL;
		way_take(d ? &d->way[d->taken] : &one.way[0], true);
	}
}

static void explore_all(void)
{
	result = (struct explore_result){.runs = 1};
	if (set)
		memset(set, 0, set_size * sizeof(*set));
	state_ids = 0;
	edge_count = 0;
	failure = NULL;
	alone = depth = 0;
	world_begin();
	while (!failure && (go_on() || (!failure && turn_back())))
		;
	result.states = state_ids;
}

struct explore_result explore_run(const struct explore *e)
{
	ex = e;
	stop_at = 0;
	explore_all();
	if (!failure) {
		stop_at = state_without_end();
		/* Once more, to see how it comes to that. */
		if (stop_at)
			explore_all();
	}
	result.failed = failure != NULL;
	if (failure)
		tell_failure();
	return result;
}
