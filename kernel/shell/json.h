/*
 * JSON, one object a line: {"type":"guest","name":"linux0",...}.
 *
 * Written as it's called, nothing is kept. Keys are snake_case with their unit
 * as a suffix and come from the program; values may hold any bytes, and what
 * comes out is valid ASCII JSON whatever they are (a byte outside of ASCII is
 * taken as Latin-1).
 */
#ifndef ROUSE_KERNEL_SHELL_JSON_H
#define ROUSE_KERNEL_SHELL_JSON_H

#include "kernel/base.h"
#include "kernel/shell/out.h"

#define JSON_DEPTH_MAX 64u

struct json {
	struct out *out;
	u32 depth;  /* open objects and arrays */
	u64 arrays; /* bit d: the one at depth d is an array */
	u64 filled; /* bit d: it has a member, so the next needs a comma */
};

/* Opens an object whose first member is "type"; json_close ends its line. */
void json_open(struct json *j, struct out *o, const char *type);
void json_close(struct json *j);

/* Members. Inside an array `key` is NULL. */
void json_u64(struct json *j, const char *key, u64 v);
void json_str(struct json *j, const char *key, const char *s);
void json_bool(struct json *j, const char *key, bool v);
void json_null(struct json *j, const char *key);

/* A number with three decimals, given in thousandths. */
void json_milli(struct json *j, const char *key, u64 thousandths);

/* A number that has a "none": null for `none`. */
void json_u64_or_null(struct json *j, const char *key, u64 v, u64 none);

/* An array or object as a member; json_end closes the innermost. */
void json_array(struct json *j, const char *key);
void json_object(struct json *j, const char *key);
void json_end(struct json *j);

#endif
