/*
 * DBCN (chapter 12): the debug console, by guest physical address.
 *
 * Calls never block and may do less than was asked (sections 12.1 and 12.2);
 * one does at most MOVE_MAX bytes, so that no guest keeps a CPU in the
 * hypervisor for as long as it likes. The whole range is checked first all the
 * same, so that a bad one is refused and not half done.
 *
 * Not even an address of 2^64 or more can be told from another kind of bad
 * one: base_addr_hi other than 0 is no RAM (section 3.2).
 */
#include "arch/riscv/vsbi.h"

#define MOVE_MAX 1024u
#define CHUNK 256u

/* How much of the range to move now; negative: an SBI error. */
static s64 range_check(const struct riscv_vcpu *v)
{
	u64 bytes = reg_get(v, REG_A0);

	if (!vsbi_in_ram(v->v.guest, reg_get(v, REG_A1), reg_get(v, REG_A2),
			 bytes))
		return VSBI_INVALID_PARAM;
	return (s64)MIN(bytes, (u64)MOVE_MAX);
}

static enum exit_next dbcn_write(struct riscv_vcpu *v)
{
	struct guest *g = v->v.guest;
	struct gpa at = { reg_get(v, REG_A1) };
	s64 left = range_check(v), done = 0;
	char buf[CHUNK];

	if (left < 0)
		return vsbi_return(v, left, 0);
	while (left > 0) {
		size_t n = MIN((size_t)left, sizeof(buf));

		if (guest_read(g, at, buf, n))
			return vsbi_return(v, VSBI_FAILED, 0);
		guest_console_put(g, buf, n);
		at.v += n;
		left -= (s64)n;
		done += (s64)n;
	}
	return vsbi_return(v, VSBI_OK, (u64)done);
}

static enum exit_next dbcn_read(struct riscv_vcpu *v)
{
	struct guest *g = v->v.guest;
	struct gpa at = { reg_get(v, REG_A1) };
	s64 left = range_check(v), done = 0;
	char buf[CHUNK];

	if (left < 0)
		return vsbi_return(v, left, 0);
	while (left > 0) {
		size_t n = MIN((size_t)left, sizeof(buf));

		n = guest_console_get(g, buf, n);
		if (n == 0)
			break;
		if (guest_write(g, at, buf, n))
			return vsbi_return(v, VSBI_FAILED, 0);
		at.v += n;
		left -= (s64)n;
		done += (s64)n;
	}
	return vsbi_return(v, VSBI_OK, (u64)done);
}

static enum exit_next dbcn_call(struct riscv_vcpu *v, u64 fid)
{
	char byte = (char)reg_get(v, REG_A0);

	switch (fid) {
	case VSBI_DBCN_WRITE:
		return dbcn_write(v);
	case VSBI_DBCN_READ:
		return dbcn_read(v);
	case VSBI_DBCN_WRITE_BYTE:
		guest_console_put(v->v.guest, &byte, 1);
		return vsbi_return(v, VSBI_OK, 0);
	default:
		return vsbi_return(v, VSBI_NOT_SUPPORTED, 0);
	}
}

const struct vsbi_ext vsbi_dbcn = {
	.name = "DBCN",
	.first = VSBI_EID_DBCN,
	.last = VSBI_EID_DBCN,
	.call = dbcn_call,
};
