/*
 * The meter: counts instructions of each hart by where they lie, and writes
 * down what happens between.
 *
 * The problem: how many instructions an operation takes is a property of the
 * code alone, but the operation runs over several privilege modes and harts,
 * and what else those harts do in the meantime must not count. So nothing is
 * decided here. The plugin keeps one counter for each hart and *bucket* (a set
 * of address ranges, given by bench/meter.py) and writes a record with all
 * counters of all harts when
 *
 *   - a hart executes a marker, `slti x0, x0, n`, which is a hint that does
 *     nothing anywhere else;
 *   - a hart executes WFI, goes idle in it, goes on (under -icount QEMU tells
 *     the first of these only);
 *   - a hart stores to a device register that reaches for another hart (a
 *     *doorbell*: ranges of physical addresses);
 *   - a hart comes back to a *loop* (ranges of addresses) and has meanwhile
 *     been out of the program that the loop is of (the *guest*): whatever
 *     interrupted it was over then;
 *   - the hypervisor stores the time of a record of its own trace (a *stamp*).
 *
 * bench/meter.py pairs records and subtracts.
 *
 * Exactness: the counter is an addition that QEMU puts in front of the
 * instruction itself, into memory of that vCPU alone, so an instruction that
 * begins is counted once, also where a block is left in its middle; one that
 * faults and is executed again counts twice, as on a hart that fetches it
 * twice. A marker isn't counted. The store of a doorbell is counted in its own
 * record. A hart's own counters in its record are exact; those of harts that
 * run meanwhile are of about that moment, exact if they wait.
 *
 * An address tells the privilege mode because each program given (firmware,
 * hypervisor, guest) executes its text in one mode only, and texts at equal
 * addresses are refused by bench/meter.py. Rejected: reading the mode by the
 * plugin interface (the registers are only promised to callbacks that ask for
 * them, which means a call for every instruction); counting whole blocks (off
 * by what is left of a block that faults).
 *
 * Each record has the host's time as well. Nothing is measured by it, but by
 * the stamps it tells which records of a trace were written meanwhile
 * (bench/meter/explain.py); these are many, and have no counters.
 *
 * Arguments: out=FILE, and map=FILE with lines `range FIRST END BUCKET`
 * (hexadecimal, END exclusive, sorted, apart), `buckets N`, `doorbell FIRST
 * END`, `guest FIRST END`, `loop FIRST END` and `stamp FIRST END`.
 */
#include "plugin_api.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* slti x0, x0, imm: all but the immediate (Unprivileged ISA 2.4.1, 2.9). */
#define MARKER_MASK 0x000fffffu
#define MARKER_CODE 0x00002013u

#define HEADER_MAGIC "rousemt3"

#define INST_WFI 0x10500073u

enum record_kind {
	RECORD_MARK = 1,
	RECORD_IDLE,
	RECORD_RESUME,
	RECORD_BELL,
	RECORD_WFI,
	RECORD_LOOP,
	RECORD_STAMP,
};

/* Followed by counters[harts][buckets], u64 each, but for a stamp. All little
 * endian. */
struct record {
	uint16_t kind;
	uint16_t n; /* of the marker */
	uint32_t hart;
	/* Marker, loop: its address; doorbell: the register's; stamp: what was
	 * stored. */
	uint64_t at;
	uint64_t ns; /* of the host */
};

struct header {
	char magic[8];
	uint32_t harts, buckets;
};

struct range {
	uint64_t first, end;
	uint32_t bucket;
};

struct ranges {
	struct range *r;
	size_t count, room;
};

int qemu_plugin_version = PLUGIN_API_VERSION;

static struct ranges texts, bells, guests, loops, stamps;
static uint32_t harts, buckets;
static struct qemu_plugin_scoreboard *counters;
/* 1: out of the guest, not in a loop since. */
static struct qemu_plugin_scoreboard *away;
static FILE *out;
static uint64_t *row;
static bool lost;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static __attribute__((format(printf, 1, 2))) int refuse(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("meter: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	return -1;
}

static int ranges_add(struct ranges *rs, struct range r)
{
	if (rs->count == rs->room) {
		size_t room = rs->room ? 2 * rs->room : 64;
		struct range *more = realloc(rs->r, room * sizeof(*more));

		if (!more)
			return refuse("no memory for %zu ranges", room);
		rs->r = more;
		rs->room = room;
	}
	rs->r[rs->count++] = r;
	return 0;
}

/* The range that holds `at`, or NULL. */
static const struct range *ranges_find(const struct ranges *rs, uint64_t at)
{
	size_t low = 0, high = rs->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (at < rs->r[mid].first)
			high = mid;
		else if (at >= rs->r[mid].end)
			low = mid + 1;
		else
			return &rs->r[mid];
	}
	return NULL;
}

