# Fuzzing: the targets of this folder with libFuzzer under ASan and UBSan. Their
# sources are those that the Makefile knows from their comments; here they are
# compiled again, by clang and with counters of what has been run.

FUZZ_CC ?= clang
FUZZ_CFLAGS := $(HOST_CFLAGS) -fsanitize=fuzzer,address,undefined \
	-fno-sanitize-recover=all -Itests/unit/include $(HOST_INC) -w
$(eval $(call flags_file,fuzz,$(FUZZ_CC) $(FUZZ_CFLAGS)))

FUZZ_LINKS := $(filter tests/fuzz/%,$(HOST_LINKS))
FUZZ_BINS :=
FUZZ_OBJS :=

$(B)/host/fuzz/%.o: %.c $(B)/flags/fuzz | setup-fuzz
	$(call say,FUZZCC,$<)
	@mkdir -p $(@D)
	$(Q)$(FUZZ_CC) $(FUZZ_CFLAGS) -MMD -MP -c $< -o $@

# $(1) tests/fuzz/NAME_fuzz, $(2) its sources.
define fuzz_program
$(B)/fuzz/$(notdir $(1)): $(patsubst %.c,$(B)/host/fuzz/%.o,$(1).c $(2))
	@mkdir -p $$(@D)
	$$(Q)$$(FUZZ_CC) $$(FUZZ_CFLAGS) $$^ -lcmocka -o $$@
FUZZ_BINS += $(B)/fuzz/$(notdir $(1))
FUZZ_OBJS += $(patsubst %.c,$(B)/host/fuzz/%.o,$(1).c $(2))
endef
$(foreach t,$(FUZZ_LINKS),$(eval $(call fuzz_program,$(firstword \
	$(subst |, ,$(t))),$(wordlist 2,999,$(subst |, ,$(t))))))

.PHONY: fuzz setup-fuzz

# Before minutes of compiling.
ifneq ($(filter fuzz,$(MAKECMDGOALS)),)
FUZZ_NAMES := $(sort $(patsubst tests/fuzz/%,%,$(subst _fuzz.c,,$(subst \
	_fuzz.py,,$(wildcard tests/fuzz/*_fuzz.c tests/fuzz/*_fuzz.py)))))
$(if $(filter-out $(FUZZ_NAMES),$(TARGET)),$(error \
	no target $(TARGET): there are $(FUZZ_NAMES)))
$(if $(filter-out 0,$(shell expr "$(SECONDS)" : '[1-9][0-9]*$$')),,$(error \
	SECONDS=$(SECONDS): expected a number of seconds))
setup: setup-fuzz
endif

setup-fuzz:
	@SETUP=$(SETUP) tools/setup fuzz

fuzz: setup-fuzz  ## look for inputs that break what reads them
fuzz: SECONDS = 60
fuzz: $(if $(TARGET),$(filter %/$(TARGET)_fuzz,$(FUZZ_BINS) $(HOST_BINS)), \
	$(FUZZ_BINS) $(filter %_fuzz,$(HOST_BINS)))
	@tests/fuzz/run --seconds $(SECONDS) --jobs $(JOBS) $(TARGET)

-include $(sort $(FUZZ_OBJS:.o=.d))
