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
        : half_(precision == Precision::Fp16),
          device_(make_cuda_device({.precision = precision, .fusions = Fusions::Always})) {}

    DeviceKind kind() const override { return DeviceKind::Gpu; }
    std::string name() const override { return half_ ? "the GPU, F16" : "the GPU, F32"; }
    Device& device() override { return *device_; }
    std::vector<DType> activation_types() const override { return {half_ ? DType::F16 : DType::F32}; }
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
    bool has_tf32_products() const override { return half_; }
    int orders() const override { return 3; }

private:
    bool half_;
    std::unique_ptr<Device> device_;
};

} // namespace

std::vector<TestDevice*> devices() {
    static Gpu single(Precision::Fp32), half(Precision::Fp16);
    return {&single, &half};
}

std::vector<TestDevice*> twins_of(const TestDevice&) { return {}; }

} // namespace scene::test
