#include "tools/bench/calibration.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <vector>

#include <omp.h>

#include "kernels/cpu_isa.h"

namespace scene {
namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

double peak_gflops(const CpuKernels& kernels, int threads, double seconds) {
    constexpr int64_t rounds = 20000;
    volatile float keep = 0;
    double best = 0;
    const Clock::time_point start = Clock::now();
    while (seconds_since(start) < seconds) {
        double slowest = 0;
#pragma omp parallel num_threads(threads) reduction(max : slowest)
        {
#pragma omp barrier
            const Clock::time_point begin = Clock::now();
            const float total = kernels.multiply_add(rounds);
            slowest = seconds_since(begin);
#pragma omp critical
            keep = keep + total;
        }
        best = std::max(best, static_cast<double>(kernels.flop_per_round * rounds) * threads / slowest / 1e9);
    }
    return best;
}

/// A dependent integer addition takes one cycle on every x86-64 and ARM processor of interest.
double clock_ghz() {
    constexpr int64_t additions = 500'000; // a sixth of a millisecond: short enough to fit between two interrupts
    double best = 0;
    for (int repetition = 0; repetition < 100; ++repetition) {
        uint64_t value = 1;
        const Clock::time_point begin = Clock::now();
        for (int64_t i = 0; i < additions / 10; ++i) {
#pragma GCC unroll 10
            for (int j = 0; j < 10; ++j) {
                value += static_cast<uint64_t>(i);
                asm volatile("" : "+r"(value));
            }
        }
        best = std::max(best, static_cast<double>(additions) / seconds_since(begin) / 1e9);
    }
    return best;
}

double copy_gb_per_s(int threads, double seconds) {
    constexpr size_t bytes_per_thread = size_t{64} << 20;
    const size_t bytes = bytes_per_thread * static_cast<size_t>(threads);
    std::vector<char> from(bytes, 1), to(bytes, 0);
    double best = 0;
    const Clock::time_point start = Clock::now();
    while (seconds_since(start) < seconds) {
        const Clock::time_point begin = Clock::now();
#pragma omp parallel num_threads(threads)
        {
            const size_t offset = static_cast<size_t>(omp_get_thread_num()) * bytes_per_thread;
            std::memcpy(to.data() + offset, from.data() + offset, bytes_per_thread);
        }
        best = std::max(best, 2.0 * static_cast<double>(bytes) / seconds_since(begin) / 1e9);
    }
    return best;
}

} // namespace

Calibration calibrate(int threads) {
    const CpuKernels& kernels = chosen_cpu_kernels();
    Calibration result;
    result.threads = threads;
    result.gflops = peak_gflops(kernels, threads, 0.15);
    result.clock_ghz = clock_ghz();
    result.copy_gb_per_s = copy_gb_per_s(threads, 0.15);
    result.flop_per_cycle = result.gflops / threads / result.clock_ghz;
    result.flop_per_cycle_max = 2.0 * 2.0 * kernels.lanes;
    return result;
}

Calibration best_of(const Calibration& a, const Calibration& b) {
    Calibration best = a.gflops >= b.gflops ? a : b;
    best.copy_gb_per_s = std::max(a.copy_gb_per_s, b.copy_gb_per_s);
    return best;
}

} // namespace scene
