# The CUDA kernels, compiled by the C++ compiler and run by the emulator of tests/cuda_on_cpu, as two programs. In one the
# kernels report every memory access to the emulator's race checker (through the calls that -fsanitize=thread inserts,
# without its library). The other is under AddressSanitizer. Both link the same objects of the tests.

emulated_kernels := $(sort $(wildcard kernels/*/*.cu kernels/cuda/*/*.cu tests/cuda_on_cpu/*.cu))
emulated_tests   := $(wildcard tests/cuda_on_cpu/*_test.cpp) tests/main.cpp
emulator         := $(filter-out $(emulated_tests),$(wildcard tests/cuda_on_cpu/*.cpp)) \
                    $(wildcard kernels/cuda/cuda_device.cpp kernels/cuda/graph_map.cpp) \
                    $(patsubst %,kernels/cuda/%.cpp,planner $(addprefix autotune/,autotune_buffer fusion_choice plan_cache tuned_convolutions))
# The tests of the ops are those of every device: compiled once, without the emulator, and linked with it.
tests_of_ops     := $(shell grep -l '"tests/support/op_test.h"' tests/kernels/*_test.cpp)
objects_of_op_tests := $(patsubst %.cpp,$(BUILD)/%.o,$(tests_of_ops) tests/support/op_test.cpp) $(references)
tests_of_races   := $(emulated_tests)
tests_of_address := $(filter-out %/access_checker_test.cpp,$(emulated_tests))
# gcc 12 warns, wrongly, of bounds inside std::string in instrumented code.
emulated_flags   := -std=c++20 -march=$(ARCH) -O1 $(WARNINGS) -Wno-unknown-pragmas -Wno-attributes -Wno-array-bounds \
                    -I. -Itests/cuda_on_cpu/stand_ins -MMD -MP $(CXXFLAGS)
emulated_libs    := -ldnnl -lfmt -fopenmp -lgtest
emulated_objects := $(BUILD)/cuda_on_cpu

$(emulated_objects)/%.o: %.cpp $(compiled_with) | $(call precompiled,test%)
	@mkdir -p $(@D)
	$(call say,c++,$<)
	$(Q)$(CXX) $(call use_precompiled,test-O0) $(FLAGS) -Itests/cuda_on_cpu/stand_ins -O0 $(CXXFLAGS) -c $< -o $@

# $(1): name, $(2): flags of kernels, $(3): flags of the emulator and of the link
define emulated_program
$$(call precompile,$(1),kernels/precompiled.h,$$(emulated_flags) $(2))
$(emulated_objects)/$(1)/%.cu.o: %.cu $(compiled_with) | $$(call precompiled,$(1))
	@mkdir -p $$(@D)
	$$(call say,c++,$$< ($(1)))
	$(Q)$$(CXX) $$(call use_precompiled,$(1)) $$(emulated_flags) $(2) -x c++ -c $$< -o $$@
$(emulated_objects)/$(1)/%.o: %.cpp $(compiled_with)
	@mkdir -p $$(@D)
	$$(call say,c++,$$< ($(1)))
	$(Q)$$(CXX) $(3) $$(emulated_flags) -c $$< -o $$@
objects_of_$(1) := $(emulated_kernels:%=$(emulated_objects)/$(1)/%.o) $(emulator:%.cpp=$(emulated_objects)/$(1)/%.o) \
        $(tests_of_$(1):%.cpp=$(emulated_objects)/%.o) $(objects_of_op_tests) \
        $(emulated_objects)/tests/devices/emulator.o $(BUILD)/libmodel.a $(BUILD)/libkernels.a
$(BUILD)/tests/cuda_on_cpu_$(1)_tests: $$(objects_of_$(1))
	@mkdir -p $$(@D)
	$$(call say,link,$$@)
	$(Q)$$(CXX) $(3) $$^ $$(emulated_libs) -o $$@
endef
# The same kernels are counted (tests/counters.mk), which takes a call at each basic block, laid out in the source's order.
reports_accesses := -fsanitize=thread -fsanitize-coverage=trace-pc -fno-reorder-blocks -fno-reorder-blocks-and-partition
$(eval $(call emulated_program,races,$(reports_accesses),))
# AddressSanitizer checks the kernels' accesses by calls, which takes a quarter less time to compile than inline checks.
# clang has no such option.
checked_by_calls := $(if $(findstring clang,$(CXX)),,--param asan-instrumentation-with-call-threshold=0)
$(eval $(call emulated_program,address,-fsanitize=address $(checked_by_calls),-fsanitize=address))
# The emulator switches between threads at every warp operation. Instrumented, it would add a third to the tests' time.
$(emulated_objects)/address/tests/cuda_on_cpu/emulator.o: emulated_flags += -fno-sanitize=address
# The access checker is called for every access of a kernel.
$(emulated_objects)/races/tests/cuda_on_cpu/access_checker.o: emulated_flags += -O3

EMULATED := $(if $(SANITIZE),,$(BUILD)/tests/cuda_on_cpu_races_tests $(BUILD)/tests/cuda_on_cpu_address_tests)

.PHONY: test-cuda_on_cpu
test-cuda_on_cpu: $(EMULATED)
	@tests/run_tests.sh $^
