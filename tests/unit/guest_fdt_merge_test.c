/*
 * A tree that the guest brings along, copied with what is Rouse's in it,
 * against a model that says the same as one edit after the other, by libfdt.
 * Trees are random ones.
 */
/* sources: GUEST_FDT tests/unit/fake_lab.c LIBFDT */
#include "kernel/guest_fdt.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <libfdt.h>

#include "fake_lab.h"
#include "kernel/guest.h"
#include "kernel/image.h"

#define TREE_BYTES (512 * KIB)
#define MEMORY	   "memory@80000000"

static struct guest guest;
static struct guest_fdt_args args;
static u64 own[TREE_BYTES / 8], want[TREE_BYTES / 8], got[TREE_BYTES / 8];

/* ---- the model ---- */

static int edited(int e)
{
	if (e < 0 && e != -FDT_ERR_NOTFOUND)
		fail_msg("libfdt: %s", fdt_strerror(e));
	return e;
}

/* Where nodes were that have been removed. */
static char gone[4096][64];
static u32 gone_count;

static void node_remove(void *fdt, int node)
{
	if (node < 0)
		return;
	assert_true(gone_count < ARRAY_LEN(gone));
	/* Longer ones are deeper than anybody looks. */
	if (fdt_node_depth(fdt, node) <= 2 &&
	    !fdt_get_path(fdt, node, gone[gone_count], sizeof(gone[0])) &&
	    strcmp(gone[gone_count], "/" MEMORY))
		gone_count++;
	edited(fdt_del_node(fdt, node));
}

static bool leads_there(const char *path)
{
	for (u32 i = 0; i < gone_count; i++) {
		size_t n = strlen(gone[i]);

		if (!strncmp(path, gone[i], n) && (!path[n] || path[n] == '/'))
			return true;
	}
	return false;
}

static void model_paths(void *fdt, const char *name)
{
	int node = fdt_subnode_offset(fdt, 0, name), prop;

	prop = node < 0 ? node : fdt_first_property_offset(fdt, node);
	while (prop >= 0) {
		const char *of;
		const char *path = fdt_getprop_by_offset(fdt, prop, &of, NULL);

		if (*path != '/' || !leads_there(path)) {
			prop = fdt_next_property_offset(fdt, prop);
			continue;
		}
		edited(fdt_delprop(fdt, node, of));
		prop = fdt_first_property_offset(fdt, node);
	}
}

static int node_get(void *fdt, const char *name)
{
	int node = fdt_subnode_offset(fdt, 0, name);

	return node < 0 ? fdt_add_subnode(fdt, 0, name) : node;
}

static void cell_put(void *fdt, int node, const char *name, u32 v)
{
	if (v)
		edited(fdt_setprop_u32(fdt, node, name, v));
	else
		edited(fdt_delprop(fdt, node, name));
}

static bool type_is(const void *fdt, int node, const char *type)
{
	const char *is = fdt_stringlist_get(fdt, node, "device_type", 0, NULL);

	return is && !strcmp(is, type);
}

static int model_memory(void *fdt)
{
	int address = fdt_address_cells(fdt, 0), size = fdt_size_cells(fdt, 0);
	int node = 0;

	while ((node = fdt_next_node(fdt, node, NULL)) >= 0) {
		if (!type_is(fdt, node, "memory"))
			continue;
		node_remove(fdt, node);
		node = 0;
	}
	node_remove(fdt, fdt_subnode_offset(fdt, 0, MEMORY));
	if (address < 1 || address > 2 || size < 1 || size > 2)
		return -EINVAL;
	node = node_get(fdt, MEMORY);
	edited(fdt_setprop_string(fdt, node, "device_type", "memory"));
	return fdt_appendprop_addrrange(fdt, 0, node, "reg",
					guest.cfg.ram_base.v,
					guest.cfg.memory_bytes)
		       ? -EINVAL
		       : 0;
}

/* The n-th CPU of that hart id; or, if `hartid` is none of the guest's, any
 * whose id is none either. */
