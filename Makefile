# scene.cu. `make help` lists the targets.
# Variables: BUILD (output folder), CXX, ISAS (levels of x86-64 that the CPU kernels are compiled for; native: this
# machine), ARCH (-march value of all else), SANITIZE=address,undefined, JOBS, PREFIX, DESTDIR, V=1 (show the commands),
# WERROR=1 (warnings are errors), PCH=0 (no precompiled headers), CUDA=0 (no GPU support where it could be built),
# CUDA_ARCHS (compute capabilities that the CUDA kernels are compiled for, in ascending order: "80 90", or all).

x86      := $(filter x86_64,$(shell uname -m))
ISAS     ?= $(if $(x86),v2 v3 v4,native)
ARCH     ?= $(if $(x86),x86-64-v2,native)
SANITIZE ?=
BUILD    ?= build$(if $(SANITIZE),/sanitize)
JOBS     ?= $(shell nproc)
PREFIX   ?= /usr/local
DESTDIR  ?=
CXXFLAGS ?= -g1
V        ?= 0
WERROR   ?= 0
PCH      ?= 1

# make prints one short line a file, or with V=1 the commands. $(call say,what is done,to what) prints that line; it begins
# every recipe that takes a while.
Q   := $(if $(filter 1,$(V)),,@)
say  = $(if $(filter 1,$(V)),,@printf '  %-8s %s\n' '$(1)' '$(2)')

# Replaces make's own default of CXX, but not a CXX from the environment or the command line.
ifeq ($(origin CXX),default)
CXX := $(if $(shell command -v ccache),ccache )g++
endif

# -O3 where a step spends its time, less where it would cost more compile time than it saves.
OPTIMIZE_kernels := -O3
OPTIMIZE_model   := -O2
OPTIMIZE_data    := -O1
OPTIMIZE_train   := -O1
OPTIMIZE_tools   := -O1
OPTIMIZE_tests   := -O0

