#pragma once

// Shared by the two CUDA implementations of log-mel: the kernel with its own FFT (cuda.cu) and the baseline with cuFFT
// (kernels/cuda/cufft/log_mel.cu).

#include "kernels/cuda/common/operands.h"
#include "kernels/log_mel/cuda_tables.h"
#include "kernels/log_mel/log_mel_operands.h"

namespace scene::cuda {

constexpr int log_mel_chunk_frames = 4; ///< frames of a block; filter_chunk has this number, too

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

/// Bytes of shared memory for filter_chunk: magnitudes, decibels and the warps' peaks, in this order.
inline size_t log_mel_filter_bytes(const LogMelSpec& spec) {
    const int values = log_mel_chunk_frames * (spec.n_fft / 2 + 1 + spec.bands) + block_threads / warp_lanes;
    return static_cast<size_t>(values) * sizeof(float);
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

/// Frames of the chunk that begins with this one.
__device__ inline int frames_of_chunk(const LogMelSpec& spec, int first_frame) {
    const int left = 1 + spec.samples / spec.hop - first_frame;
    return left < log_mel_chunk_frames ? left : log_mel_chunk_frames;
}

/// The sum of value[f] over a warp, for four f: in lane l, that of f = l/8. Each sum has the order of warp_sum.
__device__ inline float four_warp_sums(const float (&value)[4]) {
    const int lane = static_cast<int>(threadIdx.x) % warp_lanes;
    const bool upper_half = lane / 16 == 1, upper_quarter = lane / 8 % 2 == 1;
    float pair[2];
#pragma unroll
    for (int i = 0; i < 2; ++i) {
        const float given = upper_half ? value[i] : value[2 + i];
        pair[i] = (upper_half ? value[2 + i] : value[i]) + __shfl_xor_sync(all_lanes, given, 16);
    }
    const float given = upper_quarter ? pair[0] : pair[1];
    float sum = (upper_quarter ? pair[1] : pair[0]) + __shfl_xor_sync(all_lanes, given, 8);
    for (int lanes = 4; lanes > 0; lanes /= 2) sum += __shfl_xor_sync(all_lanes, sum, lanes);
    return sum;
}

/// Filter bank and decibels of a chunk's frames, from their magnitudes [frames][n_fft/2 + 1] in shared memory, by all
/// warps of a block: one warp for each band in turn. Writes decibels [frames][bands] to shared memory, the kept frames
/// to the clip's out [frames, bands], and the chunk's largest value to *peak_of_chunk. `warp_peaks` has one float for
/// each warp.
__device__ inline void filter_chunk(float* out, float* peak_of_chunk, float* decibels, float* warp_peaks,
                                    const float* magnitude, const LogMelTable& table, const LogMelSpec& spec,
                                    int first_frame) {
    const int thread = static_cast<int>(threadIdx.x), warp = thread / warp_lanes, lane = thread % warp_lanes;
    const int bins = spec.n_fft / 2 + 1, frames = frames_of_chunk(spec, first_frame), own = lane / 8;
    float peak = -INFINITY;
    for (int band = warp; band < spec.bands; band += block_threads / warp_lanes) {
        const float* from = magnitude + table.first_bin[band];
        const float* weights = table.weights + table.offset[band];
        const int count = table.offset[band + 1] - table.offset[band];
        float sum[log_mel_chunk_frames] = {};
        for (int i = lane; i < count; i += warp_lanes) {
            const float weight = weights[i];
#pragma unroll
            for (int f = 0; f < log_mel_chunk_frames; ++f)
                if (f < frames) sum[f] = fmaf(weight, from[f * bins + i], sum[f]);
        }
        const float value = decibels_of(four_warp_sums(sum)); // beyond the clip -100, the least that there is
        peak = larger(peak, value);
        if (lane % 8 == 0) decibels[own * spec.bands + band] = value;
    }
    peak = block_max(peak, warp_peaks); // and a barrier
    if (thread == 0) *peak_of_chunk = peak;
    const int left = spec.frames - first_frame, kept = left < frames ? left : frames;
    float* rows = out + static_cast<int64_t>(first_frame) * spec.bands;
    for (int i = thread; i < kept * spec.bands; i += block_threads) rows[i] = decibels[i];
}

} // namespace scene::cuda
