/*
 * Values: from a tree or from typed text to the same form.
 *
 * Here only the spelling is judged; lab_store.c judges the value, so that both
 * spellings meet the same checks and the same words.
 *
 * The C library's strtoul is not used: it answers overflow and trailing text
 * through errno and pointers that each caller would have to look at, and the
 * numbers here are not zero-terminated.
 */
#include "kernel/lab_prop.h"

#include <libfdt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "kernel/mem.h"

int lab_fail(const struct lab_where *w, const char *fmt, ...)
{
	char what[sizeof(w->err->text)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	if (w->prop)
		return config_error(w->err, "%s: %.*s: %s", w->node,
				    (int)MIN(w->prop_len, 64u), w->prop, what);
	return config_error(w->err, "%s: %s", w->node, what);
}

int lab_fail_memory(const struct lab_where *w)
{
	(void)lab_fail(w, "no memory is left to hold it");
	return -ENOMEM;
}

char *lab_strdup(const char *text, size_t len)
{
	char *s = obj_alloc(len + 1);

	if (s)
		memcpy(s, text, len); /* obj_alloc zeroed the end */
	return s;
}

void lab_strfree(const char *s)
{
	obj_free((void *)(uintptr_t)s);
}

bool lab_text_is(const struct lab_value *v, const char *word)
{
	return v->text && v->text_len == strlen(word) &&
	       memcmp(v->text, word, v->text_len) == 0;
}

int lab_num_parse(const char **text, size_t *len, u64 *num)
{
	const char *p = *text, *end = p + *len;
	u64 base = 10, v = 0, digit;
	const char *first;

	if (end - p > 2 && p[0] == '0' && (p[1] == 'x' || p[1] == 'X')) {
		base = 16;
		p += 2;
	}
	for (first = p; p < end; p++) {
		if (*p >= '0' && *p <= '9')
			digit = (u64)(*p - '0');
		else if (base == 16 && (*p | 32) >= 'a' && (*p | 32) <= 'f')
			digit = (u64)((*p | 32) - 'a') + 10;
		else
			break;
		if (v > (UINT64_MAX - digit) / base)
			return -EINVAL;
		v = v * base + digit;
	}
	if (p == first)
		return -EINVAL;
	*len = (size_t)(end - p);
	*text = p;
	*num = v;
	return 0;
}

int lab_size_parse(const struct lab_value *v, u64 *bytes)
{
	const char *text = v->text;
	size_t len = v->text_len;
	u32 shift = 0;
	u64 num;

	if (lab_num_parse(&text, &len, &num) || len > 1)
		return -EINVAL;
	if (len == 1) {
		if (*text == 'K')
			shift = 10;
		else if (*text == 'M')
			shift = 20;
		else if (*text == 'G')
			shift = 30;
		else
			return -EINVAL;
	}
	if (num > UINT64_MAX >> shift)
		return -EINVAL;
	*bytes = num << shift;
	return 0;
}

/* Three digits and a zero are four bytes, and as a cell larger than any that
 * there is. */
static bool is_digits(const char *text)
{
	return !text[3] && strspn(text, "0123456789") == 3;
}

static int cells_from_fdt(const struct lab_prop *p, const struct lab_where *w,
			  const void *data, u32 bytes, struct lab_value *v)
{
	if (p->type == LAB_PINS) {
		if (bytes == 0 || bytes % 4)
			return lab_fail(w, "expected cells, such as <0 1>");
		v->cells = data;
		v->cell_count = bytes / 4;
		return 0;
	}
	if (bytes == 8 && p->type == LAB_U64) {
		v->num = fdt64_ld(data);
		return 0;
	}
	if (bytes != 4 || (p->type == LAB_U32 && is_digits(data)))
		return lab_fail(w, p->type == LAB_U64 ?
				"expected one or two cells, such as <%s>" :
				"expected one cell, such as <%s>",
				p->type == LAB_U64 ? "0x0 0x80200000" : "1");
	v->num = fdt32_ld(data);
	return 0;
}

int lab_prop_from_fdt(const struct lab_prop *p, const struct lab_where *w,
		      const void *data, u32 bytes, struct lab_value *v)
{
	const char *text = data;

	memset(v, 0, sizeof(*v));
	switch (p->type) {
	case LAB_FLAG:
		if (bytes)
			return lab_fail(w, "takes no value");
		v->num = 1;
		return 0;
	case LAB_U32:
	case LAB_U64:
	case LAB_PINS:
		return cells_from_fdt(p, w, data, bytes, v);
	case LAB_LINES:
		if (bytes == 0 || text[bytes - 1])
			return lab_fail(w, "expected strings");
		v->text = text;
		v->text_len = bytes;
		return 0;
	default:
		if (bytes == 0 || memchr(text, 0, bytes) != text + bytes - 1)
			return lab_fail(w, "expected one string");
		if (bytes == 1 && p->type != LAB_STRING)
			return lab_fail(w, "is empty");
		v->text = text;
		v->text_len = bytes - 1;
		return 0;
	}
}

int lab_prop_from_text(const struct lab_prop *p, const struct lab_where *w,
		       const char *text, size_t len, struct lab_value *v)
{
	*v = (struct lab_value){ .text = text, .text_len = len };
	switch (p->type) {
	case LAB_FLAG:
		if (!lab_text_is(v, "on") && !lab_text_is(v, "off"))
			return lab_fail(w, "expected on or off");
		v->num = lab_text_is(v, "on");
		return 0;
	case LAB_U32:
	case LAB_U64:
		if (lab_num_parse(&text, &len, &v->num) || len)
			return lab_fail(w, "\"%.*s\" is not a number",
					(int)MIN(v->text_len, LAB_QUOTE_MAX),
					v->text);
		return 0;
	default:
		return 0;
	}
}
