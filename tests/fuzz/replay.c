/*
 * Runs a fuzz target without libFuzzer:
 *
 *	NAME_fuzz FILE		  on one case
 *	NAME_fuzz FOLDER [WHERE]  on the cases in it, then on some that are made
 *				  of them; those are written to WHERE first
 *
 * The name of a case is printed before it runs, so the last one is to blame for
 * what follows. What is made is the same each time.
 */
#include <dirent.h>
#include <sys/stat.h>

#include "tests/fuzz/fuzz.h"

#define MADE	       400
#define CASES_MAX      1000
#define MADE_BYTES_MAX 4096u

struct kept {
	u8 *data;
	size_t bytes;
};

static struct kept kept[CASES_MAX];
static u32 cases;

static void run(const char *name, const u8 *data, size_t bytes)
{
	/* Exactly as long, so that the sanitizer sees a byte too far. */
	u8 *copy = malloc(bytes);

	if (!copy)
		abort();
	memcpy(copy, data, bytes);
	printf("%s\n", name);
	fflush(stdout);
	LLVMFuzzerTestOneInput(copy, bytes);
	free(copy);
}

static void replay_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	struct kept *k = &kept[cases];
	long bytes = -1;

	if (f && fseek(f, 0, SEEK_END) == 0)
		bytes = ftell(f);
	if (bytes >= 0 && cases < CASES_MAX) {
		rewind(f);
		k->bytes = (size_t)bytes;
		k->data = malloc(k->bytes + 1);
	}
	if (!k->data || fread(k->data, 1, k->bytes, f) != k->bytes) {
		perror(path);
		exit(1);
	}
	fclose(f);
	cases++;
	run(path, k->data, k->bytes);
}

static void replay_folder(const char *path)
{
	struct dirent **list;
	int n = scandir(path, &list, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		char name[4096];

		snprintf(name, sizeof(name), "%s/%s", path, list[i]->d_name);
		if (list[i]->d_name[0] != '.')
			replay_file(name);
		free(list[i]);
	}
	free(list);
}

/* ---- cases that are made ---- */

static u64 random_state = 1;

/* xorshift64*, below n */
static size_t below(size_t n)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return (random_state * 0x2545f4914f6cdd1dULL >> 32) % n;
}

/* A kept case, with the end of another one, and some bytes changed. */
static size_t make(u8 *to)
{
	const struct kept *a = &kept[below(cases)], *b = &kept[below(cases)];
	size_t bytes = MIN(a->bytes, MADE_BYTES_MAX), cut, n;

	memcpy(to, a->data, bytes);
	if (below(3) == 0 && bytes) {
		cut = below(bytes);
		n = MIN(b->bytes, MADE_BYTES_MAX - cut);
		memcpy(to + cut, b->data + (b->bytes - n), n);
		bytes = cut + n;
	}
	for (n = below(6); n && bytes; n--) {
		u8 *at = to + below(bytes);

		*at = below(2) ? (u8)below(256) : *at ^ (u8)(1u << below(8));
	}
	return bytes;
}

static void made_run(const char *where)
{
	static u8 data[MADE_BYTES_MAX];

	for (u32 i = 0; i < MADE; i++) {
		size_t bytes = make(data);
		char name[4096];
		FILE *f;

		snprintf(name, sizeof(name), "%s/made-%u", where ? where : "",
			 (unsigned int)i);
		if (where) {
			f = fopen(name, "wb");
			if (!f || fwrite(data, 1, bytes, f) != bytes) {
				perror(name);
				exit(1);
			}
			fclose(f);
		}
		run(name, data, bytes);
	}
}

int main(int argc, char **argv)
{
	struct stat st;

	/* cmocka's demands, outside of a test of cmocka's. */
	setenv("CMOCKA_TEST_ABORT", "1", 1);
	if (argc < 2 || stat(argv[1], &st) || !S_ISDIR(st.st_mode)) {
		for (int i = 1; i < argc; i++)
			replay_file(argv[i]);
	} else {
		replay_folder(argv[1]);
		if (cases)
			made_run(argv[2]);
	}
	for (u32 i = 0; i < cases; i++)
		free(kept[i].data);
	printf("%u cases\n", (unsigned int)cases);
	return cases ? 0 : 1;
}
