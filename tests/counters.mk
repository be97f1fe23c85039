# The CUDA kernels as a third emulated program, in which every access is counted: docs/counters.md. The compiler calls the
# counter (tests/counters/access_counter.cpp) at each access and at each basic block, whose order must be that of the source.

counted_kernels  := $(filter-out tests/cuda_on_cpu/%,$(emulated_kernels)) $(wildcard tests/counters/*.cu)
counting_sources := $(filter-out tests/cuda_on_cpu/access_checker.cpp tests/cuda_on_cpu/library_stand_ins.cpp,$(emulator)) \
                    $(filter-out tests/counters/%_test.cpp tests/counters/main.cpp,$(wildcard tests/counters/*.cpp))
counting_objects := $(emulated_objects)/counters
counting_flags   := -DEMULATOR_COUNTS
counted_by       := -fsanitize=thread -fsanitize-coverage=trace-pc -fno-reorder-blocks -fno-reorder-blocks-and-partition

$(counting_objects)/%.cu.o: %.cu $(compiled_with)
	@mkdir -p $(@D)
	$(call say,c++,$< (counters))
	$(Q)$(CXX) $(emulated_flags) $(counting_flags) $(counted_by) -x c++ -c $< -o $@
$(counting_objects)/%.o: %.cpp $(compiled_with)
	@mkdir -p $(@D)
	$(call say,c++,$< (counters))
	$(Q)$(CXX) $(emulated_flags) $(counting_flags) $(if $(filter %/access_counter.cpp,$<),-O3) -c $< -o $@

objects_of_counters := $(counted_kernels:%=$(counting_objects)/%.o) $(counting_sources:%.cpp=$(counting_objects)/%.o) \
                       $(BUILD)/libmodel.a $(BUILD)/libkernels.a
$(BUILD)/tests/counters: $(counting_objects)/tests/counters/main.o $(objects_of_counters)
	@mkdir -p $(@D)
	$(call say,link,$@)
	$(Q)$(CXX) $^ $(emulated_libs) -o $@

.PHONY: counters
counters: $(BUILD)/tests/counters
	@$< --out $(BUILD)/counters
