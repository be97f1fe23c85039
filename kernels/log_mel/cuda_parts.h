#pragma once

// What both ways from wave to log-mel share: the kernel that transforms in shared memory (cuda.cu) and the kernels
// around a library's transform (cuda_by_library.cu).

#include "kernels/cuda/common/operands.h"
#include "kernels/log_mel/cuda_tables.h"
#include "kernels/log_mel/log_mel_operands.h"

namespace scene::cuda {

constexpr int log_mel_piece = 4; ///< frames that a block computes, one after another

inline int64_t log_mel_pieces(const LogMelSpec& spec) { return divide_up(spec.all_frames(), log_mel_piece); }
/// Of the peaks, f32 [clips, pieces].
inline size_t log_mel_peaks_bytes(int64_t clips, const LogMelSpec& spec) {
    return static_cast<size_t>(clips * log_mel_pieces(spec)) * sizeof(float);
}

/// Clips are along a grid's y.
inline void check_log_mel_grid(int64_t clips) {
    SCENE_CHECK(clips > 0 && clips <= 65535, "log_mel of " + std::to_string(clips) + " clips");
}

/// Queues the floor: values of out [clips, frames, bands] below their clip's peak - top_db rise to it. peaks
/// [clips, pieces].
void raise_to_floor(float* out, const float* peaks, int64_t clips, const LogMelSpec& spec, cudaStream_t stream);

/// Sample i of a frame, under the window; zeros before the clip and after it.
__device__ inline double windowed_sample(const float* samples, const LogMelTable& table, const LogMelSpec& spec,
                                         int frame, int i) {
    const int at = frame * spec.hop - spec.n_fft / 2 + i;
    return at >= 0 && at < spec.samples ? static_cast<double>(samples[at]) * table.window[i] : 0.0;
}

__device__ inline float decibels_of(float x) {
    const float clamped = x < 1e-10f ? 1e-10f : x;
    return 10 * log10f(clamped) + 0 * clamped; // NaN where x is not finite
}

/// The bands of one frame from its magnitudes [n_fft/2 + 1] in shared memory: a warp for each, all of the block's
/// warps. `row` [bands] is null for a frame that is not kept. Returns the larger of `peak` and this warp's bands.
__device__ inline float filter_frame(float* row, const float* magnitude, const LogMelTable& table, int bands,
                                     float peak) {
    const int thread = static_cast<int>(threadIdx.x), warp = thread / warp_lanes, lane = thread % warp_lanes;
    for (int band = warp; band < bands; band += block_threads / warp_lanes) {
        const float* from = magnitude + table.first_bin[band];
        const float* weights = table.weights + table.offset[band];
        const int bins = table.offset[band + 1] - table.offset[band];
        float sum = 0;
        for (int i = lane; i < bins; i += warp_lanes) sum = fmaf(weights[i], from[i], sum);
        const float value = decibels_of(warp_sum(sum));
        peak = larger(peak, value);
        if (lane == 0 && row) row[band] = value;
    }
    return peak;
}

} // namespace scene::cuda
