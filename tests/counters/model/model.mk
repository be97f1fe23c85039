# The model of time from the emulator's counters, and its tests. Neither needs CUDA: what ptxas said is read where nvcc
# compiled the kernels.

counter_model_sources := $(wildcard tests/counters/model/*.cpp)
counter_model_tests   := $(filter %_test.cpp,$(counter_model_sources))
counter_model_objects := $(patsubst %.cpp,$(BUILD)/%.o,$(filter-out $(counter_model_tests),$(counter_model_sources)) \
                         tests/counters/kernel_counters.cpp kernels/cuda/cudnn/device_profiles.cpp)
COUNTER_MODEL_TESTS   := $(if $(SANITIZE),,$(BUILD)/tests/counters_model_tests)

$(BUILD)/tests/counters_model_tests: $(counter_model_tests:%.cpp=$(BUILD)/%.o) $(BUILD)/tests/main.o \
        $(counter_model_objects) $(BUILD)/libmodel.a $(BUILD)/libkernels.a
	@mkdir -p $(@D)
	$(call say,link,$@)
	$(Q)$(CXX) $(FLAGS) $(CXXFLAGS) $(LDFLAGS) $^ $(LIBS) -lgtest -o $@

# The toolkit's own occupancy calculator is a header.
$(BUILD)/tests/counters/model/occupancy_test.o: FLAGS += $(if $(NVCC),-isystem $(CUDA_HOME)/include)
