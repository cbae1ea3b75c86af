/*
 * The format of traces: records, events, and a trace in a file.
 *
 * Nothing but types and numbers, so that any program can include it. Who
 * writes records is in kernel/percpu/trace.h, what to do with them in
 * docs/trace.md. All is little-endian.
 *
 * The table of events below is the only one: the tools (tools/trace) and a test
 * of the document read it here. A number, once given, keeps its meaning; what
 * is new goes to the end of its class.
 */
#ifndef ROUSE_KERNEL_TRACE_H
#define ROUSE_KERNEL_TRACE_H

#include "kernel/base.h"

#define TRACE_VERSION 1

/*
 * One record. `vcpu` is a number of its own for each vCPU of the machine (the
 * names say which it is), or TRACE_NOBODY. Each CPU's records are in order;
 * between CPUs the time decides, and where it is equal, what must come first:
 * a wake before the dispatch that repeats its id.
 */
struct trace_record {
	u64 time_ticks; /* of the timebase */
	u16 event;      /* enum trace_event */
	u16 cpu;        /* that wrote it; 0 while it is in the ring */
	u32 vcpu;
	u64 a, b;
};

#define TRACE_NOBODY UINT32_MAX

/* Classes: what the mask of `trace mask` turns on. At most 11: the test of one
 * is an instruction with a 12-bit signed constant. */
#define TRACE_CLASSES(X)                                          \
	X(0, EXIT, "exit", "exits and entries")                   \
	X(1, CALL, "call", "SBI calls")                           \
	X(2, DEVICE, "device", "accesses to emulated devices")    \
	X(3, MEMORY, "memory", "guest page faults")               \
	X(4, VIRQ, "virq", "virtual interrupts")                  \
	X(5, SCHED, "sched", "sleep, wake, queues and turns")     \
	X(6, BELL, "bell", "doorbells between CPUs")              \
	X(7, TIMER, "timer", "timers")                            \
	X(8, POLICY, "policy", "what a policy has to say")        \
	X(9, LIFE, "life", "guests and vCPUs come and go")

enum trace_class {
#define X(bit, NAME, word, text) TRACE_##NAME = 1u << (bit),
	TRACE_CLASSES(X)
#undef X
	TRACE_ALL = (1u << 10) - 1,
	/* No records: wakes take the time (`stats on`, `trace on late=`). */
	TRACE_STATS = 1u << 10,
};

/*
 * X(number, NAME, CLASS, "a", "b", "what happened; of which vCPU")
 *
 * The words' names end in how they are shown: _ticks, _cpu, _vcpu, _id (plain
 * numbers), _hex, _chars (8 characters), _vtime (256 are a tick of one vCPU in
 * a guest of weight 256: VTIME_PER_TICK); "" is always 0.
 *
 * why: enum sched_why (kernel/sched/policy.h): 0 new, 1 woken, 2 preempted,
 * 3 expired, 4 yield, 5 moved, 6 changed, 7 arrived. virq_hex: VIRQ_*
 * (kernel/virq.h): 1 soft, 2 external, 4 timer, 8 fence, 16 fenced, 32 event.
 */
