/*
 * The knobs as data: one row a property. Only lab*.c include this.
 *
 * A row knows its name, what kind of value it takes, its range and where in its
 * struct the value lives. A value comes in one of two spellings, a property of
 * the lab's tree or text from the console; both become a `struct lab_value`
 * and from there on take the same path with the same messages.
 */
#ifndef ROUSE_KERNEL_LAB_PROP_H
#define ROUSE_KERNEL_LAB_PROP_H

#include "kernel/base.h"
#include "kernel/lab.h"

enum lab_type {
	LAB_FLAG,   /* there or not; bool */
	LAB_U32,    /* one cell; u32 */
	LAB_U64,    /* one or two cells; u64 */
	LAB_SIZE,   /* string such as "192M"; u64 */
	LAB_STRING, /* char * */
	LAB_FILE,   /* string that names a file of the archive; char * */
	LAB_WORD,   /* string out of `words`; enum or bool of `bytes` bytes */
	LAB_CPUS,   /* string such as "0-3,6"; struct cpuset */
	LAB_PINS,   /* cells; u32 * and the count at `has` */
	LAB_POLICY, /* string that names a scheduler; char * */
	LAB_LINES,  /* strings, one or more; char ** and the count at `has` */
};

#define LAB_NO_HAS SIZE_MAX

/* How much of a wrong value a message quotes. */
#define LAB_QUOTE_MAX 40

struct lab_prop {
	const char *name;
	enum lab_type type;
	u32 bytes;  /* size of the value: LAB_WORD only */
	size_t at;  /* offset of the value */
	size_t has; /* offset of a bool "was said", of a count, or none */
	u64 min, max, multiple;
	const char *const *words; /* LAB_WORD: by value, then NULL */
	bool live;                /* may change while the guest runs */
};

/* Tables end with a row without a name. */
extern const struct lab_prop lab_top_props[];
extern const struct lab_prop lab_guest_props[];
extern const struct lab_prop lab_device_props[];

/* Where we are, for messages: "NODE: PROP: ..." */
struct lab_where {
	struct lab_error *err;
	const char *node; /* "lab: /guests/linux0" or "linux0" */
	const char *prop; /* or NULL: the node itself */
	u32 prop_len;
};

/* Says what is wrong there. Returns -EINVAL. */
int lab_fail(const struct lab_where *w, const char *fmt, ...) __printf(2, 3);
int lab_fail_memory(const struct lab_where *w); /* -ENOMEM */

/* A value, wherever it came from. Nothing in it is owned. */
struct lab_value {
	const char *text; /* not zero-terminated */
	size_t text_len;
	const u8 *cells;  /* big-endian, 4 bytes each; NULL: a list in text */
	u32 cell_count;
	u64 num;
};

/*
 * Reads a tree's property (lab_prop_from_fdt) or what was typed
 * (lab_prop_from_text) as what the row takes. 0 or -EINVAL.
 */
int lab_prop_from_fdt(const struct lab_prop *p, const struct lab_where *w,
		      const void *data, u32 bytes, struct lab_value *v)
	__must_check;
int lab_prop_from_text(const struct lab_prop *p, const struct lab_where *w,
		       const char *text, size_t len, struct lab_value *v)
	__must_check;

/*
 * Checks the value and puts it into `obj`; what was there is freed. 0, -EINVAL
 * or -ENOMEM, and then `obj` is as it was.
 */
int lab_prop_store(const struct lab_prop *p, const struct lab_where *w,
		   const struct lab_value *v, const struct lab_env *env,
		   void *obj) __must_check;

/* Frees every value of a struct and sets it to none. */
void lab_props_free(const struct lab_prop *table, void *obj);

/* The row of that name, or NULL. */
const struct lab_prop *lab_prop_find(const struct lab_prop *table,
				     const char *name, size_t len);

/* What a row takes, in words ("1 to 65535"), into `buf`. */
void lab_prop_takes(const struct lab_prop *p, char *buf, size_t bytes);

/* A value as text, the way lab_prop_from_text reads it. */
void lab_prop_show(const struct lab_prop *p, const void *obj, char *buf,
		   size_t bytes);

/* "a, b, c" of all names of a table, into `buf`. */
void lab_prop_names(const struct lab_prop *table, char *buf, size_t bytes);

/* lab_config.c: may `name` be a guest's name? 0 or -EINVAL. */
int lab_name_check(const struct lab_where *w, const char *name) __must_check;

/*
 * lab_config.c: lab_config_check with messages that start with w->node. At boot
 * a tree of the guest's own is read to its end.
 */
int lab_config_check_at(const struct lab_where *w,
			const struct guest_config *cfg,
			const struct lab_env *env, bool at_boot) __must_check;

/* lab_config.c: everything as if the lab had said nothing but the name. */
int lab_config_defaults(struct guest_config *cfg, const char *name)
	__must_check;

/* lab_config.c: sets one property of the device `name` of the guest. */
int lab_device_set(struct guest_config *cfg, const char *name,
		   const struct lab_prop *p, const struct lab_where *w,
		   const struct lab_value *v, const struct lab_env *env)
	__must_check;

/*
 * A decimal number, or hexadecimal after 0x, at *text; moves *text and *len
 * behind it. 0, or -EINVAL: no digit there, or more than 64 bits.
 */
int lab_num_parse(const char **text, size_t *len, u64 *num) __must_check;

/* "192M": a number and at most one of K, M, G. 0 or -EINVAL. */
int lab_size_parse(const struct lab_value *v, u64 *bytes) __must_check;

bool lab_text_is(const struct lab_value *v, const char *word);

/* A copy of text, or NULL; and its end. */
char *lab_strdup(const char *text, size_t len) __must_check;
void lab_strfree(const char *s);

#endif
