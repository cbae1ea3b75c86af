# The simulator: the schedulers' own sources, compiled for the build host with
# more CPUs than the hypervisor has, and the made-up architecture of the unit
# tests. A new policy is in it by being in POLICIES.

SIM_BINS := $(B)/sim/rouse-sim $(B)/sim/rouse-props

# What both programs link.
SIM_SHARED := $(SCHED_CORE) $(POLICY_SRCS) $(wildcard kernel/percpu/*.c) \
	kernel/timer.c kernel/heap.c tests/unit/fake_arch/fake_arch.c \
	$(addprefix bench/sim/,costs.c engine.c random.c text.c work.c)
SIM_SRCS := $(SIM_SHARED) $(addprefix bench/sim/,main.c result.c scenario.c \
	trace_out.c)
PROPS_SRCS := $(SIM_SHARED) $(wildcard bench/sim/props*.c)
SIM_OBJS := $(SIM_SRCS:%.c=$(B)/sim/obj/%.o)
PROPS_OBJS := $(PROPS_SRCS:%.c=$(B)/sim/obj/%.o)

# _FORTIFY_SOURCE takes a jump to another stack for an attack.
SIM_CFLAGS := -std=gnu11 -O2 -g -D_GNU_SOURCE -U_FORTIFY_SOURCE \
	-DCPU_MAX=4096 -Itests/unit/include $(HOST_INC)
# Fakes need no prototypes, and a simulator may know the host's printf.
SIM_WARNINGS := -Wall -Wextra -Werror -Wno-unused-parameter -Wshadow -Wvla
$(eval $(call flags_file,analysis-sim,$(HOSTCC) $(SIM_CFLAGS) SOURCES \
	$(sort $(filter bench/%,$(SIM_SRCS) $(PROPS_SRCS)))))
$(eval $(call flags_file,sim,$(HOSTCC) $(SIM_CFLAGS) $(SIM_WARNINGS)))

$(B)/sim/obj/%.o: %.c $(B)/flags/sim | setup
	$(call say,SIMCC,$<)
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) $(SIM_CFLAGS) $(SIM_WARNINGS) -MMD -MP -c $< -o $@

$(B)/sim/rouse-sim: $(SIM_OBJS)
$(B)/sim/rouse-props: $(PROPS_OBJS)
$(SIM_BINS):
	$(call say,LD,$@)
	$(Q)$(HOSTCC) $^ -o $@

-include $(sort $(SIM_OBJS:.o=.d) $(PROPS_OBJS:.o=.d))

# --- what a person types ----------------------------------------------------

.PHONY: sim sweep

SCENARIO ?= bench/sim/scenarios/mixed.sim

sim: $(SIM_BINS)  ## simulate SCENARIO (ARGS="--policy fp --cpus 64")
	@build/sim/rouse-sim $(ARGS) $(SCENARIO)

sweep: $(SIM_BINS) setup-bench  ## every policy over guests and load (SWEEP="...")
	@JOBS=$(JOBS) bench/sweep/sweep $(SWEEP)

# The tests run both programs.
test test-all check-host: $(SIM_BINS)
