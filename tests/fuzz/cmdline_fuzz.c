/*
 * Rouse's own command line, from whoever starts the machine. What is found lies
 * in the text; a known word is found, and an unknown one is told of.
 */
/* sources: kernel/cmdline.c */
#include "kernel/cmdline.h"

#include "tests/fuzz/fuzz.h"

static const char *const known[] = {"sched", "cmd", "vmid-bits"};

int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes)
{
	struct fuzz_in in = {data, bytes};
	char *text = fuzz_text(&in, bytes), bad[32];
	u32 number;

	cmdline_init(text);
	for (u32 i = 0; i < ARRAY_LEN(known); i++) {
		size_t len = 0;
		const char *value = cmdline_get(known[i], &len);
		int ret = cmdline_u32(known[i], 3, 4000000000u, &number);

		MUST((value == NULL) == (ret == -ENOENT));
		if (value)
			MUST(value > text &&
			     value + len <= text + strlen(text));
		if (ret == 0)
			MUST(number >= 3 && number <= 4000000000u);
		(void)cmdline_is(known[i], "credit");
	}
	memset(bad, 'x', sizeof(bad));
	if (cmdline_unknown(known, ARRAY_LEN(known), bad, sizeof(bad)))
		MUST(strnlen(bad, sizeof(bad)) < sizeof(bad) && *bad &&
		     *bad != ' ' && strstr(text, bad));
	cmdline_init(NULL);
	free(text);
	return 0;
}
