/*
 * A guest's configuration as an object: made, copied, changed, judged, freed.
 *
 * What a single value can tell is checked where it is stored; here is what only
 * the whole can tell, once, after the last value. A copy is what makes several
 * changes one: set on the copy, check it, and only then put it in place.
 */
#include "kernel/lab_prop.h"

#include <stdio.h>
#include <string.h>

#include "kernel/guest_fdt.h"
#include "kernel/image.h"
#include "kernel/mem.h"
#include "kernel/tree_read.h"

/* A node's name in a device tree has at most 31 characters; so has a guest. */
#define NAME_MAX_BYTES 31

int lab_name_check(const struct lab_where *w, const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len > NAME_MAX_BYTES)
		return lab_fail(w, "a name has 1 to %d characters",
				NAME_MAX_BYTES);
	for (const char *p = name; *p; p++) {
		bool alnum = (*p >= 'a' && *p <= 'z') ||
			     (*p >= 'A' && *p <= 'Z') ||
			     (*p >= '0' && *p <= '9');

		if (!alnum && (p == name || !strchr("-_.", *p)))
			return lab_fail(w, "a name is made of letters, digits, "
					"- _ . and starts with one of the "
					"first two");
	}
	return 0;
}

int lab_config_defaults(struct guest_config *cfg, const char *name)
{
	memset(cfg, 0, sizeof(*cfg));
	cfg->name = lab_strdup(name, strlen(name));
	if (!cfg->name)
		return -ENOMEM;
	cfg->vcpus = 1;
	cfg->ram_base.v = 0x80000000;
	cfg->sched = (struct sched_params)SCHED_PARAMS_DEFAULT;
	cfg->wfi = WFI_TRAP;
	cfg->wfi_poll_us = 50;
	cfg->on_poweroff = ACTION_STOP;
	cfg->on_reboot = ACTION_RESTART;
	cfg->on_crash = ACTION_STOP;
	return 0;
}

int lab_config_init(struct guest_config *cfg, const char *name,
		    struct lab_error *err)
{
	struct lab_where w = { .err = err, .node = name };
	int ret;

	memset(cfg, 0, sizeof(*cfg));
	ret = lab_name_check(&w, name);
	if (ret)
		return ret;
	return lab_config_defaults(cfg, name) ? lab_fail_memory(&w) : 0;
}

void lab_config_fini(struct guest_config *cfg)
{
	struct device_config *d, *next;

	lab_props_free(lab_guest_props, cfg);
	lab_strfree(cfg->name);
	for (d = cfg->devices; d; d = next) {
		next = d->next;
		lab_strfree(d->name);
		obj_free(d);
	}
	memset(cfg, 0, sizeof(*cfg));
}

/* Puts a copy of `*s`, which may be NULL, in its place. */
static void string_dup(const char **s)
{
	if (*s)
		*s = lab_strdup(*s, strlen(*s));
}

static int devices_copy(struct guest_config *to, const struct device_config *d)
{
	struct device_config **tail = &to->devices;

	for (; d; d = d->next) {
		struct device_config *copy = obj_alloc(sizeof(*copy));

		if (!copy)
			return -ENOMEM;
		*copy = *d;
		copy->next = NULL;
		*tail = copy; /* now lab_config_fini finds it */
		tail = &copy->next;
		copy->name = lab_strdup(d->name, strlen(d->name));
		if (!copy->name)
			return -ENOMEM;
	}
	return 0;
}

int lab_config_copy(struct guest_config *to, const struct guest_config *from)
{
	size_t pin_bytes = from->pin_count * sizeof(*from->pin);

	*to = *from;
	to->next = NULL;
	to->devices = NULL;
	to->pin = from->pin ? obj_alloc(pin_bytes) : NULL;
	if (to->pin)
		memcpy(to->pin, from->pin, pin_bytes);
	/* Each is now a copy, or NULL where there was none or no memory. */
	string_dup(&to->name);
	string_dup(&to->kernel);
	string_dup(&to->initrd);
	string_dup(&to->dtb);
	string_dup(&to->bootargs);
	if (!to->name != !from->name || !to->kernel != !from->kernel ||
	    !to->initrd != !from->initrd || !to->dtb != !from->dtb ||
	    !to->bootargs != !from->bootargs || !to->pin != !from->pin ||
	    devices_copy(to, from->devices)) {
		lab_config_fini(to);
		return -ENOMEM;
	}
	return 0;
}

