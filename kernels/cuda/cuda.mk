# CUDA objects, where there is an nvcc: warnings are errors, for the H100 (compute capability 9.0).

NVCC      ?= $(firstword $(shell command -v nvcc) $(wildcard /usr/local/cuda/bin/nvcc))
CUDA_ARCH ?= 90
NVCCFLAGS := -std=c++20 -O2 -lineinfo -gencode arch=compute_$(CUDA_ARCH),code=sm_$(CUDA_ARCH) -I. \
             -Werror all-warnings -Xcompiler -Wall,-Wextra,-Werror
CUDA_OBJECTS := $(if $(NVCC),$(patsubst %.cu,$(BUILD)/%.cu.o,$(wildcard kernels/cuda/*.cu)))

$(BUILD)/kernels/cuda/%.cu.o: kernels/cuda/%.cu
	@mkdir -p $(@D)
	$(NVCC) $(NVCCFLAGS) -MMD -MP -MF $(@:.o=.d) -c $< -o $@

.PHONY: cuda-objects
cuda-objects: $(CUDA_OBJECTS)
	@$(if $(NVCC),,echo "no nvcc: the CUDA kernels are not compiled for a GPU; tests/cuda_on_cpu still runs them")
