/*
 * The small common runtime of the bare-metal guests.
 *
 * A guest is S-mode code without paging that runs unchanged on OpenSBI on
 * QEMU's virt board and under Rouse. It starts in `int main(void)` on the hart
 * that booted, with interrupts off; what main returns becomes the machine's
 * exit status (0: success).
 *
 * Everything about the machine comes from its device tree. All times are in
 * ticks of the timebase unless a suffix says otherwise.
 */
#ifndef ROUSE_GUESTS_BAREMETAL_RUNTIME_H
#define ROUSE_GUESTS_BAREMETAL_RUNTIME_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t s32;
typedef int64_t s64;

/* Most harts that a guest can use; further ones are left stopped. */
#define MAX_HARTS   64
#define STACK_BYTES 16384
#define PAGE_BYTES  4096UL

#define ARRAY_LEN(a)   (sizeof(a) / sizeof((a)[0]))
#define __printf(f, a) __attribute__((format(printf, f, a)))

/* ---- CSRs ---------------------------------------------------------- */

#define SSTATUS_SIE	 (1UL << 1)
#define SSTATUS_SPIE	 (1UL << 5)
#define SSTATUS_SPP	 (1UL << 8)
#define SSTATUS_VS_SHIFT 9
#define SSTATUS_VS	 (3UL << 9)
#define SSTATUS_FS_SHIFT 13
#define SSTATUS_FS	 (3UL << 13)
#define SSTATUS_SUM	 (1UL << 18)
#define SSTATUS_MXR	 (1UL << 19)

#define IRQ_S_SOFT  1
#define IRQ_S_TIMER 5
#define IRQ_S_EXT   9
#define IRQ_BIT(n)  (1UL << (n))

#define SCAUSE_IRQ	       (1UL << 63)
#define CAUSE_FETCH_MISALIGNED 0
#define CAUSE_FETCH_ACCESS     1
#define CAUSE_ILLEGAL	       2
#define CAUSE_BREAKPOINT       3
#define CAUSE_LOAD_MISALIGNED  4
#define CAUSE_LOAD_ACCESS      5
#define CAUSE_STORE_MISALIGNED 6
#define CAUSE_STORE_ACCESS     7
#define CAUSE_ECALL_U	       8
#define CAUSE_ECALL_S	       9
#define CAUSE_FETCH_PAGE       12
#define CAUSE_LOAD_PAGE	       13
#define CAUSE_STORE_PAGE       15