static int cpu_find(const void *fdt, u64 hartid, u32 nth)
{
	int node, cpus = fdt_subnode_offset(fdt, 0, "cpus");

	fdt_for_each_subnode(node, fdt, cpus)
	{
		int len;
		const void *reg = fdt_getprop(fdt, node, "reg", &len);
		u64 id = UINT64_MAX;

		if (!type_is(fdt, node, "cpu"))
			continue;
		if (reg && len == 4)
			id = fdt32_ld(reg);
		else if (reg && len == 8)
			id = fdt64_ld(reg);
		if (MIN(id, guest.cfg.vcpus) == hartid && nth-- == 0)
			return node;
	}
	return -FDT_ERR_NOTFOUND;
}

static void model_surplus(void *fdt)
{
	bool any = false;

	for (u32 i = 0; i <= guest.cfg.vcpus; i++) {
		u32 stay = i < guest.cfg.vcpus;

		while (cpu_find(fdt, i, stay) >= 0) {
			node_remove(fdt, cpu_find(fdt, i, stay));
			any = true;
		}
	}
	if (any)
		node_remove(fdt, fdt_path_offset(fdt, "/cpus/cpu-map"));
}

static void model_isa(void *fdt, int node)
{
	static const char list[] = "i\0m\0a\0zicbom\0sstc";
	const struct guest_fdt_isa *isa = args.isa;

	edited(fdt_setprop_string(fdt, node, "status", "okay"));
	edited(fdt_setprop_string(fdt, node, "riscv,isa", isa->isa));
	edited(fdt_setprop_string(fdt, node, "riscv,isa-base", "rv64i"));
	edited(fdt_setprop(fdt, node, "riscv,isa-extensions", list,
				sizeof(list)));
	edited(fdt_setprop_string(fdt, node, "mmu-type", isa->mmu_type));
	cell_put(fdt, node, "riscv,cbom-block-size", isa->cbom_block_bytes);
	cell_put(fdt, node, "riscv,cboz-block-size", isa->cboz_block_bytes);
}

static u32 phandle; /* the greatest so far, of those too that went */

static int model_cpu_add(void *fdt, int cpus, u32 hartid)
{
	char name[16];
	int node, intc;

	snprintf(name, sizeof(name), "cpu@%x", hartid);
	node = fdt_add_subnode(fdt, cpus, name);
	if (node == -FDT_ERR_EXISTS)
		return -EINVAL;
	edited(fdt_setprop_string(fdt, node, "device_type", "cpu"));
	if (fdt_address_cells(fdt, cpus) == 2)
		edited(fdt_setprop_u64(fdt, node, "reg", hartid));
	else
		edited(fdt_setprop_u32(fdt, node, "reg", hartid));
	edited(fdt_setprop_string(fdt, node, "compatible", "riscv"));
	model_isa(fdt, node);
	intc = fdt_add_subnode(fdt, node, "interrupt-controller");
	edited(fdt_setprop_u32(fdt, intc, "#address-cells", 0));
	edited(fdt_setprop_u32(fdt, intc, "#interrupt-cells", 1));
	edited(fdt_setprop_empty(fdt, intc, "interrupt-controller"));
	edited(fdt_setprop_string(fdt, intc, "compatible",
				       "riscv,cpu-intc"));
	edited(fdt_setprop_u32(fdt, intc, "phandle", ++phandle));
	return 0;
}

static int model_cpus(void *fdt)
{
	int cpus = fdt_subnode_offset(fdt, 0, "cpus"), e = 0;

	if (cpus < 0) {
		cpus = fdt_add_subnode(fdt, 0, "cpus");
		edited(fdt_setprop_u32(fdt, cpus, "#address-cells", 1));
		edited(fdt_setprop_u32(fdt, cpus, "#size-cells", 0));
	}
	edited(fdt_setprop_u32(fdt, cpus, "timebase-frequency",
				    (u32)args.timebase_hz));
	model_surplus(fdt);
	for (u32 i = 0; !e && i < guest.cfg.vcpus; i++) {
		cpus = fdt_subnode_offset(fdt, 0, "cpus");
		if (cpu_find(fdt, i, 0) >= 0)
			model_isa(fdt, cpu_find(fdt, i, 0));
		else
			e = model_cpu_add(fdt, cpus, i);
	}
	return e;
}

