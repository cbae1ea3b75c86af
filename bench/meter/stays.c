/*
 * How long a hart stays away: instructions from one moment at which it looks at
 * what there is to do to the next, by the functions that it was in meanwhile.
 *
 * The problem: interrupts are off all the time in the hypervisor, so nobody but
 * itself bounds how long a guest, a doorbell or a timer waits. A task's steps
 * are in traces; mail, timers and exits are not, and what they take with very
 * many vCPUs is to be held as well. So each instruction of the hypervisor and
 * of the firmware is counted, and a *look* ends one stay and begins the next:
 * the top of a round, the entry into a guest, the way in from one, the way to
 * sleep.
 *
 * Blocks are counted as they are entered, so one that is left in its middle by
 * an exception counts a few instructions too many. Turns of a loop that waits
 * for a lock aren't counted: harts that run at once are threads, and one that
 * stands still while it has the lock lets the others wait for the build host.
 * What it does itself until it gives the lock back is counted.
 *
 * Arguments: map=FILE with lines `function FIRST END` (hexadecimal, END
 * exclusive, sorted, apart) and `look ADDRESS`; out=FILE, which gets a line
 * `FIRST LONGEST` for each function that ran: how long the longest stay was
 * that it was in. Then a line `stay HART LENGTH` for each of the longest, and
 * for each of these `FIRST INSTRUCTIONS` where they went.
 */
#include "plugin_api.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEPT 8 /* of the longest stays */

struct function {
	uint64_t first, end;
	uint64_t longest;
};

struct stay {
	unsigned int hart;
	uint64_t length;
	uint64_t *in; /* by function */
};

int qemu_plugin_version = PLUGIN_API_VERSION;

static struct function *functions;
static uint64_t *looks;
static size_t function_count, look_count;
static struct stay kept[KEPT];
/* Of each hart, by function; behind the last one two words: 1, it is in none of
 * them; 1, it has looked before. */
static struct qemu_plugin_scoreboard *counters;
static const char *out_path;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int refuse(const char *what)
{
	fprintf(stderr, "stays: %s\n", what);
	return -1;
}

/* The function that holds `at`; function_count: none. */
static size_t function_of(uint64_t at)
{
	size_t low = 0, high = function_count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (at < functions[mid].first)
			high = mid;
		else if (at >= functions[mid].end)
			low = mid + 1;
		else
			return mid;
	}
	return function_count;
}

static bool is_look(uint64_t at)
{
	for (size_t i = 0; i < look_count; i++)
		if (looks[i] == at)
			return true;
	return false;
}

/* One of the longest takes the place of the shortest of them. */
static void keep(unsigned int hart, uint64_t length, const uint64_t *in)
{
	struct stay *least = &kept[0];

	for (size_t i = 1; i < KEPT; i++)
		if (kept[i].length < least->length)
			least = &kept[i];
	if (length <= least->length)
		return;
	least->hart = hart;
	least->length = length;
	memcpy(least->in, in, function_count * sizeof(*in));
}

/* `data` is set: at the look that the map names first. Before it was there once
 * the hart boots. */
static void on_look(unsigned int hart, void *data)
{
	uint64_t *in = qemu_plugin_scoreboard_find(counters, hart);
	uint64_t length = 0, *away = &in[function_count], *looked = away + 1;

	*away = 0;
	for (size_t i = 0; *looked && i < function_count; i++)
		length += in[i];
	*looked |= data != NULL;
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < function_count; i++)
		if (in[i] && functions[i].longest < length)
			functions[i].longest = length;
	keep(hart, length, in);
	pthread_mutex_unlock(&lock);
	memset(in, 0, function_count * sizeof(*in));
}

static uint32_t opcode(struct qemu_plugin_tb *tb, size_t i)
{
	uint32_t op = 0;

	qemu_plugin_insn_data(qemu_plugin_tb_get_insn(tb, i), &op, sizeof(op));
	return op;
}

/* Is it a turn of ck_spinlock_fas_lock's wait, and nothing else: lwu of the
 * word, sext.w, and a branch (RISC-V unprivileged ISA, chapters "RV64I" and
 * "C")? */