/* The CSR is given by name or number, so these are macros. */
#define csr_read(csr) \
	({ \
		u64 v_; \
		__asm__ volatile("csrr %0, " #csr : "=r"(v_)::"memory"); \
		v_; \
	})
#define csr_write(csr, val) \
	__asm__ volatile("csrw " #csr ", %0" ::"rK"((u64)(val)) : "memory")
#define csr_set(csr, val) \
	__asm__ volatile("csrs " #csr ", %0" ::"rK"((u64)(val)) : "memory")
#define csr_clear(csr, val) \
	__asm__ volatile("csrc " #csr ", %0" ::"rK"((u64)(val)) : "memory")
#define csr_swap(csr, val) \
	({ \
		u64 v_ = (u64)(val); \
		__asm__ volatile("csrrw %0, " #csr ", %0" \
				 : "+r"(v_)::"memory"); \
		v_; \
	})

static inline void wfi(void)
{
	__asm__ volatile("wfi" ::: "memory");
}

/* wrs.nto, with no reservation: it is over at once, or it traps, and a
 * hypervisor may end the turn (hstatus.VTW). */
static inline void wrs_nto(void)
{
	__asm__ volatile(".word 0x00d00073" ::: "memory");
}

/* A hint for spin loops (Zihintpause; a fence where it doesn't exist). */
static inline void cpu_relax(void)
{
	__asm__ volatile(".insn i 0x0f, 0, x0, x0, 0x010" ::: "memory");
}

static inline void irq_on(void)
{
	csr_set(sstatus, SSTATUS_SIE);
}

static inline void irq_off(void)
{
	csr_clear(sstatus, SSTATUS_SIE);
}

/* Switches interrupts off; returns what irq_restore puts back. */
static inline u64 irq_save(void)
{
	u64 old;

	__asm__ volatile("csrrc %0, sstatus, %1"
			 : "=r"(old)
			 : "r"(SSTATUS_SIE)
			 : "memory");
	return old & SSTATUS_SIE;
}

static inline void irq_restore(u64 old)
{
	csr_set(sstatus, old);
}

/* ---- harts --------------------------------------------------------- */

struct probe;

/* One for each hart; tp points to it while S-mode code runs. */
struct hart {
	u64 stack_top; /* offsets 0 and 8 are known to start.S */
	u64 id;	       /* the hart id */
	u32 index;     /* 0 is the hart that booted */
	u32 running;   /* started by harts_run and not yet done (atomic) */
	void (*fn)(struct hart *h, void *arg);
	void *arg;
	struct probe *probe; /* innermost, NULL: exceptions are fatal */
	u64 irqs[16];	     /* interrupts taken, by number */
} __attribute__((aligned(64)));

extern struct hart harts[MAX_HARTS];

static inline struct hart *this_hart(void)
{
	register struct hart *tp __asm__("tp");

	return tp;
}

/*
 * Runs fn on the first `n` harts at once, this one among them, and waits until
 * all have finished and are stopped again. Called on the hart that booted.
 * Returns 0 or the SBI error of the first hart that could not be started (the
 * others have run). Every fn starts with interrupts off.
 */
long harts_run(u32 n, void (*fn)(struct hart *h, void *arg), void *arg);

/* Where HSM starts a hart: a1 is its struct hart, whose fn runs. */
void hart_entry(void);

/* All of hart_start but the call, for who starts it somewhere else, where its
 * first instructions lead to hart_entry with a1 = h. */
void hart_prepare(struct hart *h, void (*fn)(struct hart *h, void *arg),
		  void *arg);

/* Starts one hart with fn, and waits until it is stopped again. */
long hart_start(struct hart *h, void (*fn)(struct hart *h, void *arg),
		void *arg);
void hart_join(struct hart *h);

/* The hart with that id, or NULL. */
struct hart *hart_by_id(u64 id);

/* All `n` participants wait here for one another. Spins. */
struct barrier {
	u32 count, turn;
};
void barrier_wait(struct barrier *b, u32 n);

struct spinlock {
	u32 next, owner;
};
/* Takes the lock with interrupts off; returns what unlock puts back. */
u64 spin_lock_irq(struct spinlock *l);
void spin_unlock_irq(struct spinlock *l, u64 old);

/* ---- the machine --------------------------------------------------- */

#define MACHINE_RANGES 16

struct range {
	u64 base, bytes;
};

struct machine {
	const void *dtb;
	u64 dtb_bytes;
	const char *model;
	const char *bootargs; /* "" if there are none */
	const char *isa;      /* riscv,isa of the first hart, or "" */
	u32 mmu_bits;	      /* 39, 48 or 57, of the first hart */
	bool rouse;	      /* the tree's model is "rouse,virt" */
	bool sstc;
	u64 hz;
	u32 hart_count; /* those in harts[] */
	u32 ram_count, reserved_count;
	struct range ram[MACHINE_RANGES];
	struct range reserved[MACHINE_RANGES];	/* tree, image, initrd, ... */
	struct range plic, uart, rtc, finisher; /* bytes 0: not there */
	u32 plic_lines;				/* riscv,ndev */
	s32 plic_context[MAX_HARTS]; /* S context by hart index; -1: none */
	u32 uart_irq, rtc_irq;
	u32 uart_shift; /* register stride is 1 << this */
};

extern struct machine machine;

/* An ISA extension, single letter or name, on every hart. */
bool isa_has(const char *ext);

/* The value of `key=` in the boot arguments; the default if it's absent. */
u64 arg_u64(const char *key, u64 otherwise);
/* Copies the value into buf; returns false if the key is absent. */
bool arg_str(const char *key, char *buf, size_t bytes);

/* Parses what devicetree and arguments say. Called before main. */
void machine_init(const void *dtb);

/* ---- time ---------------------------------------------------------- */

static inline u64 time_now(void)
{
	return csr_read(time);
}

u64 ticks_to_ns(u64 ticks);
u64 ns_to_ticks(u64 ns);
static inline u64 us_to_ticks(u64 us)
{
	return ns_to_ticks(us * 1000);
}

/* This hart's timer fires at `when` (Sstc, or SBI TIME without it). */
void timer_set(u64 when);
/* It doesn't fire any more. */
void timer_clear(void);
/* Busy waiting, and waiting asleep (with interrupts on or off as they are). */
void delay_ticks(u64 ticks);
void sleep_ticks(u64 ticks);

/* ---- traps --------------------------------------------------------- */

/* What the trap entry saves; x[0] is unused. */
struct trap_frame {
	u64 x[32];
	u64 sepc, sstatus, scause, stval;
};

typedef void (*irq_fn)(struct hart *h, struct trap_frame *f);

/*
 * The handler of an interrupt on all harts. Without one: soft clears SSIP,
 * timer moves the deadline to never, external claims and completes.
 */
void irq_handler(u32 irq, irq_fn fn);

/*
 * Exceptions that are expected. probe_call runs fn(a, b, c) in S-mode,
 * probe_user in U-mode at `pc` with that stack and a0; whatever exception ends
 * it is in *p. Interrupts are taken as usual meanwhile.
 *
 * probe_call returns true if fn returned (p->value is what it returned), false
 * if an exception ended it. probe_user always ends by an exception.
 */
struct probe {
	u64 saved[14]; /* start.S: ra, sp, s0..s11 */
	u64 value;
	u64 scause, stval, sepc, sstatus; /* as at the trap */
	u64 x10, x11;			  /* a0, a1 at the trap */
	struct probe *outer;
};

bool probe_call(struct probe *p, u64 (*fn)(u64, u64, u64), u64 a, u64 b, u64 c);
void probe_user(struct probe *p, u64 pc, u64 sp, u64 a0);

/* A load or store of 1, 2, 4 or 8 bytes; false: *cause says why not. */
bool probe_load(u64 addr, u32 width, u64 *val, u64 *cause);
bool probe_store(u64 addr, u32 width, u64 val, u64 *cause);
/* What these two give to probe_call, for who wants the rest of a probe too. */
u64 probe_do_load(u64 addr, u64 width, u64 unused);
u64 probe_do_store(u64 addr, u64 width, u64 val);

/* ---- MMIO and devices ---------------------------------------------- */

#define MMIO_RW(bits) \
	static inline u##bits read##bits(u64 addr) \
	{ \
		u##bits v = *(volatile u##bits *)addr; \
		__asm__ volatile("fence i,r" ::: "memory"); \
		return v; \
	} \
	static inline void write##bits(u64 addr, u##bits v) \
	{ \
		__asm__ volatile("fence w,o" ::: "memory"); \
		*(volatile u##bits *)addr = v; \
	}
MMIO_RW(8)
MMIO_RW(16)
MMIO_RW(32)
MMIO_RW(64)

/* The PLIC; contexts by number (machine.plic_context). hart_context: the one of
 * a hart, which has one. */
static inline u32 hart_context(const struct hart *h)
{
	return (u32)machine.plic_context[h->index];
}
void plic_priority(u32 line, u32 prio);
void plic_enable(u32 context, u32 line, bool on);
void plic_threshold(u32 context, u32 prio);
u32 plic_claim(u32 context);
void plic_complete(u32 context, u32 line);
bool plic_pending(u32 line);
/* Disables every line everywhere, priorities and thresholds 0. */
void plic_reset(void);

/* ns16550a registers and bits. */
#define UART_RBR       0
#define UART_THR       0
#define UART_DLL       0
#define UART_DLM       1
#define UART_IER       1
#define UART_IIR       2
#define UART_FCR       2
#define UART_LCR       3
#define UART_MCR       4
#define UART_LSR       5
#define UART_MSR       6
#define UART_SCR       7
#define UART_IER_RX    1
#define UART_IER_TX    2
#define UART_IER_LINE  4
#define UART_IER_MODEM 8
#define UART_LSR_DR    0x01
#define UART_LSR_OE    0x02
#define UART_LSR_THRE  0x20
#define UART_LSR_TEMT  0x40
#define UART_LCR_DLAB  0x80
#define UART_MCR_LOOP  0x10
#define UART_MCR_OUT2  0x08

u8 uart_read(u32 reg);
void uart_write(u32 reg, u8 val);
/* Waits for room and sends. */
void uart_put(char c);

/* Goldfish RTC registers. */
#define RTC_TIME_LOW	    0x00
#define RTC_TIME_HIGH	    0x04
#define RTC_ALARM_LOW	    0x08
#define RTC_ALARM_HIGH	    0x0c
#define RTC_IRQ_ENABLED	    0x10
#define RTC_CLEAR_ALARM	    0x14
#define RTC_ALARM_STATUS    0x18
#define RTC_CLEAR_INTERRUPT 0x1c

u64 rtc_now_ns(void);
/* What the clock said when this guest's time was 0. */
u64 rtc_zero_ns(void);
/* When the clock will say so many ms, in the guest's own time; dies if it has
 * said that already. */
u64 rtc_ticks_at(u64 at_ms);
/* An alarm at that RTC time, with its interrupt enabled. */
void rtc_alarm(u64 when_ns);
void rtc_quiet(void);

#define FINISHER_FAIL  0x3333
#define FINISHER_PASS  0x5555
#define FINISHER_RESET 0x7777

/* ---- console and the end ------------------------------------------- */

/* Bytes to the console: SBI DBCN, else the UART. Any hart. */
void console_write(const char *s, size_t len);
/* printf without floating point; one call's output stays in one piece. */
void print(const char *fmt, ...) __printf(1, 2);
void vprint(const char *fmt, va_list ap);

/*
 * Powers the machine off. status 0: SRST shutdown (else the finisher); other:
 * the finisher with that code, SRST shutdown "system failure" without one.
 */
_Noreturn void machine_exit(u32 status);
/* Says why and exits with 1. */
_Noreturn void die(const char *fmt, ...) __printf(1, 2);

/* ---- random numbers ------------------------------------------------ */

/* xorshift64*; `seed=` in the boot arguments seeds what rand_seed makes. */
struct rand {
	u64 state;
};
void rand_seed(struct rand *r, u64 stream);
u64 rand_next(struct rand *r);
/* Uniform enough in [0, n). */
u64 rand_below(struct rand *r, u64 n);

/* ---- tests --------------------------------------------------------- */

struct test {
	const char *name;
	void (*fn)(void);
};

/*
 * Runs them in order and prints `ok NAME`, `skip NAME: why` or
 * `FAIL NAME: why` for each and `N passed, N failed` at the end. `only=` in
 * the boot arguments runs those whose names contain it. Returns 0 or 1.
 */
int tests_run(const struct test *t, size_t n);

/* Inside a test, on any hart; the first failure's words count. */
void test_fail(const char *fmt, ...) __printf(1, 2);
void test_skip(const char *fmt, ...) __printf(1, 2);
bool test_failed(void);

/* What a check waits for comes by then: a guard against hanging, not a measure
 * of speed. The machine that simulates this one may be busy elsewhere. */
#define HANG_TICKS (60 * machine.hz)

#define check(cond, ...) \
	({ \
		bool ok_ = (cond); \
		if (!ok_) \
			test_fail(__VA_ARGS__); \
		ok_; \
	})
/* What a specification says. Firmware that differs is skipped, Rouse fails. */
#define check_spec(cond, ...) \
	({ \
		bool ok_ = (cond); \
		if (!ok_ && machine.rouse) \
			test_fail(__VA_ARGS__); \
		else if (!ok_) \
			test_skip("this machine differs: " __VA_ARGS__); \
		ok_; \
	})
#define check_eq(got, want, what) \
	({ \
		u64 g_ = (u64)(got), w_ = (u64)(want); \
		if (g_ != w_) \
			test_fail("%s is 0x%lx, expected 0x%lx", what, g_, \
				  w_); \
		g_ == w_; \
	})

#endif