static void model_chosen(void *fdt)
{
	static const char start[] = "linux,initrd-start";
	static const char end[] = "linux,initrd-end";
	u64 initrd = args.plan->initrd.v, bytes = args.plan->initrd_bytes;
	int node = node_get(fdt, "chosen");

	if (guest.cfg.bootargs)
		edited(fdt_setprop_string(fdt, node, "bootargs",
					       guest.cfg.bootargs));
	if (bytes) {
		edited(fdt_setprop_u64(fdt, node, start, initrd));
		edited(fdt_setprop_u64(fdt, node, end, initrd + bytes));
	} else {
		edited(fdt_delprop(fdt, node, start));
		edited(fdt_delprop(fdt, node, end));
	}
	if (args.rng_seed)
		edited(fdt_setprop(fdt, node, "rng-seed", args.rng_seed,
					(int)args.rng_seed_bytes));
}

static int model(void *to, const void *from)
{
	int e = fdt_open_into(from, to, TREE_BYTES);

	gone_count = 0;
	edited(e);
	edited(fdt_find_max_phandle(from, &phandle));
	e = model_memory(to);
	if (!e)
		e = model_cpus(to);
	if (!e)
		model_chosen(to);
	model_paths(to, "aliases");
	model_paths(to, "__symbols__");
	return e;
}

/* ---- are two trees the same, but for the order? ---- */

static u32 props_count(const void *fdt, int node)
{
	u32 count = 0;
	int prop;

	fdt_for_each_property_offset(prop, fdt, node)
		count++;
	return count;
}

static void same_props(const void *a, int in_a, const void *b, int in_b)
{
	int prop;

	assert_int_equal(props_count(a, in_a), props_count(b, in_b));
	fdt_for_each_property_offset(prop, a, in_a)
	{
		const char *name;
		int len, other_len;
		const void *data = fdt_getprop_by_offset(a, prop, &name, &len);
		const void *other = fdt_getprop(b, in_b, name, &other_len);

		if (!other || len != other_len || memcmp(data, other,
							 (size_t)len))
			fail_msg("%s of %s differs", name,
				 fdt_get_name(a, in_a, NULL));
	}
}

static void same_nodes(const void *a, int in_a, const void *b, int in_b)
{
	int node, count = 0;

	same_props(a, in_a, b, in_b);
	fdt_for_each_subnode(node, b, in_b)
		count++;
	fdt_for_each_subnode(node, a, in_a)
	{
		const char *name = fdt_get_name(a, node, NULL);
		int other = fdt_subnode_offset(b, in_b, name);

		if (other < 0)
			fail_msg("there is no %s", name);
		same_nodes(a, node, b, other);
		count--;
	}
	assert_int_equal(count, 0);
}

static void same_trees(const void *a, const void *b)
{
	assert_int_equal(fdt_num_mem_rsv(a), fdt_num_mem_rsv(b));
	for (int i = 0; i < fdt_num_mem_rsv(a); i++) {
		u64 v[4];

		assert_int_equal(fdt_get_mem_rsv(a, i, &v[0], &v[1]), 0);
		assert_int_equal(fdt_get_mem_rsv(b, i, &v[2], &v[3]), 0);
		assert_memory_equal(v, v + 2, 2 * sizeof(u64));
	}
	same_nodes(a, 0, b, 0);
}

/* ---- random trees ---- */

static u64 state;

static u32 any(u32 of)
{
	state = state * 6364136223846793005ull + 1442695040888963407ull;
	return (u32)(state >> 33) % of;
}

