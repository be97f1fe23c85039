// The CUDA kernels on the emulator, for the tests of ops.

#include <cuda_runtime.h>

#include "kernels/cuda/cuda_device.h"
#include "kernels/cuda/launch.h"
#include "tests/cuda_on_cpu/library_stand_ins.h"
#include "tests/support/op_test.h"

namespace scene::test {
namespace {

/// One instance for each activation type, since a CudaDevice has only one.
class Emulated final : public TestDevice {
public:
    explicit Emulated(DType activation)
        : activation_(activation),
          device_(activation, convolutions_on_cpu(activation), gemm_on_cpu(), Fusions::Always) {}

    DeviceKind kind() const override { return DeviceKind::Emulator; }
    std::string name() const override { return "CUDA on the emulator, " + std::string(name_of(activation_)); }
    Device& device() override { return device_; }
    std::vector<DType> activation_types() const override { return {activation_}; }
    void* allocate(size_t bytes) override {
        void* memory = nullptr;
        SCENE_CUDA(cudaMalloc(&memory, std::max<size_t>(bytes, 1)));
        return memory;
    }
    void release(void* memory) override {
        EXPECT_EQ(cudaFree(memory), cudaSuccess) << "memory around an operand was written";
    }
    /// Kernels are templates of the activation type: F16 and BF16 differ in their rounding alone, so BF16 needs neither
    /// all orders nor the cases without activations.
    bool only_activations() const override { return activation_ == DType::BF16; }
    int orders() const override { return activation_ == DType::BF16 ? 1 : emulator::orders(); }
    void shuffle(uint64_t seed) override { emulator::shuffle(seed); }

private:
    DType activation_;
    cuda::CudaDevice device_;
};

} // namespace

std::vector<TestDevice*> devices() {
    static Emulated single(DType::F32), half(DType::F16), bfloat(DType::BF16);
    return {&single, &half, &bfloat};
}

std::vector<TestDevice*> twins_of(const TestDevice&) { return {}; }

} // namespace scene::test