#define TRACE_EVENTS(X)                                                       \
	X(0x001, EXIT, EXIT, "cause_hex", "pc_hex",                           \
	  "the vCPU left guest code; scause")                                 \
	X(0x002, ENTRY, EXIT, "pc_hex", "hip_hex",                            \
	  "it goes on there, with these interrupts pending")                  \
	X(0x010, CALL, CALL, "extension_hex", "function",                     \
	  "SBI call of the vCPU")                                             \
	X(0x011, CALL_IPI, CALL, "harts_hex", "base",                         \
	  "it sends IPIs: hart mask and its base")                            \
	X(0x012, CALL_TIMER, CALL, "deadline_ticks", "now_ticks",             \
	  "it sets its timer; both in guest time")                            \
	X(0x020, DEVICE_READ, DEVICE, "address_hex", "value_hex",             \
	  "the vCPU read; the access width in bytes is in address bits 63:56")\
	X(0x021, DEVICE_WRITE, DEVICE, "address_hex", "value_hex",            \
	  "it wrote; width likewise")                                         \
	X(0x022, DEVICE_FAULT, DEVICE, "address_hex", "store",                \
	  "no device took the access: access fault in the guest")             \
	X(0x030, PAGE_FAULT, MEMORY, "address_hex", "cause_hex",              \
	  "first touch of guest RAM by the vCPU")                             \
	X(0x040, VIRQ_ASSERT, VIRQ, "virq_hex", "by_vcpu",                    \
	  "raised at the vCPU; by whose CPU's current, or nobody")            \
	X(0x041, VIRQ_INJECT, VIRQ, "virq_hex", "hvip_hex",                   \
	  "taken by the vCPU's CPU; injected from now on")                    \
	X(0x042, VIRQ_CLAIM, VIRQ, "line", "context",                         \
	  "the vCPU claims that line at its interrupt controller")            \
	X(0x043, VIRQ_COMPLETE, VIRQ, "line", "context",                      \
	  "it completes it")                                                  \
	X(0x044, VIRQ_LINE, VIRQ, "line", "level",                            \
	  "a device's line changes; vcpu is the guest's vCPU 0")              \
	X(0x050, BLOCK, SCHED, "deadline_ticks", "",                          \
	  "the vCPU sleeps, until then at the latest")                        \
	X(0x051, WAKE, SCHED, "wake_id", "by_vcpu",                           \
	  "the sleeping vCPU is woken; by whose CPU's current, or nobody")    \
	X(0x052, ENQUEUE, SCHED, "why", "load",                               \
	  "into this CPU's queue; vCPUs that could run here, with it")        \
	X(0x053, DISPATCH, SCHED, "why", "wake_id",                           \
	  "the vCPU gets this CPU; why it was queued, and the wake that this" \
	  " ends (0: none)")                                                  \
	X(0x054, PREEMPT, SCHED, "ran_ticks", "load",                         \
	  "it gives way to a better one; ran since it was dispatched")        \
	X(0x055, SLICE_END, SCHED, "ran_ticks", "load",                       \
	  "its slice is over, or the policy looks at the queue again")        \
	X(0x056, YIELD, SCHED, "ran_ticks", "load",                           \
	  "it gives the rest of its slice away")                              \
	X(0x057, HANDOVER, SCHED, "to_cpu", "state",                          \
	  "the vCPU is sent to another CPU; enum vcpu_state")                 \
	X(0x058, MIGRATE, SCHED, "state", "",                                 \
	  "it has arrived here")                                              \
	X(0x059, STEAL_ASK, SCHED, "from_cpu", "idle",                        \
	  "this CPU asks for work; 1: has none, 0: is ahead in virtual time") \
	X(0x05a, STEAL_ANSWER, SCHED, "to_cpu", "gave",                       \
	  "the asked CPU's answer; the vCPU it gives, or nobody")             \
	X(0x05b, CPU_WAIT, SCHED, "deadline_ticks", "load",                   \
	  "the CPU has nothing to run until its next record")                 \
	X(0x05c, POLL_HIT, SCHED, "polled_ticks", "",                         \
	  "WFI polling: an interrupt came")                                   \
	X(0x05d, POLL_MISS, SCHED, "polled_ticks", "",                        \
	  "it came in vain: the vCPU sleeps after all, or gives way")         \
	X(0x05e, TASK, SCHED, "ticks", "name_chars",                          \
	  "a step of a task of the hypervisor ended here; how long it took")  \
	X(0x05f, POLL, SCHED, "until_ticks", "",                              \
	  "WFI: the vCPU polls")                                              \
	X(0x060, STAY, SCHED, "pends", "deadline_ticks",                      \
	  "WFI, and it does not sleep, or not after all: an interrupt pends"  \
	  " (1), or its deadline has passed, or it is to do something")       \
	X(0x061, LATE, SCHED, "waited_ticks", "wake_id",                      \
	  "it was dispatched later after its wake than `trace on late=` says")\
	X(0x062, BALANCE, SCHED, "", "",                                      \
	  "this CPU compares its virtual time with what waits elsewhere")     \
	X(0x063, REST_END, SCHED, "to_cpu", "",                               \
	  "that CPU made no such looks: it is told that a vCPU waits here")   \
	X(0x070, BELL_RUNG, BELL, "to_cpu", "",                               \
	  "another CPU's doorbell is rung")                                   \
	X(0x071, BELL_ELIDED, BELL, "to_cpu", "mode",                         \
	  "not needed: it looks by itself (mode 0), or was rung already")     \
	X(0x072, BELL_TAKEN, BELL, "", "",                                    \
	  "this CPU answers its doorbell")                                    \
	X(0x080, TIMER_ARM, TIMER, "deadline_ticks", "",                      \
	  "the CPU's timer is set")                                           \
	X(0x081, TIMER_FIRE, TIMER, "deadline_ticks", "",                     \
	  "the deadline of a sleeping vCPU has come")                         \
	X(0x082, CPU_TIMER, TIMER, "deadline_ticks", "",                      \
	  "the CPU's timer, set to that, has fired in a turn")                 \
	X(0x090, ACCOUNT, POLICY, "owed_vtime", "ran_ticks",                  \
	  "charged for that; how far it is behind its CPU's virtual time now" \
	  " (signed)")                                                        \
	X(0x091, BOOST, POLICY, "owed_vtime", "",                             \
	  "preferred after a sleep; likewise")                                \
	X(0x092, PARK, POLICY, "until_ticks", "",                             \
	  "over its guest's cap: may not run before")                         \
	X(0x093, UNPARK, POLICY, "units", "",                                 \
	  "so many that were parked on this CPU may run again")             \
	X(0x094, NOTE, POLICY, "code", "value",                               \
	  "a policy's own; what they mean is its secret")                     \
	X(0x0a0, VCPU_ON, LIFE, "guest_id", "index",                          \
	  "the vCPU is started")                                              \
	X(0x0a1, VCPU_OFF, LIFE, "guest_id", "index",                         \
	  "it is off")                                                        \
	X(0x0a2, VCPU_PAUSE, LIFE, "guest_id", "index",                       \
	  "it is in no queue until it is resumed")                            \
	X(0x0a3, VCPU_RESUME, LIFE, "guest_id", "index",                      \
	  "it may be queued again")                                           \
	X(0x0a4, GUEST_STATE, LIFE, "guest_id", "state",                      \
	  "enum guest_state; vcpu is the guest's vCPU 0")                     \
	X(0x0a5, POLICY_IS, LIFE, "name_chars", "",                           \
	  "this CPU schedules by that policy from now on")                    \
	X(0x0b0, MASK, LIFE, "mask_hex", "old_hex",                           \
	  "written whatever the mask: classes that are on from now on")

