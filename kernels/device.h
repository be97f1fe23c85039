#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kernels/planner.h"

namespace scene {

/// What `scene info` shows of a device.
struct DeviceInfo {
    std::string name;             ///< "AMD EPYC, x86-64-v4, 2 threads"
    std::string libraries;        ///< "oneDNN 2.6.3"
    uint64_t memory_bytes = 0;    ///< of the whole device
    uint64_t allocated_bytes = 0; ///< by this object, now
};

/// Memory, a queue, and the ops that run on it. Ops are queued in order and may run asynchronously; `download` and
/// `synchronize` wait for them. From its second call with the same shapes on, an op neither allocates device memory,
/// nor builds plans, nor waits.
class Device {
public:
    virtual ~Device() = default;

    virtual DeviceInfo info() const = 0;
    virtual const Planner& planner() const = 0;
    /// Chooses how convolutions of these shapes are computed, by measurement where there is a choice. Call it before
    /// programs with these shapes are built: the planner of a device with a choice rejects all others. Shapes that were
    /// tuned before cost nothing.
    virtual void autotune(const std::vector<Conv2dShape>& /*shapes*/) {}
    /// Zeroed device memory, 256-byte aligned. Throws Error with the number of bytes if there is too little.
    virtual void* allocate(size_t bytes) = 0;
    virtual void release(void* memory) = 0;
    /// Makes host memory readable by ops: the same pointer on a CPU, an uploaded copy on a GPU. The host memory must
    /// live until `release_import`.
    virtual void* import(const void* host, size_t bytes) = 0;
    virtual void release_import(void* memory) = 0;
    virtual void upload(void* device, const void* host, size_t bytes) = 0;
    virtual void download(void* host, const void* device, size_t bytes) = 0;
    virtual void synchronize() = 0;
    /// Records the op calls of `ops` and returns a function that replays them with the same tensors: a CUDA graph on a
    /// GPU, `ops` itself on a CPU.
    virtual std::function<void()> record(std::function<void()> ops) = 0;
    /// Seconds that the device needs for what `ops` queues; waits for it.
    virtual double seconds_of(const std::function<void()>& ops) = 0;

    /// Begins a named range in a profiler's trace, which `end_range` ends: NVTX on a GPU, nothing on a CPU.
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

/// The CPU: oneDNN, OpenMP and SIMD, at the level of chosen_cpu_kernels() (kernels/cpu_isa.h). `threads` 0: one for
/// each processor that OpenMP sees.
std::unique_ptr<Device> make_cpu_device(int threads);

} // namespace scene
