# The bare-metal guests: guests/baremetal/NAME.c becomes
# $(BUILD)/guests/baremetal/NAME.elf and NAME.bin.
#
# The including Makefile gives BUILD and GUEST_CROSS; libfdt's sources are in
# $(BUILD)/libfdt. A program may add flags in GUEST_BM_CFLAGS_NAME and the
# sources beside it (guests/baremetal/NAME/*.[cS]) are linked into it.

BUILD ?= build
GUEST_CROSS ?= riscv64-unknown-elf-

guest_bm_src := guests/baremetal
guest_bm_out := $(BUILD)/guests/baremetal

GUEST_BM_NAMES := $(basename $(notdir $(wildcard $(guest_bm_src)/*.c)))
GUEST_BM_ELFS := $(GUEST_BM_NAMES:%=$(guest_bm_out)/%.elf)
GUEST_BM_BINS := $(GUEST_BM_NAMES:%=$(guest_bm_out)/%.bin)

guest_bm_runtime := $(patsubst %,$(guest_bm_out)/%.o, \
	$(basename $(notdir $(wildcard $(guest_bm_src)/runtime/*.[cS]))))
guest_bm_runtime := $(patsubst $(guest_bm_out)/%,$(guest_bm_out)/runtime/%, \
	$(guest_bm_runtime)) \
	$(patsubst %,$(guest_bm_out)/libfdt/%.o,fdt fdt_ro fdt_addresses)

# The multilib directory wants -march to be exactly rv64imac; the assembler
# alone hears of the CSR and fence.i extensions.
GUEST_BM_CFLAGS := -std=gnu11 -O2 -g -ffreestanding --specs=picolibc.specs \
	-DPICOLIBC_INTEGER_PRINTF_SCANF -march=rv64imac \
	-mno-riscv-attribute -Wa,-march=rv64imac_zicsr_zifencei -mabi=lp64 \
	-mcmodel=medany -fno-strict-aliasing \
	-fno-tree-loop-distribute-patterns \
	-ffunction-sections -fdata-sections -MMD -MP -I. -I$(BUILD)/libfdt
GUEST_BM_WARN := -Wall -Wextra -Werror
GUEST_BM_LDFLAGS := -nostartfiles -nodefaultlibs --specs=picolibc.specs \
	-march=rv64imac -mabi=lp64 -mcmodel=medany \
	-T $(guest_bm_src)/runtime/runtime.ld -Wl,--gc-sections \
	-Wl,--no-warn-rwx-segments -Wl,--build-id=none

# make V=1 shows the commands.
guest_bm_q := $(if $(V),,@)
guest_bm_cc = $(GUEST_CROSS)gcc $(GUEST_BM_CFLAGS)
guest_bm_parts = $(patsubst $(guest_bm_src)/%,$(guest_bm_out)/%.o, \
	$(basename $(wildcard $(guest_bm_src)/$(1)/*.[cS])))

.PHONY: guests-baremetal
guests-baremetal: $(GUEST_BM_ELFS) $(GUEST_BM_BINS)

$(guest_bm_out)/libfdt/%.o: $(BUILD)/libfdt/%.c
	@mkdir -p $(@D)
	@echo "  CC      $@"
	$(guest_bm_q)$(guest_bm_cc) -c $< -o $@

$(guest_bm_out)/%.o: $(guest_bm_src)/%.c $(guest_bm_src)/build.mk
	@mkdir -p $(@D)
	@echo "  CC      $@"
	$(guest_bm_q)$(guest_bm_cc) $(GUEST_BM_WARN) \
		$(GUEST_BM_CFLAGS_$(firstword $(subst /, ,$*))) -c $< -o $@

$(guest_bm_out)/%.o: $(guest_bm_src)/%.S $(guest_bm_src)/build.mk
	@mkdir -p $(@D)
	@echo "  CC      $@"
	$(guest_bm_q)$(guest_bm_cc) $(GUEST_BM_WARN) -c $< -o $@

define guest_bm_link
$(guest_bm_out)/$(1).elf: $(guest_bm_out)/$(1).o $(call guest_bm_parts,$(1)) \
		$(guest_bm_runtime) $(guest_bm_src)/runtime/runtime.ld
	@echo "  LD      $$@"
	$$(guest_bm_q)$(GUEST_CROSS)gcc $(GUEST_BM_LDFLAGS) \
		$$(filter %.o,$$^) -lc -lgcc -o $$@
endef
$(foreach n,$(GUEST_BM_NAMES),$(eval $(call guest_bm_link,$(n))))

$(guest_bm_out)/%.bin: $(guest_bm_out)/%.elf
	$(guest_bm_q)$(GUEST_CROSS)objcopy -O binary $< $@

-include $(wildcard $(guest_bm_out)/*.d $(guest_bm_out)/*/*.d)
