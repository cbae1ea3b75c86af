# Rouse: every entry point that a person types is a target here, and
# `make help` lists them.  What is made lands in build/, nothing elsewhere.
#
# Variables that one may set on the command line:
#
#   LAB=path/to/lab.dts   the lab to run or pack (default: the demonstration)
#   OUT=file.cpio         where `make lab` writes
#   SMP=2 MEM=1G          harts and memory of the machine
#   MACHINE=virt          -M of QEMU, such as virt,aia=aplic-imsic,aia-guests=3
#   CPU=rv64,sstc=off     -cpu of QEMU (tools/defaults has the usual machine)
#   APPEND="..."          Rouse's command line, such as "sched=credit"
#   METER="..."           options of bench/meter.py, such as "--rows ipi_self"
#   SCENARIO=file.sim     what `make sim` simulates; ARGS="..." are its options
#   SECONDS=5             how long `make trace` records, or how long `make fuzz`
#                         tries each target (there, 60 if not said)
#   TARGET=lab            the only one that `make fuzz` tries
#   ONLY="wfi caps"       of make bench: only these questions
#   QUICK=1               of make bench: short runs of the smallest cases
#   ANEW=1                of make bench: also what an interrupted run had done
#   A=folder B=folder     of make bench-diff: results before and after
#   MINUTES=30 SEED=7     of make soak
#   JOBS=1                commands at a time (default: one a core)
#   V=1                   show the commands
#   SETUP=0               install nothing; list what is missing

# --- what is built ----------------------------------------------------------

# The schedulers.  One word here and one file kernel/sched/WORD.c is all that
# a new policy needs; nothing else names it.
POLICIES := pinned rr fp credit

# The one that runs if neither the lab nor the command line says which.
DEFAULT_POLICY := credit