/* Writes the counters as they are; the lock is held. */
static void record_counters(void)
{
	/* While the machine is made there are fewer harts; theirs are 0. */
	for (uint32_t h = 0; h < (uint32_t)qemu_plugin_num_vcpus(); h++) {
		const uint64_t *c = qemu_plugin_scoreboard_find(counters, h);

		for (uint32_t b = 0; b < buckets; b++)
			row[h * buckets + b] =
				__atomic_load_n(&c[b], __ATOMIC_RELAXED);
	}
	if (fwrite(row, sizeof(*row), (size_t)harts * buckets, out) !=
	    (size_t)harts * buckets)
		lost = true;
}

/* The order in the file is that in which harts came here. */
static void record(enum record_kind kind, unsigned int hart, uint16_t n,
		   uint64_t at)
{
	struct record r = { kind, n, hart, at, 0 };
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	r.ns = (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
	pthread_mutex_lock(&lock);
	if (fwrite(&r, sizeof(r), 1, out) != 1)
		lost = true;
	if (kind != RECORD_STAMP)
		record_counters();
	pthread_mutex_unlock(&lock);
}

/* The marker's number and address travel in the callback's word: 12 bits, and
 * the 52 lower ones of the address. */
static void on_marker(unsigned int hart, void *data)
{
	uint64_t word = (uint64_t)(uintptr_t)data;

	record(RECORD_MARK, hart, word & 0xfff, word >> 12);
}

static void on_wfi(unsigned int hart, void *data)
{
	record(RECORD_WFI, hart, 0, (uint64_t)(uintptr_t)data);
}

static void on_loop(unsigned int hart, void *data)
{
	*(uint64_t *)qemu_plugin_scoreboard_find(away, hart) = 0;
	record(RECORD_LOOP, hart, 0, (uint64_t)(uintptr_t)data);
}

static void on_store(unsigned int hart, qemu_plugin_meminfo_t info,
		     uint64_t vaddr, void *data)
{
	struct qemu_plugin_hwaddr *to = qemu_plugin_get_hwaddr(info, vaddr);
	uint64_t at;

	(void)data;
	if (!to || !qemu_plugin_hwaddr_is_io(to))
		return;
	at = qemu_plugin_hwaddr_phys_addr(to);
	if (ranges_find(&bells, at))
		record(RECORD_BELL, hart, 0, at);
}

static void on_stamp(unsigned int hart, qemu_plugin_meminfo_t info,
		     uint64_t vaddr, void *data)
{
	(void)vaddr, (void)data;
	record(RECORD_STAMP, hart, 0, qemu_plugin_mem_get_value(info).data.u64);
}

static void on_idle(qemu_plugin_id_t id, unsigned int hart)
{
	(void)id;
	record(RECORD_IDLE, hart, 0, 0);
}

static void on_resume(qemu_plugin_id_t id, unsigned int hart)
{
	(void)id;
	record(RECORD_RESUME, hart, 0, 0);
}

static void count(struct qemu_plugin_insn *insn, uint64_t at)
{
	const struct range *r = ranges_find(&texts, at);
	qemu_plugin_u64 entry = { counters,
				  (r ? r->bucket : 0) * sizeof(uint64_t) };

	qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(
		insn, QEMU_PLUGIN_INLINE_ADD_U64, entry, 1);
}

/* A block of a loop, of the guest, or of neither: it is where it begins. */
static void watch(struct qemu_plugin_tb *tb)
{
	struct qemu_plugin_insn *first = qemu_plugin_tb_get_insn(tb, 0);
	uint64_t at = qemu_plugin_insn_vaddr(first);
	qemu_plugin_u64 flag = { away, 0 };

	if (ranges_find(&loops, at))
		qemu_plugin_register_vcpu_insn_exec_cond_cb(
			first, on_loop, QEMU_PLUGIN_CB_NO_REGS,
			QEMU_PLUGIN_COND_NE, flag, 0, (void *)(uintptr_t)at);
	else if (!ranges_find(&guests, at))
		qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(
			first, QEMU_PLUGIN_INLINE_STORE_U64, flag, 1);
}

static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	size_t n = qemu_plugin_tb_n_insns(tb);

	(void)id;
	if (loops.count)
		watch(tb);
	for (size_t i = 0; i < n; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		uint64_t at = qemu_plugin_insn_vaddr(insn);
		uint32_t code = 0;

		qemu_plugin_insn_data(insn, &code, sizeof(code));
		if ((code & MARKER_MASK) == MARKER_CODE) {
			qemu_plugin_register_vcpu_insn_exec_cb(
				insn, on_marker, QEMU_PLUGIN_CB_NO_REGS,
				(void *)(uintptr_t)(at << 12 | code >> 20));
			continue;
		}
		count(insn, at);
		if (code == INST_WFI)
			qemu_plugin_register_vcpu_insn_exec_cb(
				insn, on_wfi, QEMU_PLUGIN_CB_NO_REGS,
				(void *)(uintptr_t)at);
		if (bells.count)
			qemu_plugin_register_vcpu_mem_cb(
				insn, on_store, QEMU_PLUGIN_CB_NO_REGS,
				QEMU_PLUGIN_MEM_W, NULL);
		if (ranges_find(&stamps, at))
			qemu_plugin_register_vcpu_mem_cb(
				insn, on_stamp, QEMU_PLUGIN_CB_NO_REGS,
				QEMU_PLUGIN_MEM_W, NULL);
	}
}

