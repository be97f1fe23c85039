# Counts what the CUDA kernels do (docs/counters.md): the kernels of the races program, linked with the counter
# (tests/counters/access_counter.cpp) in the place of the race checker, on an emulated device with more memory.

counting_sources := $(filter-out tests/cuda_on_cpu/access_checker.cpp tests/cuda_on_cpu/library_stand_ins.cpp,$(emulator)) \
                    $(filter-out tests/counters/%_test.cpp tests/counters/main.cpp,$(wildcard tests/counters/*.cpp))
counting_tests   := $(wildcard tests/counters/*_test.cpp)
counted_kernels  := $(filter-out tests/cuda_on_cpu/%,$(emulated_kernels))
counting_objects := $(emulated_objects)/counters

$(counting_objects)/%.o: %.cpp $(compiled_with)
	@mkdir -p $(@D)
	$(call say,c++,$< (counters))
	$(Q)$(CXX) $(emulated_flags) -DEMULATOR_COUNTS $(if $(filter %/access_counter.cpp,$<),-O3) -c $< -o $@

objects_of_counters := $(counted_kernels:%=$(emulated_objects)/races/%.o) $(counting_sources:%.cpp=$(counting_objects)/%.o) \
                       $(counter_model_objects) $(BUILD)/libmodel.a $(BUILD)/libkernels.a
$(BUILD)/tests/counters: $(counting_objects)/tests/counters/main.o $(objects_of_counters)
	@mkdir -p $(@D)
	$(call say,link,$@)
	$(Q)$(CXX) $^ $(emulated_libs) -o $@
$(BUILD)/tests/counters_tests: $(counting_tests:%.cpp=$(counting_objects)/%.o) \
        $(patsubst %,$(emulated_objects)/races/%.o,$(wildcard tests/counters/*.cu)) $(BUILD)/tests/main.o $(objects_of_counters)
	@mkdir -p $(@D)
	$(call say,link,$@)
	$(Q)$(CXX) $^ $(emulated_libs) -o $@

EMULATED += $(if $(SANITIZE),,$(BUILD)/tests/counters_tests)

.PHONY: counters
counters: $(BUILD)/tests/counters
	@$(BUILD)/tests/counters --out $(BUILD)/counters --build $(BUILD)
