#pragma once

// How CPU ops share work among threads. Work is cut by its size alone and partial sums are merged in the order
// of the pieces, so that the bits of a result do not depend on the number of threads.

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "kernels/operands.h"

namespace scene::cpu {

/// Calls work(begin, end) for consecutive pieces of `grain` items that cover [0, count).
template <typename Work> void for_pieces(int threads, int64_t count, int64_t grain, Work&& work) {
    const int64_t pieces = (count + grain - 1) / grain;
#pragma omp parallel for num_threads(threads) schedule(dynamic) if (pieces > 1)
    for (int64_t piece = 0; piece < pieces; ++piece) work(piece * grain, std::min(count, (piece + 1) * grain));
}

/// Items of `elements` elements each that make a piece long enough to be worth handing to a thread.
inline int64_t grain_for(int64_t elements) { return std::max<int64_t>(1, 32768 / std::max<int64_t>(1, elements)); }

/// Column sums: for each of `groups`, `width` sums over `units` units, each of which contributes `terms` terms.
struct GroupedSum {
    int64_t groups = 1, units = 0, width = 0, terms = 1;

    int64_t units_per_piece() const {
        const int64_t most_pieces = std::max<int64_t>(1, 64 / groups);
        return std::max((units + most_pieces - 1) / most_pieces, grain_for(width * terms));
    }
    int64_t pieces() const { return (units + units_per_piece() - 1) / units_per_piece(); }
    /// For the partial sums, and for those that each piece holds in single precision.
    size_t scratch_bytes() const { return partials() * (sizeof(double) + sizeof(float)); }
    size_t partials() const { return static_cast<size_t>(pieces() * groups * width); }

    template <typename Add> const double* run(int threads, const Tensor& scratch, Add&& add) const {
        return run(threads, scratch_of<double>(scratch, scratch_bytes()), add);
    }

    /// add(group, begin, end, sums) adds the units [begin, end) of a group to `sums`, `width` floats. Single
    /// precision holds at most about 64 terms at a time; doubles carry the rest. Returns the sums [groups, width],
    /// which stand at the front of `partial`, memory of scratch_bytes().
    template <typename Add> const double* run(int threads, double* partial, Add&& add) const {
        constexpr int64_t terms_in_float = 64;
        const int64_t piece_units = units_per_piece(), group_pieces = pieces();
        const int64_t step = std::max<int64_t>(1, terms_in_float / terms);
        for_pieces(threads, groups * group_pieces, 1, [&](int64_t item, int64_t) {
            const int64_t group = item / group_pieces, piece = item % group_pieces;
            double* total = partial + (piece * groups + group) * width;
            std::fill_n(total, width, 0.0);
            float* sum = reinterpret_cast<float*>(partial + partials()) + (piece * groups + group) * width;
            const int64_t end = std::min(units, (piece + 1) * piece_units);
            for (int64_t begin = piece * piece_units; begin < end; begin += step) {
                std::fill_n(sum, width, 0.0f);
                add(group, begin, std::min(end, begin + step), sum);
#pragma omp simd
                for (int64_t i = 0; i < width; ++i) total[i] += static_cast<double>(sum[i]);
            }
        });
        for (int64_t piece = 1; piece < group_pieces; ++piece) {
            const double* other = partial + piece * groups * width;
#pragma omp simd
            for (int64_t i = 0; i < groups * width; ++i) partial[i] += other[i];
        }
        return partial;
    }
};

} // namespace scene::cpu
