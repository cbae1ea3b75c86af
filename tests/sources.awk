# Says which sources each test program links: for every file given, one word
# such as "tests/unit/foo_test|kernel/foo.c|emul/plic.c". A program names them
# in a comment that may span lines:
#
#	/* sources: kernel/foo.c emul/plic.c
#	 *          build/libfdt/fdt.c */
#
# Some words stand for several files, such as POLICIES: the variable `groups`
# has them as "POLICIES a.c b.c; SCHED_CORE c.c". The Makefile, which says what
# they are, makes its rules from the result.

BEGIN {
	count = split(groups, group, /;/)
	for (i = 1; i <= count; i++) {
		sub(/^ */, "", group[i])
		name = group[i]
		sub(/ .*/, "", name)
		sub(/^[^ ]* */, "", group[i])
		gsub(/ +/, "|", group[i])
		files[name] = group[i]
	}
}

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
	count = split($0, words, /[ \t*]+/)
	for (i = 1; i <= count; i++)
		if (words[i] != "")
			printf "|%s", (words[i] in files) ? files[words[i]] : words[i]
	if (last)
		inside = 0
}