static void put_some(void *fdt, const char *const *names, u32 count)
{
	static const char bytes[9000] = "a\0b";

	for (u32 i = 0; i < count; i++)
		if (!any(3))
			fdt_property(fdt, names[i], bytes,
				     (int)(any(16) ? any(9) : any(9000)));
}

#define PUT_SOME(fdt, ...)                                     \
	do {                                                   \
		const char *names_[] = { __VA_ARGS__ };        \
		put_some(fdt, names_, ARRAY_LEN(names_));      \
	} while (0)

/* Any node, with a number that no other in its parent has. */
static void put_node(void *fdt, u32 number, u32 depth)
{
	static const char *const names[] = { "n@%x", "memory%x", "a-cpu@%x" };
	const char *type = any(2) ? "memory" : "cpu";
	char name[32];

	snprintf(name, sizeof(name), names[any(3)], number);
	fdt_begin_node(fdt, name);
	if (!any(6))
		fdt_property_string(fdt, "device_type", type);
	if (any(2))
		fdt_property_u32(fdt, "phandle", 1 + any(1000));
	PUT_SOME(fdt, "reg", "status", "riscv,isa", "bootargs", "rng-seed",
		 "timebase-frequency", "compatible", "mine", "ranges");
	for (u32 i = 0; depth < 5 && i < any(3); i++)
		put_node(fdt, i, depth + 1);
	fdt_end_node(fdt);
}

static void put_cpu(void *fdt, u32 number)
{
	char name[16];

	snprintf(name, sizeof(name), "cpu@%x", number);
	fdt_begin_node(fdt, name);
	if (any(8))
		fdt_property_string(fdt, "device_type", "cpu");
	if (any(2))
		fdt_property_u64(fdt, "reg", number);
	else if (any(8))
		fdt_property_u32(fdt, "reg", any(8) ? number : any(4));
	PUT_SOME(fdt, "status", "riscv,isa", "riscv,isa-base", "mmu-type",
		 "riscv,isa-extensions", "riscv,cbom-block-size",
		 "riscv,cboz-block-size", "mine", "compatible", "bootargs");
	if (any(4))
		put_node(fdt, 0, 3);
	fdt_end_node(fdt);
}

static void put_cpus(void *fdt)
{
	fdt_begin_node(fdt, any(4) ? "cpus" : "cpus@0");
	if (any(4))
		fdt_property_u32(fdt, "#address-cells", any(4));
	PUT_SOME(fdt, "timebase-frequency", "riscv,isa", "mine");
	if (any(2)) {
		fdt_begin_node(fdt, "cpu-map");
		put_node(fdt, 0, 3);
		fdt_end_node(fdt);
	}
	for (u32 i = 0; i < 8; i++)
		if (any(2))
			put_cpu(fdt, i);
	fdt_end_node(fdt);
}

static void put_chosen(void *fdt)
{
	fdt_begin_node(fdt, "chosen");
	PUT_SOME(fdt, "bootargs", "rng-seed", "linux,initrd-start",
		 "linux,initrd-end", "mine", "status");
	fdt_end_node(fdt);
}

/* Paths to nodes that there may be, some of which go. */
static void put_paths(void *fdt, const char *node)
{
	static const char *const paths[] = {
		"/cpus", "/cpus/cpu@0", "/cpus/cpu@7", "/cpus/cpu@70",
		"/cpus/cpu@5/interrupt-controller", "/cpus/cpu-map/n@0/n@1",
		"/cpus/cpu@3/n@0", "/" MEMORY, "/memory0", "/memory2@1",
		"/n@0", "/n@1/memory0/n@1", "/a-cpu@2", "/", "", "cpus",
		"/n@2:115200", "/n@1/", "//", "/cpus/", "/cpus@0/cpu@6",
		"/n@0/n@0/memory0",
	};
	char name[16];

	fdt_begin_node(fdt, node);
	for (u32 i = 0; i < ARRAY_LEN(paths); i++) {
		snprintf(name, sizeof(name), "path%u", i);
		if (any(4))
			fdt_property_string(fdt, name, paths[i]);
	}
	fdt_end_node(fdt);
}

