/*
 * Runs a fuzz target on the cases that are given, files or folders of files,
 * without libFuzzer. The name of a case is printed before it runs, so the last
 * one is to blame for what follows.
 */
#include <dirent.h>
#include <sys/stat.h>

#include "tests/fuzz/fuzz.h"

static u32 cases;

static void replay_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	u8 *data = NULL;
	long bytes;

	if (!f || fseek(f, 0, SEEK_END) || (bytes = ftell(f)) < 0 ||
	    fseek(f, 0, SEEK_SET)) {
		perror(path);
		exit(1);
	}
	/* Exactly as long, so that the sanitizer sees a byte too far. */
	data = malloc(bytes ? (size_t)bytes : 1);
	if (!data || fread(data, 1, (size_t)bytes, f) != (size_t)bytes) {
		perror(path);
		exit(1);
	}
	fclose(f);
	printf("%s\n", path);
	fflush(stdout);
	LLVMFuzzerTestOneInput(data, (size_t)bytes);
	free(data);
	cases++;
}

static void replay(const char *path)
{
	struct dirent **list;
	struct stat st;
	int n;

	if (stat(path, &st) || !S_ISDIR(st.st_mode)) {
		replay_file(path);
		return;
	}
	n = scandir(path, &list, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		char name[4096];

		snprintf(name, sizeof(name), "%s/%s", path, list[i]->d_name);
		if (list[i]->d_name[0] != '.')
			replay(name);
		free(list[i]);
	}
	free(list);
}

int main(int argc, char **argv)
{
	/* cmocka's demands, outside of a test of cmocka's. */
	setenv("CMOCKA_TEST_ABORT", "1", 1);
	for (int i = 1; i < argc; i++)
		replay(argv[i]);
	printf("%u cases\n", cases);
	return cases ? 0 : 1;
}