static bool waits(struct qemu_plugin_tb *tb, size_t n)
{
	uint32_t second, third;

	if (n != 3 || (opcode(tb, 0) & 0x707f) != 0x6003)
		return false;
	second = opcode(tb, 1);
	third = opcode(tb, 2);
	return ((second & 0xf07f) == 0x2001 ||
		(second & 0xfff0707f) == 0x001b) &&
	       ((third & 0xc003) == 0xc001 || (third & 0x7f) == 0x63);
}

static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	struct qemu_plugin_insn *first = qemu_plugin_tb_get_insn(tb, 0);
	uint64_t at = qemu_plugin_insn_vaddr(first);
	size_t in = function_of(at), n = qemu_plugin_tb_n_insns(tb);
	qemu_plugin_u64 away = { counters, function_count * sizeof(uint64_t) };
	qemu_plugin_u64 count = { counters, in * sizeof(uint64_t) };

	(void)id;
	if (in == function_count) {
		qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(
			first, QEMU_PLUGIN_INLINE_STORE_U64, away, 1);
		return;
	}
	if (is_look(at))
		qemu_plugin_register_vcpu_insn_exec_cb(
			first, on_look, QEMU_PLUGIN_CB_NO_REGS,
			at == looks[0] ? looks : NULL);
	else
		qemu_plugin_register_vcpu_insn_exec_cond_cb(
			first, on_look, QEMU_PLUGIN_CB_NO_REGS,
			QEMU_PLUGIN_COND_NE, away, 0, NULL);
	if (!waits(tb, n))
		qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(
			first, QEMU_PLUGIN_INLINE_ADD_U64, count, n);
}

static void on_end(qemu_plugin_id_t id, void *data)
{
	FILE *out = fopen(out_path, "w");

	(void)id, (void)data;
	if (!out) {
		perror(out_path);
		return;
	}
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < function_count; i++)
		if (functions[i].longest)
			fprintf(out, "%" PRIx64 " %" PRIu64 "\n",
				functions[i].first, functions[i].longest);
	for (size_t k = 0; k < KEPT; k++) {
		fprintf(out, "stay %u %" PRIu64 "\n", kept[k].hart,
			kept[k].length);
		for (size_t i = 0; i < function_count; i++)
			if (kept[k].in[i])
				fprintf(out, "%" PRIx64 " %" PRIu64 "\n",
					functions[i].first, kept[k].in[i]);
	}
	pthread_mutex_unlock(&lock);
	if (fclose(out))
		perror(out_path);
}

/* Room for one more of `count`: the array, or NULL. */
static void *grown(void *array, size_t count, size_t bytes)
{
	return count & (count - 1) ? array :
		       realloc(array, (count ? 2 * count : 1) * bytes);
}

static int map_line(const char *text)
{
	struct function f = { 0, 0, 0 };

	if (sscanf(text, "function %" SCNx64 " %" SCNx64, &f.first, &f.end) ==
	    2) {
		functions = grown(functions, function_count, sizeof(f));
		if (!functions)
			return refuse("no memory");
		functions[function_count++] = f;
		return 0;
	}
	looks = grown(looks, look_count, sizeof(*looks));
	if (!looks)
		return refuse("no memory");
	if (sscanf(text, "look %" SCNx64, &looks[look_count++]) == 1)
		return 0;
	return refuse("a map has functions and looks only");
}

static int map_read(const char *path)
{
	char text[256];
	FILE *f = fopen(path, "r");
	int ret = 0;

	if (!f)
		return refuse(strerror(errno));
	while (!ret && fgets(text, sizeof(text), f))
		ret = map_line(text);
	fclose(f);
	for (size_t k = 0; !ret && k < KEPT; k++) {
		kept[k].in = calloc(function_count, sizeof(uint64_t));
		if (!kept[k].in)
			ret = refuse("no memory");
	}
	return ret;
}

PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id,
				      const qemu_info_t *info, int argc,
				      char **argv)
{
	(void)info;
	if (argc != 2 || strncmp(argv[0], "map=", 4) ||
	    strncmp(argv[1], "out=", 4))
		return refuse("expected map=FILE, out=FILE");
	out_path = strdup(argv[1] + 4);
	if (!out_path || map_read(argv[0] + 4))
		return -1;
	counters = qemu_plugin_scoreboard_new((function_count + 2) *
					      sizeof(uint64_t));
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
	qemu_plugin_register_atexit_cb(id, on_end, NULL);
	return 0;
}
