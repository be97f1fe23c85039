#include "kernels/cpu/cpu_device.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <new>

#include <dnnl.hpp>
#include <omp.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kernels/conv2d/cpu_algorithm.h"
#include "kernels/cpu/convolution_plans.h"
#include "kernels/cpu/variant.h"
#include "kernels/log_mel/cpu_plans.h"

namespace scene::cpu {
namespace {

constexpr size_t huge_page = size_t{2} << 20;

std::string processor_name() {
    std::ifstream info("/proc/cpuinfo");
    for (std::string line; std::getline(info, line);) {
        if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
    }
    return "unknown processor";
}

uint64_t physical_memory() {
    return static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(sysconf(_SC_PAGE_SIZE));
}

struct Functions {
    template <template <class> class Op> static void call(Device& device, const Op<Tensor>& op) {
        Context& cpu = static_cast<CpuDevice&>(device).context();
        static_assert(
            requires { run(op, cpu); }, "the CPU has no run() for this op");
        // For the libraries inside an op. The caller's own setting is restored afterwards.
        const int outside = omp_get_max_threads();
        omp_set_num_threads(cpu.threads);
        struct Restore {
            int threads;
            ~Restore() { omp_set_num_threads(threads); }
        } restore{outside};
        run(op, cpu);
    }
    template <template <class> class Op> static size_t bytes(const Planner& planner, const Op<TensorSpec>& op) {
        if constexpr (requires(const Planning& cpu) { scratch_bytes(op, cpu); })
            return scratch_bytes(op, static_cast<const CpuPlanner&>(planner).planning());
        else
            return 0;
    }
};

} // namespace

CpuPlanner::CpuPlanner(int threads, ConvolutionPlans& convolutions)
    : Planner(scratch_table<Functions>), planning_{threads, convolutions} {}

ConvFusion CpuPlanner::conv2d_fusion(const Conv2dShape& shape) const { return cpu::conv2d_fusion(shape); }

PreparedWeights CpuPlanner::conv2d_prepared_weights(const Conv2dShape& shape) const {
    return cpu::conv2d_prepared_weights(planning_.threads, shape);
}

CpuDevice::CpuDevice(int threads)
    : Device(run_table<Functions>), threads_(threads > 0 ? threads : omp_get_num_procs()),
      convolutions_(std::make_unique<ConvolutionPlans>(threads_)), log_mels_(std::make_unique<LogMelPlans>()),
      planner_(threads_, *convolutions_), context_{threads_, *convolutions_, *log_mels_} {}

CpuDevice::~CpuDevice() = default;

DeviceInfo CpuDevice::info() const {
    const dnnl_version_t* onednn = dnnl_version();
    uint64_t allocated = 0;
    for (const auto& [memory, bytes] : allocations_) allocated += bytes;
    return {fmt::format("{}, {}{}, {} thread{}", processor_name(), isa.starts_with('v') ? "x86-64-" : "", isa, threads_,
                        threads_ == 1 ? "" : "s"),
            fmt::format("oneDNN {}.{}.{}", onednn->major, onednn->minor, onednn->patch), physical_memory(), allocated};
}

void* CpuDevice::allocate(size_t bytes) {
    const size_t unit = bytes < huge_page ? tensor_alignment : huge_page;
    const size_t rounded = (std::max<size_t>(bytes, 1) + unit - 1) / unit * unit;
    void* memory = std::aligned_alloc(unit, rounded);
    if (!memory) fail("cannot allocate {} bytes of memory; use a smaller batch", bytes);
    // Huge pages save the convolutions most TLB misses. Where the kernel refuses them, small pages do.
    if (unit == huge_page) madvise(memory, rounded, MADV_HUGEPAGE);
    std::memset(memory, 0, bytes);
    allocations_[memory] = bytes;
    return memory;
}

void CpuDevice::release(void* memory) {
    allocations_.erase(memory);
    std::free(memory);
}

void* CpuDevice::import(const void* host, size_t) { return const_cast<void*>(host); }

void CpuDevice::release_import(void*) {}

void CpuDevice::upload(void* device, const void* host, size_t bytes) { std::memcpy(device, host, bytes); }

void CpuDevice::download(void* host, const void* device, size_t bytes) { std::memcpy(host, device, bytes); }

void CpuDevice::synchronize() {}

std::function<void()> CpuDevice::record(std::function<void()> ops) { return ops; }

double CpuDevice::seconds_of(const std::function<void()>& ops) {
    const auto start = std::chrono::steady_clock::now();
    ops();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

} // namespace scene::cpu