static void tree_any(void *fdt)
{
	u32 has = any(16);

	fdt_create(fdt, TREE_BYTES / 2);
	for (u32 i = any(3); i; i--)
		fdt_add_reservemap_entry(fdt, any(1000), 1 + any(1000));
	fdt_finish_reservemap(fdt);
	fdt_begin_node(fdt, "");
	if (any(8))
		fdt_property_u32(fdt, "#address-cells", any(16) ? 2 : any(6));
	if (any(8))
		fdt_property_u32(fdt, "#size-cells", any(16) ? 2 : any(6));
	PUT_SOME(fdt, "bootargs", "model", "timebase-frequency");
	if (any(2))
		put_paths(fdt, "aliases");
	if (has & 1)
		put_node(fdt, 0, 2);
	if (has & 2)
		put_chosen(fdt);
	if (has & 4)
		put_node(fdt, 1, 2);
	if (has & 8)
		put_cpus(fdt);
	if (!any(4)) {
		fdt_begin_node(fdt, MEMORY);
		PUT_SOME(fdt, "reg", "mine");
		fdt_end_node(fdt);
	}
	put_node(fdt, 2, 2);
	if (!(has & 2) && any(2))
		put_chosen(fdt);
	if (any(2))
		put_paths(fdt, "__symbols__");
	if (!(has & 8) && any(2))
		put_cpus(fdt);
	fdt_end_node(fdt);
	assert_int_equal(fdt_finish(fdt), 0);
}

/* ---- the tests ---- */

static const struct image_plan no_initrd;

static void args_any(void)
{
	args = fake_fdt_args;
	args.guest = &guest;
	guest.cfg.vcpus = 1 + any(6);
	guest.cfg.ram_base.v = 0x80000000;
	guest.cfg.memory_bytes = any(2) ? 6 * GIB : GIB;
	guest.cfg.bootargs = any(2) ? "console=ttyS0" : NULL;
	if (any(2))
		args.plan = &no_initrd;
	if (any(2))
		args.rng_seed = NULL;
}

static u32 steps;

static int merge(void *to, const void *from)
{
	struct guest_fdt_job job;
	u64 room;
	int ret;

	args.dtb = from;
	args.dtb_bytes = from ? fdt_totalsize(from) : 0;
	room = guest_fdt_room(&guest.cfg, args.isa, args.dtb_bytes);
	guest_fdt_begin(&job, to, room + guest_fdt_left_bytes(args.dtb_bytes),
			&args);
	steps = 0;
	do {
		ret = guest_fdt_step(&job);
		steps++;
	} while (ret == 1);
	/* What was accepted can be started. */
	assert_true(ret == 0 || ret == -EINVAL);
	if (ret == 0)
		assert_true(fdt_totalsize(to) <= room);
	return ret;
}

static void a_copy_with_ours_in_it_is_the_tree_edited(void **st)
{
	u32 taken = 0;

	for (u32 i = 0; i < 3000; i++) {
		int e;

		state = i;
		args_any();
		tree_any(own);
		e = model(want, own);
		if (merge(got, own) != e)
			fail_msg("tree %u: %d", i, e);
		if (e)
			continue;
		assert_int_equal(fdt_check_full(got, fdt_totalsize(got)), 0);
		same_trees(want, got);
		taken++;
	}
	assert_true(taken > 1000);
}

static void what_was_in_the_buffer_is_not_in_the_tree(void **st)
{
	for (u32 i = 0; i < 100; i++) {
		state = i;
		args_any();
		tree_any(own);
		for (u32 own_one = 0; own_one < 2; own_one++) {
			const void *from = own_one ? own : NULL;
			int e;

			memset(want, 0, sizeof(want));
			memset(got, 0xa5, sizeof(got));
			e = merge(want, from);
			assert_int_equal(merge(got, from), e);
			if (!e)
				assert_memory_equal(got, want,
						    fdt_totalsize(want));
		}
	}
}