# From the top down: an include, and a link, only ever goes to the right.
ROOMS := tools train model data kernels
below_tools   := train model data kernels
below_train   := model data kernels
below_model   := kernels
below_data    := kernels
below_kernels :=
TESTED := $(foreach r,$(ROOMS),$(if $(wildcard tests/$(r)/*.cpp),$(r)))

# A user's build never fails on a warning: another compiler has others. CI's does.
# gcc 12 at -O3 warns, wrongly, of an overflow inside fmt 9's own header.
WARNINGS := -Wall -Wextra -Wno-unknown-warning-option -Wno-stringop-overflow $(if $(filter 1,$(WERROR)),-Werror)
FLAGS_OF_ALL := -std=c++20 -fopenmp -fno-math-errno -fno-trapping-math $(WARNINGS) -I. -MMD -MP \
                $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer)
FLAGS := $(FLAGS_OF_ALL) -march=$(ARCH)
LIBS   = -ldnnl -lsndfile -lsoxr -lfmt $(CUDA_LIBS)

# kernels/<op>/ has sources for several devices and the reference, which only tests link.
op_sources  := $(filter-out kernels/cpu/% kernels/cuda/% $(wildcard kernels/*/cpu*.cpp) %/reference.cpp,$(wildcard kernels/*/*.cpp))
references  := $(patsubst %.cpp,$(BUILD)/%.o,$(wildcard kernels/*/reference.cpp))
objects_of  = $(patsubst %.cpp,$(BUILD)/%.o,$(filter-out tools/main.cpp,$(wildcard $(1)/*.cpp)) \
              $(if $(filter kernels,$(1)),$(op_sources),$(wildcard $(1)/*/*.cpp))) \
              $(if $(filter kernels,$(1)),$(CPU_KERNELS))
# Only tools, the top, links CUDA: everything else knows kernels/device.h.
archives_of = $(patsubst %,$(BUILD)/lib%.a,$(filter-out kernels,$(1) $(below_$(1)))) \
              $(if $(filter tools,$(1)),$(CUDA_ARCHIVE)) $(BUILD)/libkernels.a
format_files = $(shell git ls-files '*.cpp' '*.h' '*.cu')

# $(call written_when_changed,file,variable): a rule for a file that holds the variable's value. The file is written when
# the value differs from that of the last build, so that everything that depends on the file is made again.
define written_when_changed
ifneq ($$($(2)),$$(file < $(1)))
.PHONY: $(1)
endif
$(1):
	@mkdir -p $$(@D)
	@printf '%s\n' '$$($(2))' > $$@
endef
# What everything that is compiled depends on.
compiled_with := $(BUILD)/compiled-with

# What most files include from outside is parsed once for each set of flags (PCH=0: each file by itself, which finds
# missing includes). $(call precompile,name,header,flags) makes a rule for $(BUILD)/precompiled/<name>.h,
# $(call precompiled,name) is its target, and $(call use_precompiled,name) are the flags of a file that begins with it;
# both are empty where there is no such header.
define precompile_rule
precompiled_headers += $(BUILD)/precompiled/$(1).h.gch
$(BUILD)/precompiled/$(1).h.gch: $(2) $(compiled_with)
	@mkdir -p $$(@D)
	@printf '#include "$(2)"\n' > $$(@:.gch=)
	$(call say,pch,$(2) ($(1)))
	$(Q)$(CXX) $(filter-out -MMD -MP,$(3)) -x c++-header -c $(2) -o $$@
endef
precompile      = $(if $(filter 1,$(PCH)),$(eval $(call precompile_rule,$(1),$(2),$(3))))
precompiled     = $(filter $(BUILD)/precompiled/$(1).h.gch,$(precompiled_headers))
use_precompiled = $(patsubst %.gch,-include %,$(call precompiled,$(1)))

$(foreach o,-O1 -O2 -O3,$(call precompile,source$(o),kernels/precompiled.h,$(FLAGS) $(o) $(CXXFLAGS)))
$(foreach o,-O0 -O1,$(call precompile,test$(o),tests/precompiled.h,$(FLAGS) $(o) $(CXXFLAGS)))
# Without these ccache does not cache files with a precompiled header.
export CCACHE_SLOPPINESS ?= pch_defines,time_macros

include kernels/cpu/cpu.mk
include kernels/cuda/cuda.mk

# With another compiler or other flags everything is compiled again, so that no program is linked of objects for different
# processors. -Werror changes no code.
how_now := $(filter-out ccache -Werror,$(CXX) $(CXXFLAGS) $(FLAGS) $(foreach room,$(ROOMS) tests,$(OPTIMIZE_$(room))))
$(eval $(call written_when_changed,$(compiled_with),how_now))

.DEFAULT_GOAL := all
.PHONY: all help dependencies test test-sanitized demo format check-format floors check-floors planted-faults compdb install clean
all: $(BUILD)/scene

help:
	@echo "make               build $(BUILD)/scene"
	@echo "make test          install what is missing, build, run every test"
	@echo "make demo          install what is missing, build, train System #4 on synthetic scenes"
	@echo "make test-ROOM     the tests of one room: $(TESTED)"
	@echo "make test-sanitized     the tests of kernels, model and data under AddressSanitizer and UBSan"
	@echo "make test-cuda_on_cpu   the CUDA kernels, run on the CPU: races, bounds, results"
	@echo "make counters      what Nsight Compute would count of a step's kernels, counted on the emulator (docs/counters.md)"
	@echo "make mutation-test plants faults in kernels, model, data and train (ROOM=model: there) and requires that tests find them"
	@echo "make cuda-objects  compiles the CUDA kernels, where there is an nvcc"
	@echo "make gpu-check     on a machine with a GPU: tests, benchmarks, PyTorch beside them, sanitizers; CALL=contact: the first four minutes"
	@echo "make profile       on a machine with a GPU: one step under Nsight Systems and Nsight Compute; OP=block1.conv2.forward: that op"
	@echo "make bundle        $(BUILD)/bundle, a folder that runs gpu-check where nothing can be built"
	@echo "make cudnn-engines a table of the engines that cuDNN proposes for every convolution (PROFILE=h100)"
	@echo "make fuzz          the parsers on damaged files, under AddressSanitizer"
	@echo "make floors        docs/floors.svg, drawn from the includes; make check-floors compares"
	@echo "make compdb        compile_commands.json"
	@echo "make format        clang-format on all sources; make check-format only looks"
	@echo "make install       scene and its configs to PREFIX ($(PREFIX))"
	@echo "make clean         remove $(BUILD)"

$(BUILD)/scene: $(BUILD)/tools/main.o $(call archives_of,tools)
	$(call say,link,$@)
	$(Q)$(CXX) $(FLAGS) $(CXXFLAGS) $(LDFLAGS) $^ $(LIBS) -o $@

# One archive per room, so that a room's tests link only what the room may enter.
define room
$(BUILD)/lib$(1).a: $(call objects_of,$(1))
	$$(call say,ar,$$@)
	@rm -f $$@
	$(Q)ar qcs $$@ $$^
endef
$(foreach r,$(ROOMS),$(eval $(call room,$(r))))

# tests/<room>/*.cpp make one program per room: build/tests/<room>_tests.
define room_tests
$(BUILD)/tests/$(1)_tests: $(patsubst %.cpp,$(BUILD)/%.o,$(filter-out $(tests_left_out),$(wildcard tests/$(1)/*.cpp tests/$(1)/*/*.cpp)) tests/main.cpp) \
        $(if $(filter kernels,$(1)),$(BUILD)/tests/devices/cpu.o $(BUILD)/tests/support/op_test.o $(references)) $(call archives_of,$(1))
	@mkdir -p $$(@D)
	$$(call say,link,$$@)
	$(Q)$$(CXX) $$(FLAGS) $$(CXXFLAGS) $$^ $$(LIBS) -lgtest -o $$@
.PHONY: test-$(1)
test-$(1): $(BUILD)/tests/$(1)_tests
	$$<
endef
$(foreach r,$(TESTED),$(eval $(call room_tests,$(r))))
test-tools: $(BUILD)/scene

# $(call compile,kind,optimisation)
define compile
	@mkdir -p $(@D)
	$(call say,c++,$<)
	$(Q)$(CXX) $(call use_precompiled,$(1)$(2)) $(FLAGS) $(2) $(CXXFLAGS) -c $< -o $@
endef
$(BUILD)/%.o: %.cpp $(compiled_with) | $(call precompiled,source%)
	$(call compile,source,$(OPTIMIZE_$(firstword $(subst /, ,$<))))
$(BUILD)/tests/%.o: tests/%.cpp $(compiled_with) | $(call precompiled,test%)
	$(call compile,test,$(OPTIMIZE_tests))

# Loops over samples.
$(patsubst %.cpp,$(BUILD)/%.o,$(wildcard data/audio/*.cpp data/synth/*.cpp)): OPTIMIZE_data := -O3
# CLI11 and nlohmann-json take long to compile, and no step calls them.
$(BUILD)/tools/cli/command_line.o: OPTIMIZE_tools := -O0
$(BUILD)/train/config/config.o: OPTIMIZE_train := -O0
$(BUILD)/kernels/files/json.o: OPTIMIZE_kernels := -O0
$(BUILD)/kernels/files/safetensors.o: OPTIMIZE_kernels := -O1
$(BUILD)/model/checkpoint.o: OPTIMIZE_model := -O1
$(BUILD)/tools/bench/calibration.o: OPTIMIZE_tools := -O2
# A test calls it directly; in the archive its symbols are local (kernels/cpu/cpu.mk).
$(BUILD)/tests/kernels_tests: $(BUILD)/kernels/cpu/dropout.o
# Tests whose references compute much.
$(patsubst %.cpp,$(BUILD)/%.o,$(wildcard tests/model/*.cpp)) \
$(patsubst %,$(BUILD)/tests/kernels/%_test.o,adam conv2d log_mel): OPTIMIZE_tests := -O1
# It checks the processor before anything else runs, so it must run on every x86-64.
$(BUILD)/tools/main.o: FLAGS += $(if $(x86),-march=x86-64)
# `scene info` reports how it was built.
$(BUILD)/tools/commands/info.o: FLAGS += -DSCENE_BUILD_FLAGS='"-march=$(ARCH) -O3 $(CXXFLAGS); kernels for $(ISAS)"'

dependencies:
	@tools/install_dependencies.sh

include tests/fuzz.mk
include tests/cuda_on_cpu.mk
include tests/counters/model/model.mk
include tests/counters.mk
include tests/mutation.mk
include tests/gpu.mk
include tests/cudnn_engines.mk

.PHONY: programs
# The unit that takes longest comes first.
programs: $(sanitized)/users_of_json.o
programs: $(CUDA_OBJECTS) $(EMULATED) $(COUNTER_MODEL_TESTS) $(if $(SANITIZE),,$(GPU_TESTS))
programs: $(BUILD)/scene $(TESTED:%=$(BUILD)/tests/%_tests) $(FUZZERS)

# The tests of these rooms run once with each of the CPU kernels that the machine has.
on_each_isa := kernels model train
tests_of     = $(BUILD)/tests/$(1)_tests$(if $(filter $(1),$(on_each_isa)),@$(subst $() ,$(comma),$(strip $(ISAS))))

# One process more than there are cores, since each waits for the disk now and then.
at_once := $$(($(JOBS) + 1))
test: dependencies
	@$(MAKE) --no-print-directory -j$(at_once) programs
	@JOBS=$(at_once) SCENE=$(BUILD)/scene tests/run_tests.sh $(foreach room,$(TESTED),$(call tests_of,$(room))) $(EMULATED) $(COUNTER_MODEL_TESTS) $(FUZZERS)

# The tests of the rooms that compute and parse, under AddressSanitizer and UBSan, on kernels that every machine can run.
# gcc 12 warns, wrongly, of bounds inside std::string in instrumented code, hence WERROR=0.
sanitized_rooms := kernels model data
test-sanitized: dependencies
	@$(MAKE) --no-print-directory -j$(at_once) SANITIZE=address,undefined ISAS=v2 CUDA=0 WERROR=0 BUILD=$(BUILD)/sanitize CXXFLAGS=-g1 \
	    OPTIMIZE_kernels=-O1 $(sanitized_rooms:%=$(BUILD)/sanitize/tests/%_tests)
	@LSAN_OPTIONS=suppressions=tests/leaks_of_libraries.txt:print_suppressions=0 JOBS=$(at_once) \
	    tests/run_tests.sh $(sanitized_rooms:%=$(BUILD)/sanitize/tests/%_tests)

# Without a GPU the demo does not compile CUDA kernels, which it could not run.
demo: dependencies
	@$(MAKE) --no-print-directory -j$(at_once) $(if $(wildcard /dev/nvidiactl),,CUDA=0) $(BUILD)/scene
	@SCENE=$(BUILD)/scene DEMO_DIR=$(or $(DEMO_DIR),$(BUILD)/demo) tools/demo.sh

format:
	$(Q)clang-format -i $(format_files)

# Other versions format differently: only that of Debian 12 counts.
check-format:
	@case "$$(clang-format --version 2> /dev/null)" in \
	    *version\ 14.*) clang-format --dry-run -Werror $(format_files);; \
	    *) echo "the format is not checked: there is no clang-format 14";; \
	esac

floors:
	$(Q)tools/draw_floors.sh > docs/floors.svg

check-floors:
	@tools/draw_floors.sh | cmp -s - docs/floors.svg || { tools/draw_floors.sh > /dev/null; \
	    echo "docs/floors.svg is not what the sources are; run make floors"; exit 1; }

planted-faults:
	$(Q)tests/mutations/table.sh > docs/planted_faults.md

# One entry a source, as make compiles it, for editors and clang-tidy.
compdb:
	@tools/compile_commands.sh "$(MAKE)" > compile_commands.json

install: $(BUILD)/scene
	install -D -m 755 $(BUILD)/scene $(DESTDIR)$(PREFIX)/bin/scene
	install -d $(DESTDIR)$(PREFIX)/share/scene/configs
	install -m 644 configs/*.toml $(DESTDIR)$(PREFIX)/share/scene/configs

clean:
	rm -rf $(BUILD)

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
