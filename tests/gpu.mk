# The tests that need a GPU: the tests of kernels in tests/cuda_on_cpu and of the ops, linked with the CUDA device, and
# those of tests/gpu. `make test` builds them where CUDA can be built; `make gpu-check` runs them (CALL=contact, measure,
# experiment or sanitize: only that part of tools/gpu_check.sh; REPORT: the path of the report). `make profile` looks at one
# step (OP: a pattern of ops' names, BENCHMARK, PRECISION).

gpu_tests_of_kernels := $(filter-out $(patsubst %,tests/cuda_on_cpu/%_test.cpp,emulator emulator_tensor_core access_checker device device_limits tune_step),\
                        $(wildcard tests/cuda_on_cpu/*_test.cpp))
gpu_test_sources := $(gpu_tests_of_kernels) $(wildcard tests/gpu/*.cpp)
gpu_test_objects := $(gpu_test_sources:%.cpp=$(BUILD)/gpu/%.o)
GPU_TESTS := $(if $(filter 1,$(CUDA)),$(BUILD)/tests/gpu_tests)

$(BUILD)/gpu/%.o: %.cpp $(compiled_with) | $(call precompiled,test%)
	@mkdir -p $(@D)
	$(call say,c++,$< (gpu))
	$(Q)$(CXX) $(call use_precompiled,test-O0) $(FLAGS) -O0 $(CXXFLAGS) -isystem $(CUDA_HOME)/include -DSCENE_ON_GPU \
	    -include tests/gpu/no_emulator.h -c $< -o $@

$(BUILD)/tests/gpu_tests: $(gpu_test_objects) $(objects_of_op_tests) $(BUILD)/gpu/tests/devices/gpu.o $(BUILD)/libmodel.a $(CUDA_ARCHIVE) $(BUILD)/libkernels.a
	@mkdir -p $(@D)
	$(call say,link,$@)
	$(Q)$(CXX) $(FLAGS) $(CXXFLAGS) $(LDFLAGS) $^ $(LIBS) -lgtest -o $@

.PHONY: gpu-tests gpu-check profile bundle
gpu-tests: $(GPU_TESTS)

gpu-check: $(BUILD)/scene $(GPU_TESTS)
	@SCENE=$(BUILD)/scene GPU_TESTS=$(GPU_TESTS) tools/gpu_check.sh $(CALL) $(REPORT)

profile: $(BUILD)/scene
	@SCENE=$(BUILD)/scene OP='$(OP)' tools/profile.sh $(or $(BENCHMARK),fcnn_train_b256) $(PRECISION)

# Other flags of the linker and of nvcc, so it has a build folder of its own.
bundle:
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/portable -j$(JOBS) bundle-programs
	@tools/bundle.sh $(BUILD)/bundle $(BUILD)/portable/scene $(BUILD)/portable/tests/gpu_tests

# The libraries beside the programs are found first. RPATH holds for the libraries that these load, too; RUNPATH does not.
.PHONY: bundle-programs
bundle-programs: NVCCFLAGS += -Xfatbin=-compress-all
bundle-programs: LDFLAGS += -Wl,--disable-new-dtags '-Wl,-rpath,$$ORIGIN/../lib:$$ORIGIN/../../lib'
bundle-programs: $(BUILD)/scene $(GPU_TESTS)
