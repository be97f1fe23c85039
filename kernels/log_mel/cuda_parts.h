#pragma once

// Shared by the two CUDA implementations of log-mel: the kernel with its own FFT (cuda.cu) and the baseline with cuFFT
// (kernels/cuda/cufft/log_mel.cu).

#include "kernels/cuda/common/operands.h"
#include "kernels/log_mel/cuda_tables.h"
#include "kernels/log_mel/log_mel_operands.h"

namespace scene::cuda {

constexpr int log_mel_chunk_frames = 4; ///< frames of a block, computed one after another

/// Blocks for the frames of one clip.
inline int64_t log_mel_chunks(const LogMelSpec& spec) { return divide_up(spec.all_frames(), log_mel_chunk_frames); }
/// Bytes of the chunks' peaks, f32 [clips, chunks].
inline size_t log_mel_peaks_bytes(int64_t clips, const LogMelSpec& spec) {
    return static_cast<size_t>(clips * log_mel_chunks(spec)) * sizeof(float);
}

/// Clips are along the grid's y, which has at most 65535 blocks.
inline void check_log_mel_grid(int64_t clips) {
    SCENE_CHECK(clips > 0 && clips <= 65535, "log_mel of " + std::to_string(clips) + " clips");
}

/// Queues the kernel for the floor: out = max(out, peak - top_db), where `peak` is the largest of the clip's peaks. out
/// [clips, frames, bands], peaks [clips, chunks].
void raise_to_floor(float* out, const float* peaks, int64_t clips, const LogMelSpec& spec, cudaStream_t stream);

/// Sample i of a frame times the window; 0 outside the clip.
__device__ inline double windowed_sample(const float* samples, const LogMelTable& table, const LogMelSpec& spec,
                                         int frame, int i) {
    const int at = frame * spec.hop - spec.n_fft / 2 + i;
    return at >= 0 && at < spec.samples ? static_cast<double>(samples[at]) * table.window[i] : 0.0;
}

/// 10 log10(max(x, 1e-10)); NaN if x is not finite.
__device__ inline float decibels_of(float x) {
    const float clamped = x < 1e-10f ? 1e-10f : x;
    return 10 * log10f(clamped) + 0 * clamped; // NaN where x is not finite
}

/// Filter bank and decibels of one frame, from its magnitudes [n_fft/2 + 1] in shared memory, by all warps of a block:
/// one warp for each band in turn. `row` [bands] is null for a frame that is not kept. Returns the maximum of `peak`
/// and this warp's bands.
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