# The rest of kernel/sched, that registers no policy, is the core.
POLICY_SRCS := $(POLICIES:%=kernel/sched/%.c)
SCHED_CORE  := $(filter-out $(POLICY_SRCS),$(shell \
	grep -sL '^SCHED_POLICY\>' kernel/sched/*.c))

SRCS := $(filter-out kernel/sched/%,$(wildcard kernel/*.c kernel/*/*.c)) \
	$(SCHED_CORE) $(POLICY_SRCS) \
	$(filter-out arch/riscv/asm-offsets.c,$(wildcard arch/riscv/*.c)) \
	$(wildcard emul/*.c)
ASMS := $(wildcard arch/riscv/*.S)

# Libraries: their sources are fetched by tools/setup, never copied in here.
# Only tests of the host write trees by libfdt.
LIBFDT := fdt fdt_addresses fdt_ro
HOST_LIBFDT := $(LIBFDT) fdt_check fdt_empty_tree fdt_rw fdt_strerror fdt_sw \
	fdt_wip
ZLIB   := adler32 crc32 inffast inflate inftrees zutil

LAB ?= guests/labs/demo.dts
OUT ?= build/lab.cpio

# --- how --------------------------------------------------------------------

CROSS   ?= riscv64-unknown-elf-
CC      := $(CROSS)gcc
NM      := $(CROSS)nm
OBJCOPY := $(CROSS)objcopy
OBJDUMP := $(CROSS)objdump
HOSTCC  ?= gcc

B := build
Q := $(if $(V),,@)
say = $(if $(V),@:,@printf '  %-8s %s\n' $(1) $(2))

# Who types a variable that there isn't would wait for what it doesn't do. All
# are in capitals, and `lab` or `smp` would be found as words of other meaning.
TYPED := $(foreach v,$(filter-out ROUSE_%,$(.VARIABLES)),$(if $(findstring command \
	line,$(origin $(v))),$(v)))
NOWHERE := $(if $(TYPED),$(shell for v in $(TYPED); do \
	[ "$$v" = "$${v%%[[:lower:]]*}" ] && grep -qswF -e "$$v" Makefile \
	*/*/build.mk tools/* || echo "$$v"; done))
$(if $(NOWHERE),$(error there is no variable $(NOWHERE): make help lists them))

# All cores build, also for who types plain `make`.
JOBS ?= $(shell nproc)
$(if $(filter-out 0,$(shell expr "$(JOBS)" : '[1-9][0-9]*$$')),,$(error \
	JOBS=$(JOBS): expected a number of commands at a time))
MAKEFLAGS += --no-builtin-rules -j$(JOBS)
.SUFFIXES:
.DELETE_ON_ERROR:
.SECONDARY:
.DEFAULT_GOAL := all

WARNINGS := -Wall -Wextra -Werror -Wno-unused-parameter -Wshadow -Wundef \
	-Wvla -Wstrict-prototypes -Wmissing-prototypes \
	-Wold-style-definition -Wpointer-arith -Wwrite-strings -Wcast-qual \
	-Wimplicit-fallthrough -Wformat=2 -Wdate-time -Wredundant-decls \
	-Wmissing-declarations -Wnested-externs -Wlogical-op -Wduplicated-cond \
	-Walloca -Wunused-macros -Wformat-signedness -Winit-self -Wtrampolines \
	-Wshift-overflow=2 -Wfloat-equal -Wdouble-promotion

# The compiler is told rv64imac, exactly: with a longer name gcc 12 picks the
# C library of another ABI, and 'h' it does not know at all.  The assembler
# knows, and takes the H extension's instructions and CSRs by name.
CROSS_ARCH := -march=rv64imac -mabi=lp64 -mcmodel=medany \
	-mno-riscv-attribute -msmall-data-limit=0

# picolibc gives string.h and an snprintf for integers.
CROSS_LIBC := --specs=picolibc.specs -DPICOLIBC_INTEGER_PRINTF_SCANF

# Headers of the libraries, exempt from our warnings.  zlib is built without
# its own memory allocator (Z_SOLO).
LIBS_INC := -isystem $(B)/libfdt -isystem $(B)/zlib -DZ_SOLO

# gp belongs to nobody (--no-relax at the link keeps it out); frame pointers
# stay, because a panic walks them.
CFLAGS := -std=gnu11 -O2 -g -ffreestanding $(CROSS_ARCH) $(CROSS_LIBC) \
	-Wa,-march=rv64imac_zicsr_zifencei_h -mno-relax \
	-fno-common -fno-pic -fno-stack-protector -fno-omit-frame-pointer \
	-ffunction-sections -fdata-sections \
	-fno-asynchronous-unwind-tables -fno-unwind-tables \
	-DROUSE_DEFAULT_POLICY='"$(DEFAULT_POLICY)"' \
	-I. -Iarch/riscv/include -Iarch/riscv/ck -I$(B)/gen \
	-isystem $(B)/ck/include $(LIBS_INC)
LDFLAGS := $(CROSS_ARCH) $(CROSS_LIBC) -nostartfiles -nodefaultlibs -static \
	-T arch/riscv/rouse.ld \
	-Wl,--gc-sections,--no-relax,--build-id=none
LDLIBS := -lc -lgcc

# What stands between a guest's access to a device and the doorbell that wakes
# another hart, or between the turns of two vCPUs, has a budget in instructions,
# and goes without frame pointers. s0 is not theirs to use, so a panic's walk
# finds the frames above and below and misses these alone. quick.c leaves all
# that the guest has in s0 to s11 there.
FRAMELESS := arch/riscv/quick arch/riscv/doorbell emul/bus emul/plic \
	emul/plic_core emul/plic_setup emul/uart emul/uart_chip \
	kernel/sched/wake \
	arch/riscv/clock arch/riscv/exit arch/riscv/fpu arch/riscv/hlv \
	arch/riscv/host_irq arch/riscv/vmid kernel/heap \
	$(addprefix kernel/sched/,credit fp pinned place rr vqueue vtime yield)
FRAMELESS_CFLAGS := -fomit-frame-pointer -ffixed-s0
QUICK_CFLAGS := -fno-crossjumping \
	$(foreach n,1 2 3 4 5 6 7 8 9 10 11,-ffixed-s$(n))
$(FRAMELESS:%=$(B)/obj/%.o): CFLAGS += $(FRAMELESS_CFLAGS)
$(B)/obj/arch/riscv/quick.o: CFLAGS += $(QUICK_CFLAGS)

# --- all --------------------------------------------------------------------

.PHONY: all help setup run trace test test-all soak check-host debug debug-server lab \
	guests guests-baremetal clean distclean disasm format FORCE

all: $(B)/rouse.bin $(B)/rouse.elf  ## build the hypervisor (the default)

help:  ## list the targets
	@echo "Rouse, a hypervisor for RISC-V.  Targets:"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile \
		tests/fuzz/build.mk bench/sim/build.mk | \
		awk -F'|' '{ printf "%-20s %s\n", $$1, $$2 }'
	@echo "Variables (LAB, OUT, SMP, MEM, MACHINE, CPU, APPEND, SECONDS, JOBS, V, SETUP):"
	@sed -n '2,/^$$/s/^#   /  /p' Makefile

# Runs every time and says nothing, within milliseconds, if all is there.
setup:  ## install and fetch what is missing (SETUP=0 only lists it)
	@SETUP=$(SETUP) tools/setup

# A goal that needs more sets all of it up at once, and `setup` finds it there:
# side by side, both would say what is missing, line by line between each other.
ifneq ($(filter test test-all bench sweep,$(MAKECMDGOALS)),)
setup: setup-bench
endif

# What setup fetches has no other rule.
$(HOST_LIBFDT:%=$(B)/libfdt/%.c) $(ZLIB:%=$(B)/zlib/%.c): | setup ;
$(B)/guests/packages/list: | setup ;

# A file that holds the flags, new only when they change, so that a change of
# flags rebuilds.  $(1) is its name, $(2) the flags.
define flags_file
$(B)/flags/$(1): FORCE
	@mkdir -p $$(@D)
	@echo '$(subst ','\'',$(2))' | cmp -s - $$@ || \
		echo '$(subst ','\'',$(2))' >$$@
endef
$(eval $(call flags_file,kernel,$(CC) $(CFLAGS) $(WARNINGS) $(LDFLAGS) \
	$(FRAMELESS) $(FRAMELESS_CFLAGS) $(QUICK_CFLAGS)))

# What tests/check/analysis looks at, and how it is compiled.
$(eval $(call flags_file,analysis-kernel,$(CC) $(CFLAGS) SOURCES $(SRCS)))
test test-all check-host: $(addprefix $(B)/flags/analysis-,kernel sim meter)

# The version that the boot log shows, likewise new only when it changes.
$(B)/gen/version.h: FORCE
	@mkdir -p $(@D)
	@v=$$(git describe --tags --always --dirty 2>/dev/null || echo unknown); \
	printf '#define ROUSE_VERSION "%s"\n' "$$v" >$@.new; \
	if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

# --- the hypervisor ---------------------------------------------------------

LIB_OBJS := $(LIBFDT:%=$(B)/obj/libfdt/%.o) $(ZLIB:%=$(B)/obj/zlib/%.o)
OBJS := $(SRCS:%.c=$(B)/obj/%.o) $(ASMS:%.S=$(B)/obj/%.S.o) $(LIB_OBJS)

KERNEL_DEPS := $(B)/flags/kernel | $(B)/gen/version.h setup

$(B)/obj/%.o: %.c $(KERNEL_DEPS)
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(WARNINGS) -MD -MP -c $< -o $@

$(B)/obj/%.S.o: %.S $(B)/gen/asm-offsets.h $(KERNEL_DEPS)
	$(call say,AS,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -D__ASSEMBLY__ -MMD -MP -c $< -o $@

# The libraries pass their own warnings, not ours.
$(LIB_OBJS): $(B)/obj/%.o: $(B)/%.c $(B)/flags/kernel | setup
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -w -MMD -MP -c $< -o $@

# Offsets of structure members for assembly.  asm-offsets.c says
# DEFINE(NAME, offsetof(...)); it is compiled, never linked, and each line
# "->NAME value" of the compiler's output becomes a #define.
$(B)/gen/asm-offsets.h: $(B)/obj/arch/riscv/asm-offsets.s
	@mkdir -p $(@D)
	$(Q)sed -n 's,^[[:space:]]*->\([A-Za-z0-9_]*\) \([^ ]*\) *\(.*\),#define \1 \2 /* \3 */,p' \
		$< >$@

$(B)/obj/arch/riscv/asm-offsets.s: arch/riscv/asm-offsets.c $(KERNEL_DEPS)
	$(call say,OFFSETS,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(WARNINGS) -MMD -MP -MT $@ -MF $(@:.s=.d) -S $< -o $@

# Linked twice: the first time with an empty table of symbols, the second time
# with the table made from the first.  The table lies behind the code, so no
# function moves; tools/ksyms --check makes sure.
$(B)/rouse.pass1.elf: $(OBJS) $(B)/obj/ksyms-empty.o arch/riscv/rouse.ld
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) $(OBJS) $(B)/obj/ksyms-empty.o $(LDLIBS) -o $@

$(B)/rouse.elf: $(B)/rouse.pass1.elf $(B)/obj/ksyms.o
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -Wl,-Map,$(B)/rouse.map $(OBJS) $(B)/obj/ksyms.o \
		$(LDLIBS) -o $@
	$(Q)tools/ksyms --check $(NM) $(B)/rouse.pass1.elf $@

$(B)/rouse.bin: $(B)/rouse.elf
	$(call say,BIN,$@)
	$(Q)$(OBJCOPY) -O binary $< $@

$(B)/obj/ksyms-empty.S: tools/ksyms | setup
	@mkdir -p $(@D)
	$(Q)tools/ksyms --empty >$@

$(B)/obj/ksyms.S: $(B)/rouse.pass1.elf tools/ksyms
	$(Q)tools/ksyms $(NM) $< >$@

$(B)/obj/ksyms%.o: $(B)/obj/ksyms%.S $(B)/flags/kernel
	$(Q)$(CC) $(CFLAGS) -c $< -o $@
$(B)/obj/ksyms.o: $(B)/obj/ksyms.S $(B)/flags/kernel
	$(Q)$(CC) $(CFLAGS) -c $< -o $@

disasm: $(B)/rouse.elf  ## write the disassembly to build/rouse.dis
	$(Q)$(OBJDUMP) -d -S $< >$(B)/rouse.dis
	@echo $(B)/rouse.dis

# --- guests -----------------------------------------------------------------

LINUX := $(addprefix $(B)/guests/linux/,Image Image.gz initrd.gz initrd-small.gz)
UBOOT := $(B)/guests/uboot/u-boot.bin

guests: $(LINUX) $(UBOOT) guests-baremetal  ## make the guests' images

# One run makes all four files; the others wait for the first.
$(B)/guests/linux/Image: guests/linux/build guests/linux/init \
		guests/linux/inittab tools/newc.py $(B)/guests/packages/list | setup
	$(call say,GUEST,guests/linux)
	$(Q)guests/linux/build
$(filter-out %/Image,$(LINUX)): $(B)/guests/linux/Image ;

$(UBOOT): guests/uboot/build $(B)/guests/packages/list | setup
	$(call say,GUEST,guests/uboot)
	$(Q)guests/uboot/build

# Bare-metal guests have rules of their own, beside their sources.
BUILD := $(B)
GUEST_CROSS := $(CROSS)
include $(wildcard guests/baremetal/build.mk)
$(GUEST_BM_ELFS:.elf=.o) $(guest_bm_runtime) $(foreach \
	g,$(GUEST_BM_NAMES),$(call guest_bm_parts,$(g))): | setup

# --- running ----------------------------------------------------------------

export LAB OUT SMP MEM MACHINE CPU APPEND QEMU_OPTS GDB_PORT

lab: guests  ## pack LAB into OUT
	tools/lab $(LAB) $(OUT)

run: all guests  ## start LAB in QEMU (Ctrl-a x leaves)
	@tools/run

debug: all guests  ## the same, stopped at reset, with gdb attached
	@tools/debug

debug-server: all guests  ## only QEMU with its gdb stub, for an editor
	@tools/run --gdb

# Records from the start; what was taken, and what to open, it says at the end.
SECONDS ?= 5
trace: all guests  ## record LAB for SECONDS, convert the trace, sum it up
	@tools/trace run -- "$(SECONDS)"

# --- tests on the build host ------------------------------------------------

# A test program names the sources that it links in a comment of its own:
#
#	/* sources: kernel/foo.c emul/plic.c build/libfdt/fdt.c */
#
# and is built with them under two sanitizers (tests/unit, tests/fuzz), under
# ThreadSanitizer (tests/stress), or for the explorer of schedules (tests/model).
# HOST_LINKS becomes words like "tests/unit/foo_test|kernel/foo.c|emul/plic.c".
# Words in capitals stand for several files: POLICIES for those of all policies,
# SCHED_CORE for the scheduler's core and what it stands on, and so on (SBI is
# without FENCES, of which a test has a copy of its own). A fuzz target
# (tests/fuzz) is built like a unit test, with a main that replays cases.
HOST_TESTS := $(wildcard tests/unit/*_test.c tests/fuzz/*_fuzz.c \
	tests/stress/*_stress.c tests/model/*_model.c)
HOST_GROUPS := POLICIES $(POLICY_SRCS); \
	SCHED_CORE $(SCHED_CORE) kernel/timer.c kernel/percpu/cpu.c \
	kernel/percpu/idle.c kernel/percpu/trace.c; \
	DEVICES $(wildcard emul/*.c); PLIC $(wildcard emul/plic*.c); \
	SBI $(wildcard arch/riscv/vsbi*.c) \
	$(addprefix arch/riscv/,vpmu.c vsse.c vtimer.c); \
	FENCES $(wildcard arch/riscv/vfence*.c); \
	COMMANDS $(filter-out kernel/shell/console.c,$(wildcard kernel/shell/*.c)); \
	GUESTS $(filter-out kernel/guest_fdt%,$(wildcard kernel/guest*.c)) \
	$(addprefix kernel/,gmem.c gmem_access.c mem.c obj.c rng.c config.c); \
	GUEST_FDT $(wildcard kernel/guest_fdt*.c kernel/tree*.c) $(B)/zlib/crc32.c; \
	LAB $(wildcard kernel/lab*.c) $(addprefix kernel/,config.c cpio.c \
	image_plan.c image_kind.c image_gunzip.c); \
	LIBFDT $(HOST_LIBFDT:%=$(B)/libfdt/%.c); ZLIB $(ZLIB:%=$(B)/zlib/%.c)
HOST_LINKS := $(if $(HOST_TESTS),$(shell \
	awk -v groups='$(HOST_GROUPS)' -f tests/sources.awk $(HOST_TESTS)))

HOST_CFLAGS := -std=gnu11 -O1 -g -fno-omit-frame-pointer -D_GNU_SOURCE -pthread
# arch_inline.h is the fake in tests/unit/include, if there is one, or else
# the real one, whose assembly no host program may use.
HOST_INC := -I. -Iarch/riscv/include -isystem $(B)/ck-host/include $(LIBS_INC) \
	-DROUSE_DEFAULT_POLICY='"$(DEFAULT_POLICY)"'
ASAN := $(HOST_CFLAGS) -fsanitize=address,undefined \
	-fno-sanitize-recover=all -Itests/unit/include $(HOST_INC)
TSAN := $(HOST_CFLAGS) -fsanitize=thread -Itests/stress/include \
	-Itests/unit/include $(HOST_INC)
# Millions of runs; and threads on stacks of their own, which AddressSanitizer
# would have to be told of.
MODEL := $(HOST_CFLAGS) -O2 \
	-Itests/model/include -Itests/unit/include $(HOST_INC)
# Test programs bring fakes, which need no prototypes.
HOST_WARNINGS = $(if $(filter tests/%,$<),-Wall -Wextra -Werror \
	-Wno-unused-parameter,$(WARNINGS))
$(eval $(call flags_file,asan,$(HOSTCC) $(ASAN) $(WARNINGS)))
$(eval $(call flags_file,tsan,$(HOSTCC) $(TSAN) $(WARNINGS)))
$(eval $(call flags_file,model,$(HOSTCC) $(MODEL) $(WARNINGS)))

$(B)/host/asan/$(B)/%.o: $(B)/%.c $(B)/flags/asan | setup
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) $(ASAN) -w -MMD -MP -c $< -o $@
$(B)/host/tsan/$(B)/%.o: $(B)/%.c $(B)/flags/tsan | setup
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) $(TSAN) -w -MMD -MP -c $< -o $@
$(B)/host/asan/%.o: %.c $(B)/flags/asan | setup
	$(call say,HOSTCC,$<)
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) $(ASAN) $(HOST_WARNINGS) -MMD -MP -c $< -o $@
$(B)/host/tsan/%.o: %.c $(B)/flags/tsan | setup
	$(call say,HOSTCC,$<)
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) $(TSAN) $(HOST_WARNINGS) -MMD -MP -c $< -o $@
$(B)/host/model/%.o: %.c $(B)/flags/model | setup
	$(call say,HOSTCC,$<)
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) $(MODEL) $(HOST_WARNINGS) -MMD -MP -c $< -o $@

# $(1) program, $(2) asan, tsan or model, $(3) the sources it names.
define host_test
$(B)/host/$(1): $(patsubst %.c,$(B)/host/$(2)/%.o,$(1).c $(3))
	@mkdir -p $$(@D)
	$$(Q)$$(HOSTCC) $$($(HOST_FLAGS_$(2))) $$^ -lcmocka -o $$@
HOST_BINS += $(B)/host/$(1)
HOST_OBJS += $(patsubst %.c,$(B)/host/$(2)/%.o,$(1).c $(3))
endef
HOST_BINS :=
HOST_OBJS :=
HOST_KIND_unit := asan
HOST_KIND_fuzz := asan
HOST_KIND_stress := tsan
HOST_KIND_model := model
HOST_FLAGS_asan := ASAN
HOST_FLAGS_tsan := TSAN
HOST_FLAGS_model := MODEL
$(foreach t,$(HOST_LINKS),$(eval $(call host_test,$(firstword \
	$(subst |, ,$(t))),$(HOST_KIND_$(word 2,$(subst /, ,$(t)))),$(wordlist \
	2,999,$(subst |, ,$(t))) $(if $(filter tests/fuzz/%,$(t)),tests/fuzz/replay.c))))

check-host: $(HOST_BINS)  ## build and run the host tests only (no QEMU)
	@tests/run --host

# The report and the sweeps are tested, too.
test test-all: setup-bench

test: all guests $(HOST_BINS) $(B)/meter.so $(B)/stays.so  ## run the tests that a change must pass
	@tests/run --quick

test-all: all guests $(HOST_BINS) $(B)/meter.so $(B)/stays.so  ## run every test in every configuration
	@tests/run

# MINUTES=2, SEED=1 (or another each time), or REPLAY=a list of its steps.
soak: all guests  ## twelve guests and a random operator, for MINUTES (SEED=)
	@ROUSE_SOAK_MINUTES=$(or $(MINUTES),2) ROUSE_SOAK_SEED=$(SEED) \
		ROUSE_SOAK_REPLAY=$(REPLAY) tests/run -k "soak: "

# --- measuring --------------------------------------------------------------

.PHONY: meter meter-plugin meter-scaling meter-trace meter-linux meter-accept

# QEMU loads them; the host's compiler makes them. The second is a test's.
$(B)/meter.so: bench/meter/plugin.c
$(B)/stays.so: bench/meter/stays.c
$(B)/meter.so $(B)/stays.so: bench/meter/plugin_api.h | setup
	$(call say,PLUGIN,$@)
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) -std=gnu11 -O2 -g -fPIC -shared -fvisibility=hidden \
		-D_GNU_SOURCE -pthread $(WARNINGS) $(filter %.c,$^) -o $@

meter-plugin: $(B)/meter.so
$(eval $(call flags_file,analysis-meter,$(HOSTCC) -std=gnu11 -O2 \
	-D_GNU_SOURCE SOURCES bench/meter/plugin.c bench/meter/stays.c))

# METER="..." gives it options, such as METER="--machine aia --rows ipi_asleep".
meter: all guests-baremetal $(B)/meter.so  ## count what operations take
	@bench/meter.py $(METER)

meter-scaling: all guests-baremetal $(B)/meter.so  ## wake and pick with 2 to 2,000 vCPUs
	@bench/meter.py --scaling $(METER)

meter-trace: all guests-baremetal $(B)/meter.so  ## a trace record, on and off
	@bench/meter.py --trace

meter-linux: all guests $(B)/meter.so  ## Linux to its init, inside and outside
	@bench/meter.py --linux $(METER)

meter-accept: all guests-baremetal $(B)/meter.so  ## accept what they take now
	@bench/meter.py --accept

# --- fuzzing ----------------------------------------------------------------

include tests/fuzz/build.mk

# --- the simulator ----------------------------------------------------------

include bench/sim/build.mk

# --- benchmarks -------------------------------------------------------------

.PHONY: bench report bench-diff setup-bench

# Debian's own Python has matplotlib.
setup-bench:
	@SETUP=$(SETUP) tools/setup bench

# What was answered is reported also if something failed; not if what was wanted
# was refused (2), for then nothing was.
bench: all guests setup-bench $(B)/meter.so $(SIM_BINS)  ## ask the questions of bench/, and report
	@JOBS=$(JOBS) bench/run $(if $(QUICK),--quick) $(if $(ANEW),--anew) \
		$(ONLY); status=$$?; [ $$status -ne 2 ] || exit 2; \
	/usr/bin/python3 bench/report.py && exit $$status

report: setup-bench  ## make build/bench/report.html of the results there are
	@/usr/bin/python3 bench/report.py

# Without B= it is the build's folder.
bench-diff:  ## compare two folders of results, A and B
	@bench/diff "$(A)" "$(if $(findstring command,$(origin B)),$(B))"

# --- the rest ---------------------------------------------------------------

format:  ## let clang-format decide about white space
	clang-format -i $(wildcard $(addsuffix /*.[ch],arch/riscv \
		arch/riscv/include kernel kernel/percpu kernel/sched kernel/shell \
		emul guests/baremetal guests/baremetal/runtime tests/unit \
		tests/stress tests/fuzz tests/model))

clean:  ## remove what was compiled, keep what was fetched
	rm -rf $(B)/obj $(B)/gen $(B)/flags $(B)/host $(B)/test-logs \
		$(B)/guests/baremetal $(B)/guests/linux $(B)/guests/uboot \
		$(B)/rouse* $(B)/lab.cpio $(B)/run $(B)/meter $(B)/meter.so $(B)/stays.so \
		$(B)/sim $(B)/sweep $(B)/afternoon $(B)/fuzz

distclean:  ## remove all of build/; the next make fetches again
	rm -rf $(B)

-include $(OBJS:.o=.d) $(B)/obj/arch/riscv/asm-offsets.d \
	$(patsubst %.o,%.d,$(HOST_OBJS))
