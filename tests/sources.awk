# Says which sources each test program links: for every file given, one word
# such as "tests/unit/foo_test|kernel/foo.c|emul/plic.c". A program names them
# in a comment that may span lines:
#
#	/* sources: kernel/foo.c emul/plic.c
#	 *          build/libfdt/fdt.c */
#
# The words POLICIES and SCHED_CORE stand for the files in the variables
# `policies` and `core`.
# The Makefile makes its rules from these words.

FNR == 1 {
	name = FILENAME
	sub(/\.c$/, "", name)
	printf "%s%s", (NR > 1 ? " " : ""), name
	inside = 0
}

/\/\* *sources:/ {
	inside = 1
	sub(/.*sources:/, "")
}

inside {
	last = sub(/\*\/.*/, "")
	sub(/POLICIES/, policies)
	sub(/SCHED_CORE/, core)
	count = split($0, words, /[ \t*]+/)
	for (i = 1; i <= count; i++)
		if (words[i] != "")
			printf "|%s", words[i]
	if (last)
		inside = 0
}