int lab_device_set(struct guest_config *cfg, const char *name,
		   const struct lab_prop *p, const struct lab_where *w,
		   const struct lab_value *v, const struct lab_env *env)
{
	struct device_config **at = &cfg->devices, *d;
	int ret;

	while (*at && strcmp((*at)->name, name))
		at = &(*at)->next;
	if (*at)
		return lab_prop_store(p, w, v, env, *at);

	d = obj_alloc(sizeof(*d));
	if (!d)
		return lab_fail_memory(w);
	d->name = lab_strdup(name, strlen(name));
	ret = d->name ? lab_prop_store(p, w, v, env, d) : lab_fail_memory(w);
	if (ret) {
		lab_strfree(d->name);
		obj_free(d);
		return ret;
	}
	*at = d;
	return 0;
}

/* "rtc.irq" of a key: the device's name to `name`, its row. */
static int device_key(const struct lab_where *w, const struct lab_env *env,
		      char name[NAME_MAX_BYTES + 1], const struct lab_prop **p)
{
	const char *dot = memchr(w->prop, '.', w->prop_len);
	size_t len = (size_t)(dot - w->prop);
	char names[64];

	if (len > NAME_MAX_BYTES)
		len = NAME_MAX_BYTES;
	memcpy(name, w->prop, len);
	name[len] = 0;
	if (!env->device_exists(name))
		return lab_fail(w, "there is no device \"%s\"", name);
	*p = lab_prop_find(lab_device_props, dot + 1,
			   w->prop_len - (size_t)(dot + 1 - w->prop));
	if (*p)
		return 0;
	lab_prop_names(lab_device_props, names, sizeof(names));
	return lab_fail(w, "a device has no such knob; it has %s", names);
}

int lab_config_set(struct guest_config *cfg, const char *text, bool live,
		   const struct lab_env *env, struct lab_error *err)
{
	size_t key_len = strcspn(text, "=");
	struct lab_where w = { .err = err, .node = cfg->name, .prop = text,
			       .prop_len = (u32)MIN(key_len, 4096u) };
	const char *value = text[key_len] ? text + key_len + 1 : NULL;
	char device[NAME_MAX_BYTES + 1], names[224];
	const struct lab_prop *p;
	struct lab_value v;
	bool dotted = memchr(text, '.', w.prop_len) != NULL;
	int ret;

	p = lab_prop_find(lab_guest_props, text, w.prop_len);
	if (!p && !dotted) {
		lab_prop_names(lab_guest_props, names, sizeof(names));
		return lab_fail(&w, "no such knob; there are %s", names);
	}
	if (!p) {
		ret = device_key(&w, env, device, &p);
		if (ret)
			return ret;
	} else {
		dotted = false;
	}
	if (live && !p->live)
		return lab_fail(&w, "can't change while the guest runs");
	if (!value && p->type != LAB_FLAG)
		return lab_fail(&w, "expected a value, as in %.*s=...",
				(int)MIN(w.prop_len, 64u), text);
	if (!value)
		value = "on";
	ret = lab_prop_from_text(p, &w, value, strlen(value), &v);
	if (ret)
		return ret;
	if (dotted)
		return lab_device_set(cfg, device, p, &w, &v, env);
	return lab_prop_store(p, &w, &v, env, cfg);
}

/* Complains about the property `prop` of the node that `w` names. */
#define fail_at(w, name, ...)                                              \
	({                                                                 \
		struct lab_where at_ = *(w);                               \
		at_.prop = (name);                                         \
		at_.prop_len = sizeof(name) - 1;                           \
		lab_fail(&at_, __VA_ARGS__);                               \
	})