/* One line of the map; 0, or -1 with a message. */
static int map_line(const char *path, unsigned int line, const char *text)
{
	struct range r = { 0, 0, 0 };

	if (sscanf(text, "buckets %" SCNu32, &buckets) == 1)
		return 0;
	if (sscanf(text, "range %" SCNx64 " %" SCNx64 " %" SCNu32, &r.first,
		   &r.end, &r.bucket) == 3) {
		if (r.first >= r.end || r.bucket >= buckets)
			return refuse("%s:%u: a range needs first < end and a "
				      "bucket below %" PRIu32,
				      path, line, buckets);
		if (texts.count && r.first < texts.r[texts.count - 1].end)
			return refuse("%s:%u: ranges must be sorted and apart",
				      path, line);
		return ranges_add(&texts, r);
	}
	if (sscanf(text, "doorbell %" SCNx64 " %" SCNx64, &r.first, &r.end) ==
	    2)
		return ranges_add(&bells, r);
	if (sscanf(text, "loop %" SCNx64 " %" SCNx64, &r.first, &r.end) == 2)
		return ranges_add(&loops, r);
	if (sscanf(text, "guest %" SCNx64 " %" SCNx64, &r.first, &r.end) == 2)
		return ranges_add(&guests, r);
	if (sscanf(text, "stamp %" SCNx64 " %" SCNx64, &r.first, &r.end) == 2)
		return ranges_add(&stamps, r);
	return refuse("%s:%u: expected buckets, range, doorbell, guest, loop "
		      "or stamp",
		      path, line);
}

static int map_read(const char *path)
{
	char text[256];
	unsigned int line = 0;
	FILE *f = fopen(path, "r");
	int ret = 0;

	if (!f)
		return refuse("map=%s: %s", path, strerror(errno));
	while (!ret && fgets(text, sizeof(text), f))
		ret = map_line(path, ++line, text);
	fclose(f);
	if (!ret && !buckets)
		ret = refuse("%s: no line says how many buckets", path);
	return ret;
}

static void on_end(qemu_plugin_id_t id, void *data)
{
	(void)id, (void)data;
	pthread_mutex_lock(&lock);
	if (fclose(out) || lost)
		refuse("records were lost: %s", strerror(errno));
	/* Harts may still run; nothing of theirs is asked for any more. */
	out = fopen("/dev/null", "w");
	pthread_mutex_unlock(&lock);
}

static int start(const qemu_info_t *info, const char *path)
{
	struct header h = { .magic = HEADER_MAGIC };

	harts = h.harts = (uint32_t)info->system.max_vcpus;
	h.buckets = buckets;
	row = calloc((size_t)harts * buckets, sizeof(*row));
	out = fopen(path, "wb");
	if (!row || !out || fwrite(&h, sizeof(h), 1, out) != 1)
		return refuse("out=%s: %s", path, strerror(errno));
	counters = qemu_plugin_scoreboard_new(buckets * sizeof(uint64_t));
	away = qemu_plugin_scoreboard_new(sizeof(uint64_t));
	return 0;
}

PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id,
				      const qemu_info_t *info, int argc,
				      char **argv)
{
	const char *path = NULL, *map = NULL;

	for (int i = 0; i < argc; i++) {
		if (!strncmp(argv[i], "out=", 4))
			path = argv[i] + 4;
		else if (!strncmp(argv[i], "map=", 4))
			map = argv[i] + 4;
		else
			return refuse("%s: expected out=FILE, map=FILE",
				      argv[i]);
	}
	if (!path || !map)
		return refuse("out=FILE and map=FILE are needed");
	if (!info->system_emulation || strcmp(info->target_name, "riscv64"))
		return refuse("%s: expected a whole riscv64 machine",
			      info->target_name);
	if (map_read(map) || start(info, path))
		return -1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
	qemu_plugin_register_vcpu_idle_cb(id, on_idle);
	qemu_plugin_register_vcpu_resume_cb(id, on_resume);
	qemu_plugin_register_atexit_cb(id, on_end, NULL);
	return 0;
}
