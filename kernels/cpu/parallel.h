#pragma once

// How CPU ops share work among threads. Work is split by its size alone, and partial sums are added in the order of the
// chunks, so that the bits of a result do not depend on the number of threads.

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "kernels/operands.h"

namespace scene::cpu {

/// Calls work(begin, end) for consecutive chunks of `grain` items that cover [0, count); the last may be shorter.
template <typename Work> void for_chunks(int threads, int64_t count, int64_t grain, Work&& work) {
    const int64_t chunks = (count + grain - 1) / grain;
#pragma omp parallel for num_threads(threads) schedule(dynamic) if (chunks > 1)
    for (int64_t chunk = 0; chunk < chunks; ++chunk) work(chunk * grain, std::min(count, (chunk + 1) * grain));
}

/// How many items of `elements` elements each make a chunk that is worth a task of its own.
inline int64_t grain_for(int64_t elements) { return std::max<int64_t>(1, 32768 / std::max<int64_t>(1, elements)); }

/// Column sums: for each of `groups`, `width` sums over `units` units, each of which contributes `terms` terms.
struct GroupedSum {
    int64_t groups = 1, units = 0, width = 0, terms = 1;

    int64_t units_per_chunk() const {
        const int64_t most_chunks = std::max<int64_t>(1, 64 / groups);
        return std::max((units + most_chunks - 1) / most_chunks, grain_for(width * terms));
    }
    int64_t chunks() const { return (units + units_per_chunk() - 1) / units_per_chunk(); }
    /// Of the partial sums, in double, and of those that each chunk keeps in single precision.
    size_t scratch_bytes() const { return partials() * (sizeof(double) + sizeof(float)); }
    size_t partials() const { return static_cast<size_t>(chunks() * groups * width); }

    template <typename Add> const double* run(int threads, const Tensor& scratch, Add&& add) const {
        return run(threads, scratch_of<double>(scratch, scratch_bytes()), add);
    }

    /// add(group, begin, end, sums) adds the units [begin, end) of a group to `sums`, `width` floats. At most about 64
    /// terms are added in single precision, and those sums in double. `partial` has scratch_bytes(); the returned sums
    /// [groups, width] are at its front.
    template <typename Add> const double* run(int threads, double* partial, Add&& add) const {
        constexpr int64_t terms_in_float = 64;
        const int64_t chunk_units = units_per_chunk(), group_chunks = chunks();
        const int64_t step = std::max<int64_t>(1, terms_in_float / terms);
        for_chunks(threads, groups * group_chunks, 1, [&](int64_t item, int64_t) {
            const int64_t group = item / group_chunks, chunk = item % group_chunks;
            double* total = partial + (chunk * groups + group) * width;
            std::fill_n(total, width, 0.0);
            float* sum = reinterpret_cast<float*>(partial + partials()) + (chunk * groups + group) * width;
            const int64_t end = std::min(units, (chunk + 1) * chunk_units);
            for (int64_t begin = chunk * chunk_units; begin < end; begin += step) {
                std::fill_n(sum, width, 0.0f);
                add(group, begin, std::min(end, begin + step), sum);
#pragma omp simd
                for (int64_t i = 0; i < width; ++i) total[i] += static_cast<double>(sum[i]);
            }
        });
        for (int64_t chunk = 1; chunk < group_chunks; ++chunk) {
            const double* other = partial + chunk * groups * width;
#pragma omp simd
            for (int64_t i = 0; i < groups * width; ++i) partial[i] += other[i];
        }
        return partial;
    }
};

} // namespace scene::cpu
