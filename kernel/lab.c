/*
 * From lab.dtb to a `struct lab`, or to the first thing that is wrong with it.
 *
 * The tree has three kinds of nodes that hold properties: the root, a guest, a
 * device of a guest. Each kind has its table of rows (lab_prop.c), and walking
 * a node is the same for all: every property must have a row, whose type reads
 * it and whose range judges it. Every node must be one of those that the
 * binding has. Nothing is skipped because it isn't known: a misspelt knob that
 * is silently ignored costs its owner an afternoon.
 *
 * The tree may come from anyone, so tree_check looks at all of it first; after
 * that libfdt's readers can't leave it.
 *
 * Rejected: collecting all errors. The first one is what gets mended first, and
 * later ones are often its echo.
 */
#include "kernel/lab.h"

#include <libfdt.h>
#include <stdio.h>
#include <string.h>

#include "kernel/lab_prop.h"
#include "kernel/mem.h"
#include "kernel/tree_read.h"

#define LAB_FILE_NAME "lab.dtb"
#define LAB_COMPATIBLE "rouse,lab"

/* A path of the tree as messages show it. */
#define NODE_BYTES 128

struct reader {
	const void *fdt;
	const struct lab_env *env;
	struct lab_error *err;
	struct lab *lab;
};

/* One property of some node, handed on to whoever knows where it goes. */
typedef int prop_fn(struct reader *r, void *obj, const struct lab_prop *p,
		    const struct lab_where *w, const struct lab_value *v);

/*
 * Every property of a node through the rows of `table`. The root has
 * "compatible", which has no row: it was looked at before.
 */
static int props_read(struct reader *r, int node, const char *path,
		      const struct lab_prop *table, prop_fn *fn, void *obj)
{
	struct lab_where w = { .err = r->err, .node = path };
	const struct lab_prop *p;
	struct lab_value v;
	char names[224];
	int prop, len, ret;

	fdt_for_each_property_offset(prop, r->fdt, node) {
		const void *data = fdt_getprop_by_offset(r->fdt, prop, &w.prop,
							 &len);

		if (!data)
			return lab_fail(&w, "is damaged");
		w.prop_len = (u32)strlen(w.prop);
		if (table == lab_top_props && !strcmp(w.prop, "compatible"))
			continue;
		p = lab_prop_find(table, w.prop, w.prop_len);
		if (!p) {
			lab_prop_names(table, names, sizeof(names));
			return lab_fail(&w, "no such property; there are %s",
					names);
		}
		if (fdt_getprop(r->fdt, node, w.prop, NULL) != data)
			return lab_fail(&w, "is there twice");
		ret = lab_prop_from_fdt(p, &w, data, (u32)len, &v);
		if (!ret)
			ret = fn(r, obj, p, &w, &v);
		if (ret)
			return ret;
	}
	return 0;
}

static int plain_store(struct reader *r, void *obj, const struct lab_prop *p,
		       const struct lab_where *w, const struct lab_value *v)
{
	return lab_prop_store(p, w, v, r->env, obj);
}

/* A device's properties go through its name: it may be the first of them. */
struct device_ref {
	struct guest_config *cfg;
	const char *name;
};

static int device_store(struct reader *r, void *obj, const struct lab_prop *p,
			const struct lab_where *w, const struct lab_value *v)
{
	struct device_ref *ref = obj;

	return lab_device_set(ref->cfg, ref->name, p, w, v, r->env);
}

static int no_children(struct reader *r, int node, const char *path)
{
	struct lab_where w = { .err = r->err, .node = path };
	int child = fdt_first_subnode(r->fdt, node);

	if (child < 0)
		return 0;
	return lab_fail(&w, "%.40s: no such node; there is none below this one",
			fdt_get_name(r->fdt, child, NULL));
}

