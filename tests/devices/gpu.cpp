// The first GPU, for the tests of ops.

#include <algorithm>
#include <cstdlib>

#include <cuda_runtime.h>

#include "kernels/cuda/gpu.h"
#include "kernels/cuda/launch.h"
#include "tests/support/op_test.h"

namespace scene::test {
namespace {

/// One instance for each precision, since a device has only one activation type. All fusions that the library has run,
/// not only those that are quicker.
class Gpu final : public TestDevice {
public:
    explicit Gpu(Precision precision)
        : activation_(activation_type_of(precision)),
          device_(make_cuda_device({.precision = precision, .fusions = Fusions::Always})) {}

    DeviceKind kind() const override { return DeviceKind::Gpu; }
    std::string name() const override { return "the GPU, " + std::string(name_of(activation_)); }
    Device& device() override { return *device_; }
    std::vector<DType> activation_types() const override { return {activation_}; }
    void* allocate(size_t bytes) override {
        void* memory = nullptr;
        SCENE_CUDA(cudaMalloc(&memory, std::max<size_t>(bytes, 1)));
        // SCENE_LEAVE_MEMORY is for the sanitizer's initcheck.
        if (const char* leave = std::getenv("SCENE_LEAVE_MEMORY"); !leave || !*leave)
            SCENE_CUDA(cudaMemset(memory, 0xFF, bytes));
        SCENE_CUDA(cudaDeviceSynchronize()); // the device's stream does not wait for the default stream
        return memory;
    }
    void release(void* memory) override { EXPECT_EQ(cudaFree(memory), cudaSuccess); }
    bool has_tf32_products() const override { return activation_ != DType::F32; }
    bool only_activations() const override { return activation_ == DType::BF16; }
    int orders() const override { return 3; }

private:
    DType activation_;
    std::unique_ptr<Device> device_;
};

} // namespace

std::vector<TestDevice*> devices() {
    static Gpu single(Precision::Fp32), half(Precision::Fp16), bfloat(Precision::Bf16);
    return {&single, &half, &bfloat};
}

std::vector<TestDevice*> twins_of(const TestDevice&) { return {}; }

} // namespace scene::test