/* In the guest's RAM, which may be tight. */
static void a_large_tree_needs_as_much_more_room_as_it_is_large(void **st)
{
	u64 least = guest_fdt_room(&guest.cfg, args.isa, 0);

	for (u64 bytes = PAGE_BYTES; bytes <= GIB; bytes *= 2)
		assert_int_equal(guest_fdt_room(&guest.cfg, args.isa, bytes),
				 least + bytes);
}

/* Nearly all of it is one property, and among the strings once more. */
static void a_tree_in_which_blocks_overlap_is_refused(void **st)
{
	static const char bytes[100 * KIB];
	u32 more = 90 * KIB;
	int prop;

	args_any();
	fdt_create(own, TREE_BYTES);
	fdt_finish_reservemap(own);
	fdt_begin_node(own, "");
	fdt_property_u32(own, "#size-cells", 2);
	fdt_property(own, "large", bytes, sizeof(bytes));
	fdt_end_node(own);
	assert_int_equal(fdt_finish(own), 0);
	assert_int_equal(tree_check(own, fdt_totalsize(own)), 0);
	fdt_for_each_property_offset(prop, own, 0)
	{
		fdt32_t *at = (fdt32_t *)((char *)own + fdt_off_dt_struct(own) +
					  prop) + 2;

		*at = cpu_to_fdt32(fdt32_to_cpu(*at) + more);
	}
	fdt_set_off_dt_strings(own, fdt_off_dt_strings(own) - more);
	fdt_set_size_dt_strings(own, fdt_size_dt_strings(own) + more);
	assert_int_equal(tree_check(own, fdt_totalsize(own)), -EINVAL);
	assert_int_equal(merge(got, own), -EINVAL);
}

static void a_property_that_ends_nowhere_is_refused(void **st)
{
	/* Behind the tree; behind the address space; at its own beginning. */
	static const u32 bytes[] = { TREE_BYTES, 0x7fffffff, 0xffffffff,
				     (u32)-sizeof(struct fdt_property) };
	int node = -1, prop;

	state = 7;
	args_any();
	tree_any(own);
	while ((node = fdt_next_node(own, node, NULL)) >= 0)
		fdt_for_each_property_offset(prop, own, node)
		{
			fdt32_t *len = (fdt32_t *)((char *)own +
				fdt_off_dt_struct(own) + prop) + 1, was = *len;

			for (u32 i = 0; i < ARRAY_LEN(bytes); i++) {
				*len = cpu_to_fdt32(bytes[i]);
				assert_int_equal(merge(got, own), -EINVAL);
			}
			*len = was;
		}
}

static void a_node_is_made_in_as_many_steps_as_it_has_parts(void **st)
{
	static const char bytes[1 << 16];
	u32 few;

	state = 1;
	args_any();
	for (u32 i = 0; i < 2; i++) {
		fdt_create(own, TREE_BYTES);
		fdt_finish_reservemap(own);
		fdt_begin_node(own, "");
		fdt_property_u32(own, "#size-cells", 2);
		fdt_property(own, "large", bytes, i ? 10 * 4096 + 1 : 1);
		fdt_end_node(own);
		assert_int_equal(fdt_finish(own), 0);
		assert_int_equal(merge(got, own), 0);
		if (!i)
			few = steps;
	}
	assert_int_equal(steps, few + 10);
}

/* An alias, and very many CPUs that the guest hasn't got. */
static int merge_with_alias(const char *path, u32 cpus)
{
	state = 1;
	args_any();
	fdt_create(own, TREE_BYTES);
	fdt_finish_reservemap(own);
	fdt_begin_node(own, "");
	fdt_property_u32(own, "#size-cells", 2);
	fdt_begin_node(own, "aliases");
	fdt_property_string(own, "one", path);
	fdt_end_node(own);
	fdt_begin_node(own, "cpus");
	for (u32 i = 100; i < 100 + cpus; i++) {
		char name[16];

		snprintf(name, sizeof(name), "cpu@%x", i);
		fdt_begin_node(own, name);
		fdt_property_string(own, "device_type", "cpu");
		fdt_property_u32(own, "reg", i);
		fdt_end_node(own);
	}
	fdt_end_node(own);
	fdt_begin_node(own, "soc");
	fdt_end_node(own);
	fdt_end_node(own);
	assert_int_equal(fdt_finish(own), 0);
	assert_int_equal(merge(got, own), 0);
	return fdt_path_offset(got, "/aliases");
}

