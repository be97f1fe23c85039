# The model of time from the emulator's counters, and its tests. Neither needs CUDA: what ptxas said is read where nvcc
# compiled the kernels.

counter_model_tests   := $(wildcard tests/counters/model/*_test.cpp)
counter_model_objects := $(patsubst %.cpp,$(BUILD)/counters_model/%.o,$(filter-out $(counter_model_tests),$(wildcard tests/counters/model/*.cpp))) \
                         $(BUILD)/kernels/cuda/cudnn/device_profiles.o
COUNTER_MODEL_TESTS   := $(if $(SANITIZE),,$(BUILD)/tests/counters_model_tests)

# -O1: machine code is many megabytes of text.
$(BUILD)/counters_model/%.o: %.cpp $(compiled_with) | $(call precompiled,test%)
	@mkdir -p $(@D)
	$(call say,c++,$<)
	$(Q)$(CXX) $(call use_precompiled,test-O1) $(FLAGS) -O1 $(CXXFLAGS) -c $< -o $@
# The toolkit's own occupancy calculator is a header.
$(BUILD)/counters_model/tests/counters/model/occupancy_test.o: FLAGS += $(if $(NVCC),-isystem $(CUDA_HOME)/include)

$(BUILD)/tests/counters_model_tests: $(BUILD)/tests/main.o \
        $(patsubst %.cpp,$(BUILD)/counters_model/%.o,$(counter_model_tests) $(addprefix tests/counters/,kernel_counters.cpp counter_names.cpp)) \
        $(counter_model_objects) $(BUILD)/libmodel.a $(BUILD)/libkernels.a
	@mkdir -p $(@D)
	$(call say,link,$@)
	$(Q)$(CXX) $(FLAGS) $(CXXFLAGS) $(LDFLAGS) $^ $(LIBS) -lgtest -o $@

# Machine code, for the count of issued instructions: where there is an nvdisasm beside nvcc. It is not part of every
# toolkit. COUNTERS_ARCH is the compute capability that the model counts for.
NVDISASM      ?= $(firstword $(shell command -v nvdisasm) $(wildcard $(CUDA_HOME)/bin/nvdisasm))
COUNTERS_ARCH ?= 90
MACHINE_CODE  := $(if $(and $(NVCC),$(NVDISASM)),$(patsubst %.cu,$(BUILD)/machine_code/%.cu.sass,$(wildcard kernels/*/*.cu kernels/cuda/*/*.cu)))

$(BUILD)/machine_code/%.cu.sass: %.cu $(compiled_with)
	@mkdir -p $(@D)
	$(call say,nvdisasm,$<)
	$(Q)$(NVCC) -std=c++20 -O2 -lineinfo -arch=sm_$(COUNTERS_ARCH) -I. -MMD -MP -MT $@ -MF $(@:.sass=.d) -cubin $< -o $(@:.sass=.cubin)
	$(Q)$(NVDISASM) -gi -c $(@:.sass=.cubin) > $@.part && mv $@.part $@

# The build writes what ptxas says with each object; objects of an older build lack it.
$(BUILD)/%.cu.o.ptxas: $(BUILD)/%.cu.o
	@test -f $@ || { rm -f $<; $(MAKE) --no-print-directory $<; }

counters: $(CUDA_OBJECTS:%=%.ptxas) $(MACHINE_CODE)