enum trace_event {
#define X(number, NAME, CLASS, a, b, text) TRACE_EV_##NAME = (number),
	TRACE_EVENTS(X)
#undef X
};

/* Who a number is. `gone_ticks` is 0 while the guest exists. */
struct trace_name {
	u32 vcpu;
	u32 guest_id;
	u32 index;        /* the vCPU in its guest */
	u32 flags;        /* 1: the entry is in use */
	u64 born_ticks, gone_ticks;
	char guest[32];   /* ended by a 0, shortened to fit */
};

/*
 * A trace in a file, as tools/trace writes it:
 *
 *	struct trace_file
 *	struct trace_name[names]
 *	for each CPU: struct trace_file_cpu, struct trace_record[records]
 *
 * Records of a CPU are in the order in which they were written, oldest first.
 */
#define TRACE_FILE_MAGIC "ROUSETRC"

struct trace_file {
	char magic[8];
	u32 version;     /* TRACE_VERSION */
	u32 head_bytes;  /* of this structure: where the names begin */
	u64 timebase_hz;
	u32 cpus, names;
	u32 record_bytes, name_bytes, cpu_bytes;
	u32 mask;        /* classes that were on when it was taken */
	u64 taken_ticks; /* the moment of the dump, or 0 */
	u64 wall_ns;     /* wall time at tick 0 (since 1970), or 0 */
};

struct trace_file_cpu {
	u32 cpu;
	u32 flags;    /* 1: a flight recorder, 2: stopped by its event */
	u64 first;    /* number of the first record: as many came before it */
	u64 records;
	u64 lost;     /* records for which there was no room at the end */
};

#endif
