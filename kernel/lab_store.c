/*
 * Values: checked, and into the struct that they belong to.
 *
 * Everything is checked and allocated before the first byte of the target
 * changes; so a refused value leaves no trace, and there is nothing to undo.
 *
 * A row knows its target by offset only. Pointers in it have several types
 * (char *, const char *, u32 *, char **), so they are read and written as bytes
 * by ptr_get and ptr_set and never through a pointer of another type.
 */
#include "kernel/lab_prop.h"

#include <libfdt.h>
#include <stdio.h>
#include <string.h>

#include "kernel/mem.h"

static void *ptr_get(const char *at)
{
	void *p;

	memcpy(&p, at, sizeof(p));
	return p;
}

static void ptr_set(char *at, const void *p)
{
	memcpy(at, &p, sizeof(p));
}

/* The number is inside the row's range and a multiple of what it must be. */
static int num_check(const struct lab_prop *p, const struct lab_where *w,
		     u64 num)
{
	char takes[96], quote[24];
	struct lab_prop one = *p;

	if (num >= p->min && num <= p->max) {
		if (p->multiple && num % p->multiple)
			return lab_fail(w, "0x%lx is not a multiple of %lu",
					num,
					p->multiple);
		return 0;
	}
	/* The value in the spelling of the range. */
	one.at = 0;
	one.has = LAB_NO_HAS;
	lab_prop_show(&one, &num, quote, sizeof(quote));
	if (num > UINT32_MAX && p->type == LAB_U32)
		snprintf(quote, sizeof(quote), "%lu", num);
	lab_prop_takes(p, takes, sizeof(takes));
	return lab_fail(w, "%s is outside %s", quote, takes);
}

/* "0-3,6" into a set; every CPU must be there. "all" is the caller's. */
static int cpus_parse(const struct lab_where *w, const struct lab_value *v,
		      const struct lab_env *env, struct cpuset *s)
{
	const char *text = v->text;
	size_t len = v->text_len;
	u64 a, b;

	memset(s, 0, sizeof(*s));
	for (;;) {
		if (lab_num_parse(&text, &len, &a))
			goto bad;
		b = a;
		if (len && *text == '-') {
			text++;
			len--;
			if (lab_num_parse(&text, &len, &b) || b < a)
				goto bad;
		}
		if (b >= env->cpu_count || b >= CPU_MAX)
			return lab_fail(w, "there is no CPU %lu; there are "
					"CPUs 0 to %lu", b,
					(unsigned long)env->cpu_count - 1);
		for (; a <= b; a++)
			cpuset_add(s, (u32)a);
		if (len == 0)
			return 0;
		if (*text != ',')
			goto bad;
		text++;
		len--;
	}
bad:
	return lab_fail(w, "\"%.*s\" is no list of CPUs; expected one such as "
			"\"0-3,6\"", (int)MIN(v->text_len, LAB_QUOTE_MAX),
			v->text);
}

static int cpus_store(const struct lab_prop *p, const struct lab_where *w,
		      const struct lab_value *v, const struct lab_env *env,
		      char *obj)
{
	bool has = !lab_text_is(v, "all");
	struct cpuset set = { { 0 } };
	int ret = has ? cpus_parse(w, v, env, &set) : 0;

	if (ret)
		return ret;
	memcpy(obj + p->at, &set, sizeof(set));
	memcpy(obj + p->has, &has, sizeof(has));
	return 0;
}

/* The next pin of a list of cells or of text; -EINVAL: it is no number. */
static int pin_next(struct lab_value *v, u64 *cpu)
{
	if (v->cells) {
		*cpu = fdt32_ld((const fdt32_t *)(const void *)v->cells);
		v->cells += 4;
		return 0;
	}
	if (lab_num_parse(&v->text, &v->text_len, cpu))
		return -EINVAL;
	if (v->text_len == 0)
		return 0;
	if (*v->text != ',')
		return -EINVAL;
	v->text++;
	return --v->text_len ? 0 : -EINVAL;
}

static int pins_store(const struct lab_prop *p, const struct lab_where *w,
		      const struct lab_value *v, const struct lab_env *env,
		      char *obj)
{
	struct lab_value left = *v;
	u32 count = v->cell_count, *pin = NULL;
	u64 cpu;

	if (!v->cells && !lab_text_is(v, "none")) {
		count = 1;
		for (size_t i = 0; i < v->text_len; i++)
			count += v->text[i] == ',';
	}
	if (count) {
		pin = obj_alloc((size_t)count * sizeof(*pin));
		if (!pin)
			return lab_fail_memory(w);
	}
	for (u32 i = 0; i < count; i++) {
		int ret = 0;

		if (pin_next(&left, &cpu))
			ret = lab_fail(w, "expected one CPU a vCPU, such as "
				       "0,1, or none");
		else if (cpu >= env->cpu_count || cpu >= CPU_MAX)
			ret = lab_fail(w, "there is no CPU %lu; there are "
				       "CPUs 0 to %lu", cpu,
				       (unsigned long)env->cpu_count - 1);
		if (ret) {
			obj_free(pin);
			return ret;
		}
		pin[i] = (u32)cpu;
	}
	obj_free(ptr_get(obj + p->at));
	ptr_set(obj + p->at, pin);
	memcpy(obj + p->has, &count, sizeof(count));
	return 0;
}