static void a_path_is_compared_with_some_at_a_time(void **st)
{
	char last[32];
	int node;
	u32 least;

	snprintf(last, sizeof(last), "/cpus/cpu@%x", 100 + 2000 - 1);
	node = merge_with_alias(last, 2000);
	assert_null(fdt_getprop(got, node, "one", NULL));
	node = merge_with_alias("no path", 2000);
	assert_non_null(fdt_getprop(got, node, "one", NULL));
	least = steps;
	node = merge_with_alias("/soc", 2000);
	assert_non_null(fdt_getprop(got, node, "one", NULL));
	assert_int_equal(steps, least + 4);
}

/* As for libfdt and Linux, which read what is written by that. */
static void of_a_number_of_cells_said_twice_the_first_counts(void **st)
{
	int bytes;

	state = 1;
	args_any();
	fdt_create(own, TREE_BYTES);
	fdt_finish_reservemap(own);
	fdt_begin_node(own, "");
	for (u32 i = 2; i; i--) {
		fdt_property_u32(own, "#address-cells", i);
		fdt_property_u32(own, "#size-cells", i);
	}
	fdt_end_node(own);
	assert_int_equal(fdt_finish(own), 0);
	assert_int_equal(merge(got, own), 0);
	assert_non_null(fdt_getprop(got, fdt_path_offset(got, "/" MEMORY),
				    "reg", &bytes));
	assert_int_equal(bytes, 16);
}

static void what_the_specification_rules_out_is_not_sound(void **st)
{
	char name[TREE_NAME_MAX + 2] = "";

	for (u32 i = 0; i < 4; i++) {
		memset(name, 'n', TREE_NAME_MAX + 1);
		name[TREE_NAME_MAX + i % 2] = 0;
		fdt_create(own, TREE_BYTES);
		fdt_finish_reservemap(own);
		fdt_begin_node(own, "");
		if (i >= 2)
			fdt_property_u32(own, name, 0);
		fdt_begin_node(own, i < 2 ? name : "n");
		fdt_end_node(own);
		fdt_end_node(own);
		assert_int_equal(fdt_finish(own), 0);
		assert_int_equal(tree_check(own, fdt_totalsize(own)),
				 i % 2 ? -EINVAL : 0);
	}
	fdt_create(own, TREE_BYTES);
	fdt_finish_reservemap(own);
	fdt_begin_node(own, "");
	fdt_begin_node(own, "n");
	fdt_end_node(own);
	fdt_property_u32(own, "late", 0);
	fdt_end_node(own);
	assert_int_equal(fdt_finish(own), 0);
	assert_int_equal(tree_check(own, fdt_totalsize(own)), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_copy_with_ours_in_it_is_the_tree_edited),
		cmocka_unit_test(what_was_in_the_buffer_is_not_in_the_tree),
		cmocka_unit_test(a_property_that_ends_nowhere_is_refused),
		cmocka_unit_test(
			a_large_tree_needs_as_much_more_room_as_it_is_large),
		cmocka_unit_test(a_tree_in_which_blocks_overlap_is_refused),
		cmocka_unit_test(
			a_node_is_made_in_as_many_steps_as_it_has_parts),
		cmocka_unit_test(a_path_is_compared_with_some_at_a_time),
		cmocka_unit_test(
			of_a_number_of_cells_said_twice_the_first_counts),
		cmocka_unit_test(what_the_specification_rules_out_is_not_sound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
