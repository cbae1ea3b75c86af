/*
 * Rouse's command line, /chosen/bootargs of the machine (QEMU's -append).
 * Constant after boot; any context.
 */
#ifndef ROUSE_KERNEL_CMDLINE_H
#define ROUSE_KERNEL_CMDLINE_H

#include "kernel/base.h"

/* `text` stays; NULL: there is none. */
void cmdline_init(const char *text);

/*
 * The value of word `key=value`, not terminated, its length in *len; NULL if
 * there is no such word. A value that begins with a quote ends at the next
 * one, and may hold spaces.
 */
const char *cmdline_get(const char *key, size_t *len);

/* Is the value of `key` exactly `value`? */
bool cmdline_is(const char *key, const char *value);

/*
 * A decimal number from `least` to `most`. 0 and *out; -ENOENT: no such word;
 * -EINVAL: its value is no such number.
 */
int cmdline_u32(const char *key, u32 least, u32 most, u32 *out) __must_check;

/*
 * Is there a word that is none of `known`=? True: the first such is in `bad`,
 * shortened to fit.
 */
bool cmdline_unknown(const char *const *known, size_t count, char *bad,
		     size_t bytes);

#endif
