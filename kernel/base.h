/*
 * Types and small macros that every file uses.
 *
 * Guest and host physical addresses are different one-member structs, so that
 * the compiler refuses to take one for the other.
 */
#ifndef ROUSE_KERNEL_BASE_H
#define ROUSE_KERNEL_BASE_H

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t s32;
typedef int64_t s64;

/* Guest physical address: what a guest calls physical. */
struct gpa {
	u64 v;
};

/* Host physical address: what the machine calls physical. */
struct hpa {
	u64 v;
};

#define KIB 1024UL
#define MIB (1024UL * KIB)
#define GIB (1024UL * MIB)

#define PAGE_SHIFT 12
#define PAGE_BYTES (1UL << PAGE_SHIFT)

/* A moment that never comes, in ticks or in nanoseconds. */
#define TIME_NEVER UINT64_MAX

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define ALIGN_UP(x, a) (((x) + (a) - 1) & ~((__typeof__(x))(a) - 1))
#define ALIGN_DOWN(x, a) ((x) & ~((__typeof__(x))(a) - 1))
#define IS_ALIGNED(x, a) (((x) & ((__typeof__(x))(a) - 1)) == 0)
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

#define container_of(ptr, type, member) \
	((type *)(void *)((char *)(ptr) - offsetof(type, member)))

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define __must_check __attribute__((warn_unused_result))
#define __printf(f, a) __attribute__((format(printf, f, a)))
#define __cacheline __attribute__((aligned(64)))

#endif