static int sched_check(const struct lab_where *w,
		       const struct guest_config *cfg)
{
	if (cfg->sched.cap > cfg->vcpus * 100)
		return fail_at(w, "cap", "%lu is more than %lu vCPU%s can use; "
			       "expected 0 to %lu",
			       (unsigned long)cfg->sched.cap,
			       (unsigned long)cfg->vcpus,
			       cfg->vcpus == 1 ? "" : "s",
			       (unsigned long)cfg->vcpus * 100);
	if (!cfg->pin)
		return 0;
	if (cfg->pin_count != cfg->vcpus)
		return fail_at(w, "pin", "names %lu CPU%s for %lu vCPU%s; "
			       "expected one CPU a vCPU",
			       (unsigned long)cfg->pin_count,
			       cfg->pin_count == 1 ? "" : "s",
			       (unsigned long)cfg->vcpus,
			       cfg->vcpus == 1 ? "" : "s");
	for (u32 i = 0; cfg->has_affinity && i < cfg->pin_count; i++)
		if (!cpuset_has(&cfg->affinity, cfg->pin[i]))
			return fail_at(w, "pin", "CPU %lu is not in affinity",
				       (unsigned long)cfg->pin[i]);
	return 0;
}

/* No step of a task may take as long as all of a tree. */
static bool is_tree(const struct cpio_file *dtb, bool at_boot)
{
	struct tree_reader r;
	int ret = at_boot ? tree_check(dtb->data, dtb->bytes)
			  : tree_open(&r, dtb->data, dtb->bytes);

	return ret == 0;
}

static int images_check(const struct lab_where *w,
			const struct guest_config *cfg,
			const struct lab_env *env, bool at_boot)
{
	struct lab_error why;
	struct image_files files;
	struct image_plan plan;
	int ret;

	ret = image_files_find(env->images, cfg, &files, &why);
	if (ret == 0 && files.dtb.data && !is_tree(&files.dtb, at_boot))
		return fail_at(w, "dtb", "\"%s\" is no sound device tree",
			       cfg->dtb);
	if (ret == 0)
		ret = image_plan(cfg, &files,
				 guest_fdt_room(cfg, env->isa, files.dtb.bytes),
				 &plan, &why);
	/* What is wrong already starts with the property's name. */
	if (ret)
		lab_fail(w, "%s", why.text);
	return ret;
}

int lab_config_check_at(const struct lab_where *w,
			const struct guest_config *cfg,
			const struct lab_env *env, bool at_boot)
{
	int ret;

	if (!cfg->memory_bytes)
		return fail_at(w, "memory", "is missing; expected a size such "
			       "as \"192M\"");
	if (!cfg->kernel)
		return fail_at(w, "kernel", "is missing; expected the name of "
			       "a file");
	ret = sched_check(w, cfg);
	return ret ? ret : images_check(w, cfg, env, at_boot);
}

int lab_config_check(const struct guest_config *cfg, const struct lab_env *env,
		     struct lab_error *err)
{
	struct lab_where w = { .err = err, .node = cfg->name };

	return lab_config_check_at(&w, cfg, env, false);
}

bool lab_knob_nth(u32 n, void (*fn)(void *arg, const char *name, bool live,
				    const char *takes), void *arg)
{
	const struct lab_prop *p = lab_guest_props;
	char takes[96], name[48];
	const char *of = "";

	while (p->name && n)
		p++, n--;
	if (!p->name) {
		of = "DEVICE.";
		for (p = lab_device_props; p->name && n; p++)
			n--;
	}
	if (!p->name)
		return false;
	lab_prop_takes(p, takes, sizeof(takes));
	snprintf(name, sizeof(name), "%s%s", of, p->name);
	fn(arg, name, p->live, takes);
	return true;
}

int lab_knob_show(const struct guest_config *cfg, const char *name, char *buf,
		  size_t bytes)
{
	const struct lab_prop *p;
	size_t len = strcspn(name, ".");

	p = lab_prop_find(lab_guest_props, name, strlen(name));
	if (p) {
		lab_prop_show(p, cfg, buf, bytes);
		return 0;
	}
	if (!name[len])
		return -ENOENT;
	p = lab_prop_find(lab_device_props, name + len + 1,
			  strlen(name + len + 1));
	for (const struct device_config *d = cfg->devices; p && d; d = d->next)
		if (strlen(d->name) == len && !memcmp(d->name, name, len)) {
			lab_prop_show(p, d, buf, bytes);
			return 0;
		}
	return -ENOENT;
}