static int string_store(const struct lab_prop *p, const struct lab_where *w,
			const struct lab_value *v, const struct lab_env *env,
			char *obj)
{
	struct cpio_file f;
	char *s = NULL;
	int ret;

	/* From the console, an empty value takes a string away again. */
	if (v->text_len == 0 && p->type != LAB_STRING && p->type != LAB_FILE)
		return lab_fail(w, "is empty");
	if (v->text_len) {
		s = lab_strdup(v->text, v->text_len);
		if (!s)
			return lab_fail_memory(w);
	}
	ret = 0;
	if (s && p->type == LAB_FILE && cpio_find(env->images, s, &f))
		ret = lab_fail(w, "the lab's archive has no file \"%s\"", s);
	else if (s && p->type == LAB_POLICY && !env->policy_exists(s))
		ret = lab_fail(w, "there is no scheduler \"%.40s\"", s);
	if (ret) {
		lab_strfree(s);
		return ret;
	}
	obj_free(ptr_get(obj + p->at));
	ptr_set(obj + p->at, s);
	return 0;
}

static void lines_free(char **lines, u32 count)
{
	for (u32 i = 0; lines && i < count; i++)
		lab_strfree(lines[i]);
	obj_free(lines);
}

static int lines_store(const struct lab_prop *p, const struct lab_where *w,
		       const struct lab_value *v, char *obj)
{
	const char *text = v->text, *end = text + v->text_len;
	u32 count = 0, old, n = 0;
	char **lines;

	for (size_t i = 0; i < v->text_len; i++)
		count += !text[i];
	lines = obj_alloc(count * sizeof(*lines));
	if (!lines)
		return lab_fail_memory(w);
	for (; text < end; text += strlen(text) + 1) {
		int ret = 0;

		if (!*text)
			ret = lab_fail(w, "has an empty string");
		else if (!(lines[n] = lab_strdup(text, strlen(text))))
			ret = lab_fail_memory(w);
		if (ret) {
			lines_free(lines, n);
			return ret;
		}
		n++;
	}
	memcpy(&old, obj + p->has, sizeof(old));
	lines_free(ptr_get(obj + p->at), old);
	ptr_set(obj + p->at, lines);
	memcpy(obj + p->has, &count, sizeof(count));
	return 0;
}

static int word_store(const struct lab_prop *p, const struct lab_where *w,
		      const struct lab_value *v, char *obj)
{
	char takes[96];

	for (u32 i = 0; p->words[i]; i++) {
		if (lab_text_is(v, p->words[i])) {
			memcpy(obj + p->at, &i, p->bytes);
			return 0;
		}
	}
	lab_prop_takes(p, takes, sizeof(takes));
	return lab_fail(w, "\"%.*s\" is not %s",
			(int)MIN(v->text_len, LAB_QUOTE_MAX), v->text, takes);
}

/* A number of whatever width, and "was said". */
static int num_store(const struct lab_prop *p, const struct lab_where *w,
		     u64 num, char *obj)
{
	bool has = true;
	u32 word = (u32)num;
	int ret = num_check(p, w, num);

	if (ret)
		return ret;
	if (p->type == LAB_U32)
		memcpy(obj + p->at, &word, sizeof(word));
	else
		memcpy(obj + p->at, &num, sizeof(num));
	if (p->has != LAB_NO_HAS)
		memcpy(obj + p->has, &has, sizeof(has));
	return 0;
}

int lab_prop_store(const struct lab_prop *p, const struct lab_where *w,
		   const struct lab_value *v, const struct lab_env *env,
		   void *obj)
{
	bool flag = v->num;
	u64 bytes;

	switch (p->type) {
	case LAB_FLAG:
		memcpy((char *)obj + p->at, &flag, sizeof(flag));
		return 0;
	case LAB_U32:
	case LAB_U64:
		return num_store(p, w, v->num, obj);
	case LAB_SIZE:
		if (lab_size_parse(v, &bytes))
			return lab_fail(w, "\"%.*s\" is no size; expected one "
					"such as \"192M\"",
					(int)MIN(v->text_len, LAB_QUOTE_MAX),
					v->text);
		return num_store(p, w, bytes, obj);
	case LAB_WORD:
		return word_store(p, w, v, obj);
	case LAB_CPUS:
		return cpus_store(p, w, v, env, obj);
	case LAB_PINS:
		return pins_store(p, w, v, env, obj);
	case LAB_LINES:
		return lines_store(p, w, v, obj);
	default:
		return string_store(p, w, v, env, obj);
	}
}

void lab_props_free(const struct lab_prop *table, void *obj)
{
	for (const struct lab_prop *p = table; p->name; p++) {
		char *at = (char *)obj + p->at;
		u32 count;

		switch (p->type) {
		case LAB_LINES:
			memcpy(&count, (char *)obj + p->has, sizeof(count));
			lines_free(ptr_get(at), count);
			ptr_set(at, NULL);
			break;
		case LAB_STRING:
		case LAB_FILE:
		case LAB_POLICY:
		case LAB_PINS:
			obj_free(ptr_get(at));
			ptr_set(at, NULL);
			break;
		default:
			break;
		}
	}
}
