# The CUDA device, where nvcc and the headers of cuDNN and cuBLASLt are found: make CUDA=0 leaves it out. The kernels are
# built for the compute capabilities in CUDA_ARCHS, and as PTX of the last one for newer devices. The libraries are opened
# when they are needed, so that the program starts without them; only CUDA's own runtime is linked in.

NVCC      ?= $(firstword $(shell command -v nvcc) $(wildcard /usr/local/cuda/bin/nvcc))
CUDA_HOME ?= $(patsubst %/bin/nvcc,%,$(NVCC))
CUDA      ?= $(if $(and $(NVCC),$(wildcard $(CUDA_HOME)/include/cudnn_graph.h),$(wildcard $(CUDA_HOME)/include/cublasLt.h)),1,0)

# "all": what others may have. Otherwise the GPU that is here, or an H100, which compiles six times as fast.
all_archs  := 80 86 89 90 100 120
for_others := $(filter install,$(MAKECMDGOALS))
arch_here  := $(if $(shell command -v nvidia-smi),$(shell nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2> /dev/null | \
                sed -n '1{s/\.//;/^[0-9][0-9]*$$/p}'))
CUDA_ARCHS ?= $(if $(for_others),all,$(or $(arch_here),90))
archs      := $(if $(filter all,$(CUDA_ARCHS)),$(all_archs),$(CUDA_ARCHS))
newest     := $(lastword $(archs))

comma     := ,
NVCCFLAGS := -std=c++20 -O2 -lineinfo $(foreach a,$(archs),-gencode arch=compute_$(a)$(comma)code=sm_$(a)) \
             -gencode arch=compute_$(newest)$(comma)code=compute_$(newest) -I. \
             $(if $(filter 1,$(WERROR)),-Werror all-warnings -Xcompiler -Wall$(comma)-Wextra$(comma)-Werror,-Xcompiler -Wall$(comma)-Wextra)
CUDA_OBJECTS := $(if $(NVCC),$(patsubst %.cu,$(BUILD)/%.cu.o,$(wildcard kernels/*/*.cu kernels/cuda/*/*.cu)))
CUDA_ARCHIVE := $(BUILD)/libcuda.a

tests_of_cudnn := tests/tools/fused_plan_test.cpp tests/tools/run_time_engines_test.cpp

ifeq ($(CUDA),1)
cuda_sources := $(filter-out kernels/cuda/without_cuda.cpp,$(wildcard kernels/cuda/*.cpp kernels/cuda/*/*.cpp))
cuda_members := $(CUDA_OBJECTS) $(cuda_sources:%.cpp=$(BUILD)/%.o)
CUDA_LIBS    := -L$(CUDA_HOME)/lib64 -lcudart_static -ldl -lrt -lpthread
$(BUILD)/kernels/cuda/%.o: FLAGS += -isystem $(CUDA_HOME)/include -DSCENE_CUDA_ARCHS='"$(strip $(archs))"'
$(tests_of_cudnn:%.cpp=$(BUILD)/%.o): FLAGS += -isystem $(CUDA_HOME)/include
# A test gives it to cuDNN in the place of a driver.
$(BUILD)/tests/tools_tests: | $(BUILD)/tests/stand_ins/libcuda.so.1
$(BUILD)/tests/stand_ins/libcuda.so.1: tests/tools/stand_ins/libcuda.cpp
	@mkdir -p $(@D)
	$(call say,link,$@)
	$(Q)$(CXX) -shared -fPIC $< -o $@
else
tests_left_out := $(tests_of_cudnn)
cuda_members := $(patsubst %,$(BUILD)/kernels/cuda/%.o,without_cuda autotune/engine_search autotune/plan_cache cudnn/device_profiles dlopened_library embedded_code)
CUDA_LIBS    :=
endif

# What ptxas says of registers and spills is kept beside the object, for the counters (tests/counters).
said_by_ptxas := ^ptxas info  *:\|^    [0-9]* bytes stack frame
# Another list compiles the kernels again, and nothing else.
$(eval $(call written_when_changed,$(BUILD)/compiled-for,archs))
$(BUILD)/kernels/cuda/gpu.o: $(BUILD)/compiled-for
$(BUILD)/%.cu.o: %.cu $(compiled_with) $(BUILD)/compiled-for
	@mkdir -p $(@D)
	$(call say,nvcc,$<)
	$(Q)$(NVCC) $(NVCCFLAGS) -Xptxas -v -MMD -MP -MF $(@:.o=.d) -c $< -o $@ 2> $@.ptxas; status=$$?; \
	    grep -v '$(said_by_ptxas)' $@.ptxas >&2; exit $$status

$(eval $(call written_when_changed,$(BUILD)/with-cuda,CUDA))
$(CUDA_ARCHIVE): $(cuda_members) $(BUILD)/with-cuda
	$(call say,ar,$@)
	@rm -f $@
	$(Q)ar qcs $@ $(cuda_members)

.PHONY: cuda-objects
cuda-objects: $(CUDA_OBJECTS)
	@$(if $(NVCC),,echo "no nvcc: the CUDA kernels are not compiled for a GPU; tests/cuda_on_cpu still runs them")