/* Two nodes of one name under the same parent: only a broken tree has them. */
static int name_once(struct reader *r, int parent, int node,
		     const struct lab_where *w)
{
	const char *name = fdt_get_name(r->fdt, node, NULL);
	int other;

	fdt_for_each_subnode(other, r->fdt, parent) {
		if (other >= node)
			break;
		if (!strcmp(fdt_get_name(r->fdt, other, NULL), name))
			return lab_fail(w, "is there twice");
	}
	return 0;
}

/* The same of a guest: the ones before it are the lab's already, and to walk
 * over a thousand nodes for each of a thousand takes seconds. */
static int guest_once(const struct reader *r, const char *name,
		      const struct lab_where *w)
{
	for (const struct guest_config *c = r->lab->guests; c; c = c->next)
		if (!strcmp(c->name, name))
			return lab_fail(w, "is there twice");
	return 0;
}

static int device_read(struct reader *r, int devices, int node,
		       struct guest_config *cfg)
{
	struct device_ref ref = { cfg, fdt_get_name(r->fdt, node, NULL) };
	char path[NODE_BYTES];
	struct lab_where w = { .err = r->err, .node = path };
	int ret;

	snprintf(path, sizeof(path), "lab: /guests/%.31s/devices/%.40s",
		 cfg->name, ref.name);
	if (!r->env->device_exists(ref.name))
		return lab_fail(&w, "there is no such device");
	ret = name_once(r, devices, node, &w);
	if (!ret)
		ret = no_children(r, node, path);
	if (!ret)
		ret = props_read(r, node, path, lab_device_props, device_store,
				 &ref);
	return ret;
}

static int devices_read(struct reader *r, int node, struct guest_config *cfg)
{
	char path[NODE_BYTES];
	struct lab_where w = { .err = r->err, .node = path };
	int child, ret;

	snprintf(path, sizeof(path), "lab: /guests/%.31s/devices", cfg->name);
	ret = fdt_first_property_offset(r->fdt, node);
	if (ret >= 0) {
		fdt_getprop_by_offset(r->fdt, ret, &w.prop, NULL);
		w.prop_len = w.prop ? (u32)strlen(w.prop) : 0;
		return lab_fail(&w, "no such property; devices has only nodes");
	}
	fdt_for_each_subnode(child, r->fdt, node) {
		ret = device_read(r, node, child, cfg);
		if (ret)
			return ret;
	}
	return 0;
}

/* The nodes below a guest: devices, once. */
static int guest_children(struct reader *r, int node, struct guest_config *cfg,
			  const char *path)
{
	struct lab_where w = { .err = r->err, .node = path };
	bool seen = false;
	int child, ret;

	fdt_for_each_subnode(child, r->fdt, node) {
		const char *name = fdt_get_name(r->fdt, child, NULL);

		if (strcmp(name, "devices"))
			return lab_fail(&w, "%.40s: no such node; there is "
					"devices", name);
		if (seen)
			return lab_fail(&w, "devices: is there twice");
		seen = true;
		ret = devices_read(r, child, cfg);
		if (ret)
			return ret;
	}
	return 0;
}

/* Reads one guest and puts it at *tail. */
static int guest_read_node(struct reader *r, int guests, int node,
			   struct guest_config **tail)
{
	const char *name = fdt_get_name(r->fdt, node, NULL);
	char path[NODE_BYTES];
	struct lab_where w = { .err = r->err, .node = path };
	struct guest_config *cfg;
	int ret;

	snprintf(path, sizeof(path), "lab: /guests/%.40s", name);
	ret = lab_name_check(&w, name);
	if (!ret)
		ret = guest_once(r, name, &w);
	if (ret)
		return ret;
	cfg = obj_alloc(sizeof(*cfg));
	if (!cfg)
		return lab_fail_memory(&w);
	if (lab_config_defaults(cfg, name)) {
		obj_free(cfg);
		return lab_fail_memory(&w);
	}
	*tail = cfg; /* the lab's from here on, lab_free finds it */
	ret = props_read(r, node, path, lab_guest_props, plain_store, cfg);
	if (!ret)
		ret = guest_children(r, node, cfg, path);
	if (!ret)
		ret = lab_config_check_at(&w, cfg, r->env, true);
	return ret;
}

