// The CPU, for the tests of ops.

#include <cstdlib>

#include "kernels/cpu_isa.h"
#include "kernels/device.h"
#include "tests/support/op_test.h"

namespace scene::test {
namespace {

constexpr size_t margin = 256; // a multiple of the alignment that ops may expect
constexpr unsigned char sentinel = 0xA5;

class Cpu final : public TestDevice {
public:
    explicit Cpu(int threads) : threads_(threads), device_(make_cpu_device(threads)) {}

    DeviceKind kind() const override { return DeviceKind::Cpu; }
    std::string name() const override {
        return "the CPU (x86-64-" + std::string(chosen_cpu_kernels().isa) + "), " + std::to_string(threads_) +
               (threads_ == 1 ? " thread" : " threads");
    }
    Device& device() override { return *device_; }
    std::vector<DType> activation_types() const override { return {DType::F32}; }
    bool checks_values() const override { return true; }
    void* allocate(size_t bytes) override {
        const size_t whole = (bytes + 2 * margin + margin - 1) / margin * margin;
        auto* memory = static_cast<unsigned char*>(std::aligned_alloc(margin, whole));
        std::memset(memory, sentinel, whole);
        std::memset(memory + margin, 0xFF, bytes);
        sizes_[memory + margin] = bytes;
        return memory + margin;
    }
    void release(void* memory) override {
        auto* first = static_cast<unsigned char*>(memory) - margin;
        const unsigned char* behind = static_cast<unsigned char*>(memory) + sizes_.at(memory);
        for (size_t i = 0; i < margin; ++i) {
            if (first[i] == sentinel && (i >= 64 || behind[i] == sentinel)) continue;
            ADD_FAILURE() << "memory around an operand of " << sizes_.at(memory) << " bytes was written";
            break;
        }
        sizes_.erase(memory);
        std::free(first);
    }

private:
    int threads_;
    std::unique_ptr<Device> device_;
    std::map<void*, size_t> sizes_;
};

} // namespace

std::vector<TestDevice*> devices() {
    static Cpu two(2);
    return {&two};
}

std::vector<TestDevice*> twins_of(const TestDevice&) {
    static Cpu one(1), three(3);
    return {&one, &three};
}

} // namespace scene::test
