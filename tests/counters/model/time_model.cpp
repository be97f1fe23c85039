#include "tests/counters/model/time_model.h"

#include <algorithm>
#include <cmath>

#include "tests/counters/counter_names.h"
#include "tests/counters/model/constants.h"

namespace scene::counters {
namespace {

constexpr double sector_bytes = 32, lanes = 32;

double count(const std::array<uint32_t, 3>& extent) { return static_cast<double>(extent[0]) * extent[1] * extent[2]; }

/// Seconds that the loads of a warp take one after another, `in_flight` at a time, for every round of blocks. The
/// busier the memory, the later it answers.
double latency_seconds(const KernelCounters& kernel, const GpuProperties& gpu, double warps, double rounds,
                       double in_flight, double memory_seconds) {
    const AccessCounts& loads = kernel.access[static_cast<size_t>(AccessKind::GlobalLoad)];
    if (loads.requests == 0) return 0;
    const double from_memory = std::min(1.0, kernel.distinct_bytes_read / std::max(1.0, loads.sectors * sector_bytes));
    const double cycles = from_memory * dram_latency_cycles + (1 - from_memory) * l2_latency_cycles;
    const double idle = rounds * std::max(1.0, loads.requests / warps / in_flight) * cycles / gpu.clock_hz;
    return idle * (1 + (latency_under_load - 1) * std::min(1.0, memory_seconds / idle));
}

} // namespace

std::string_view name_of(Bound bound) {
    switch (bound) {
    case Bound::Memory: return "memory";
    case Bound::L2: return "L2";
    case Bound::L1: return "L1";
    case Bound::Issue: return "issue";
    case Bound::Latency: return "latency";
    }
    return "";
}

PredictedTime predict(const KernelCounters& kernel, const GpuProperties& gpu,
                      const std::optional<KernelResources>& resources,
                      const std::optional<IssuedInstructions>& instructions) {
    PredictedTime time;
    const double blocks = count(kernel.grid), threads = count(kernel.block), sms = gpu.multiprocessors;
    const double warps = blocks * std::ceil(threads / lanes);
    // The multiprocessor with most blocks has this many times the mean.
    const double imbalance = std::ceil(blocks / sms) / (blocks / sms);

    const AccessCounts global = global_access(kernel.access), shared = shared_access(kernel.access);
    const double sectors = global.sectors;
    time.memory = (kernel.distinct_bytes_read + kernel.distinct_bytes_written) / gpu.dram_bytes_per_s;
    time.l2 = sectors * sector_bytes / gpu.l2_bytes_per_s;
    const double l1_cycles = shared.wavefronts + std::max(sectors * sector_bytes / l1_bytes_per_cycle, global.requests);
    time.l1 = imbalance * l1_cycles / sms / gpu.clock_hz;
    if (instructions) {
        const double cycles = std::max(instructions->warp_instructions / schedulers,
                                       instructions->double_precision * lanes / double_lanes(gpu.architecture()));
        time.issue = imbalance * cycles / sms / gpu.clock_hz;
    }
    if (resources) {
        time.occupancy = occupancy(gpu, resources->registers, static_cast<int64_t>(threads),
                                   resources->static_shared_bytes + static_cast<int64_t>(kernel.shared_bytes));
        if (time.occupancy->blocks > 0) {
            time.rounds = blocks / (sms * time.occupancy->blocks);
            const double in_flight = instructions && instructions->loads_in_flight > 0 ? instructions->loads_in_flight
                                                                                       : assumed_loads_in_flight;
            time.latency = latency_seconds(kernel, gpu, warps, std::ceil(time.rounds), in_flight, time.memory);
        }
    }
    double longest = time.memory;
    const auto consider = [&](Bound bound, double seconds) {
        if (seconds > longest) longest = seconds, time.bound = bound;
    };
    consider(Bound::L2, time.l2);
    consider(Bound::L1, time.l1);
    consider(Bound::Issue, time.issue.value_or(0));
    consider(Bound::Latency, time.latency.value_or(0));
    time.seconds = longest + launch_seconds;
    return time;
}

} // namespace scene::counters
