#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kernels/planner.h"

namespace scene {

/// One line about a device for `scene info`.
struct DeviceInfo {
    std::string name;      ///< "AMD EPYC, x86-64-v4, 2 threads"
    std::string libraries; ///< "oneDNN 2.6.3"
    uint64_t memory_bytes = 0;
    uint64_t allocated_bytes = 0; ///< what this device object holds now
};

/// Memory, a queue, and the ops that run on it. Ops are queued in order and may run asynchronously; `download` and
/// `synchronize` wait for them. No op allocates device memory, builds plans or waits when it is called a second time
/// with the same shapes.
class Device {
public:
    virtual ~Device() = default;

    virtual DeviceInfo info() const = 0;
    virtual const Planner& planner() const = 0;
    /// Decides how convolutions of these shapes are computed, by measurement where there is a choice; before programs
    /// with them are built. The planner of a device with a choice knows no other shapes. Nothing is left to do for
    /// shapes that were given before.
    virtual void autotune(const std::vector<Conv2dShape>& /*shapes*/) {}
    /// 256-byte aligned device memory, zeroed; throws Error naming the bytes asked for when there is too little.
    virtual void* allocate(size_t bytes) = 0;
    virtual void release(void* memory) = 0;
    /// Makes host memory readable by ops: the same pointer on a CPU, an uploaded copy on a GPU. `release_import`
    /// gives it back; the host memory must outlive it.
    virtual void* import(const void* host, size_t bytes) = 0;
    virtual void release_import(void* memory) = 0;
    virtual void upload(void* device, const void* host, size_t bytes) = 0;
    virtual void download(void* host, const void* device, size_t bytes) = 0;
    virtual void synchronize() = 0;
    /// Turns a sequence of op calls into something that replays them with the same tensors: a CUDA graph on a
    /// GPU, `ops` itself on a CPU.
    virtual std::function<void()> record(std::function<void()> ops) = 0;
    /// Seconds that the device spends on what `ops` queues; waits for it.
    virtual double seconds_of(const std::function<void()>& ops) = 0;

    /// What is called until `end_range` belongs to `name`: an NVTX range on a GPU, nothing on a CPU.
    virtual void begin_range(const std::string& /*name*/) {}
    virtual void end_range() {}

    template <template <class> class Op> void run(const Op<Tensor>& op) {
        std::get<table::Entry<Op>>(run_).run(*this, op);
    }

protected:
    explicit Device(const RunTable& run) : run_(run) {}

private:
    const RunTable& run_;
};

/// The CPU: oneDNN, OpenMP and SIMD, compiled for the best that this processor has (kernels/cpu_isa.h). `threads` 0
/// means all cores.
std::unique_ptr<Device> make_cpu_device(int threads);

} // namespace scene