static int guests_read(struct reader *r, int node)
{
	struct guest_config **tail = &r->lab->guests;
	struct lab_where w = { .err = r->err, .node = "lab: /guests" };
	int child, ret;

	ret = fdt_first_property_offset(r->fdt, node);
	if (ret >= 0) {
		fdt_getprop_by_offset(r->fdt, ret, &w.prop, NULL);
		w.prop_len = w.prop ? (u32)strlen(w.prop) : 0;
		return lab_fail(&w, "no such property; guests has only nodes");
	}
	fdt_for_each_subnode(child, r->fdt, node) {
		ret = guest_read_node(r, node, child, tail);
		if (ret)
			return ret;
		tail = &(*tail)->next;
		r->lab->guest_count++;
	}
	if (!r->lab->guests)
		return lab_fail(&w, "is empty; expected one node a guest");
	return 0;
}

static int root_read(struct reader *r)
{
	struct lab_where w = { .err = r->err, .node = "lab: /" };
	int child, guests = -1, ret;

	if (fdt_node_check_compatible(r->fdt, 0, LAB_COMPATIBLE))
		return lab_fail(&w, "compatible: expected \"%s\"",
				LAB_COMPATIBLE);
	ret = props_read(r, 0, "lab: /", lab_top_props, plain_store, r->lab);
	if (ret)
		return ret;
	fdt_for_each_subnode(child, r->fdt, 0) {
		const char *name = fdt_get_name(r->fdt, child, NULL);

		if (strcmp(name, "guests"))
			return lab_fail(&w, "%.40s: no such node; there is "
					"guests", name);
		if (guests >= 0)
			return lab_fail(&w, "guests: is there twice");
		guests = child;
	}
	if (guests < 0)
		return lab_fail(&w, "guests: is missing; expected a node with "
				"one node a guest");
	return guests_read(r, guests);
}

int lab_parse(const void *dtb, size_t bytes, const struct lab_env *env,
	      struct lab **out, struct lab_error *err)
{
	struct lab_where w = { .err = err, .node = "lab" };
	struct reader r = { .fdt = dtb, .env = env, .err = err };
	int ret;

	*out = NULL;
	if (tree_check(dtb, bytes))
		return lab_fail(&w, LAB_FILE_NAME " is no sound device tree");
	r.lab = obj_alloc(sizeof(*r.lab));
	if (!r.lab)
		return lab_fail_memory(&w);
	ret = root_read(&r);
	if (ret) {
		lab_free(r.lab);
		return ret;
	}
	*out = r.lab;
	return 0;
}

int lab_open(const struct lab_env *env, struct lab **out,
	     struct lab_error *err)
{
	struct lab_where w = { .err = err, .node = "lab" };
	struct cpio_file f;
	int ret;

	*out = NULL;
	if (cpio_check(env->images))
		return lab_fail(&w, "the initrd is no sound cpio archive "
				"(newc); `make lab` packs one");
	ret = cpio_find(env->images, LAB_FILE_NAME, &f);
	if (ret)
		return lab_fail(&w, "the initrd has no file " LAB_FILE_NAME
				"; `make lab` packs one");
	/* A tree is read in words of eight bytes; cpio aligns to four. */
	if (!IS_ALIGNED((uintptr_t)f.data, 8)) {
		void *copy = obj_alloc(f.bytes);

		if (!copy)
			return lab_fail_memory(&w);
		memcpy(copy, f.data, f.bytes);
		ret = lab_parse(copy, f.bytes, env, out, err);
		obj_free(copy);
		return ret;
	}
	return lab_parse(f.data, f.bytes, env, out, err);
}

void lab_free(struct lab *lab)
{
	struct guest_config *g, *next;

	if (!lab)
		return;
	for (g = lab->guests; g; g = next) {
		next = g->next;
		lab_config_fini(g);
		obj_free(g);
	}
	lab_props_free(lab_top_props, lab);
	obj_free(lab);
}
