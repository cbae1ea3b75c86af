/*
 * JSON by writing as one goes.
 *
 * The only state is how deep we are, and for each depth whether it's an array
 * and whether something has been written there (then a comma comes first): two
 * words of bits. A tree built first and printed later would need memory that
 * grows with the listing, and could fail.
 */
#include "kernel/shell/json.h"

#include "kernel/panic.h"

#include <inttypes.h>
#include <string.h>

static void json_quote(struct out *o, const char *s)
{
	size_t plain = 0;

	out_put(o, "\"", 1);
	for (; s[plain];) {
		u8 c = (u8)s[plain];

		if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\') {
			plain++;
			continue;
		}
		out_put(o, s, plain);
		s += plain + 1;
		plain = 0;
		if (c == '"' || c == '\\')
			out_fmt(o, "\\%c", c);
		else
			out_fmt(o, "\\u%04x", c);
	}
	out_put(o, s, plain);
	out_put(o, "\"", 1);
}

/* Comma and key of the next member. */
static void json_member(struct json *j, const char *key)
{
	u64 bit = 1ULL << (j->depth - 1);

	if (j->filled & bit)
		out_put(j->out, ",", 1);
	j->filled |= bit;
	ASSERT(!key == !!(j->arrays & bit));
	if (!key)
		return;
	json_quote(j->out, key);
	out_put(j->out, ":", 1);
}

static void json_down(struct json *j, bool array)
{
	u64 bit = 1ULL << j->depth;

	ASSERT(j->depth < JSON_DEPTH_MAX);
	out_put(j->out, array ? "[" : "{", 1);
	j->filled &= ~bit;
	j->arrays = array ? j->arrays | bit : j->arrays & ~bit;
	j->depth++;
}

void json_open(struct json *j, struct out *o, const char *type)
{
	*j = (struct json){.out = o};
	json_down(j, false);
	json_str(j, "type", type);
}

void json_close(struct json *j)
{
	while (j->depth)
		json_end(j);
	out_put(j->out, "\n", 1);
}

void json_u64(struct json *j, const char *key, u64 v)
{
	json_member(j, key);
	out_fmt(j->out, "%" PRIu64, v);
}

void json_u64_or_null(struct json *j, const char *key, u64 v, u64 none)
{
	if (v == none)
		json_null(j, key);
	else
		json_u64(j, key, v);
}

void json_milli(struct json *j, const char *key, u64 thousandths)
{
	json_member(j, key);
	out_fmt(j->out, "%" PRIu64 ".%03u", thousandths / 1000,
		(unsigned int)(thousandths % 1000));
}

void json_str(struct json *j, const char *key, const char *s)
{
	if (!s) {
		json_null(j, key);
		return;
	}
	json_member(j, key);
	json_quote(j->out, s);
}

void json_bool(struct json *j, const char *key, bool v)
{
	json_member(j, key);
	out_str(j->out, v ? "true" : "false");
}

void json_null(struct json *j, const char *key)
{
	json_member(j, key);
	out_str(j->out, "null");
}

void json_array(struct json *j, const char *key)
{
	json_member(j, key);
	json_down(j, true);
}

void json_object(struct json *j, const char *key)
{
	json_member(j, key);
	json_down(j, false);
}

void json_end(struct json *j)
{
	j->depth--;
	out_put(j->out, j->arrays & (1ULL << j->depth) ? "]" : "}", 1);
}
