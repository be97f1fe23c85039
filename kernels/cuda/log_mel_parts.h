#pragma once

// What both ways from wave to log-mel share: the kernel that transforms in shared memory (log_mel.cu) and the kernels
// around a library's transform (log_mel_by_library.cu).

#include "kernels/cuda/device.h"
#include "kernels/cuda/operands.h"

namespace scene::cuda {

constexpr int log_mel_piece = 4; ///< frames that a block computes, one after another

/// Constant operands, one after another in device memory, as log_mel_table makes them.
struct LogMelTable {
    const double2* twiddle; ///< [n_fft]: exp(-2 pi i k / n_fft)
    const double* window;   ///< [n_fft]: the periodic Hann window, centred in zeros
    const int32_t* first_bin;
    const int32_t* offset;
    const float* weights;

    LogMelTable(const Tensor& table, const LogMelSpec& spec) {
        SCENE_CHECK(table && table.dtype == DType::U8 && reinterpret_cast<uintptr_t>(table.data) % 16 == 0,
                    "the table of log_mel is absent or not aligned");
        twiddle = static_cast<const double2*>(table.data);
        window = reinterpret_cast<const double*>(twiddle + spec.n_fft);
        first_bin = reinterpret_cast<const int32_t*>(window + spec.n_fft);
        offset = first_bin + spec.bands;
        weights = reinterpret_cast<const float*>(offset + spec.bands + 1);
    }
};

/// Checked operands of a log_mel.
struct LogMelOperands {
    int64_t clips, all_frames, pieces;
    const float* wave;
    float* values;

    LogMelOperands(const Tensor& out, const Tensor& wave, const LogMelSpec& spec);
};

void check_log_mel_spec(const LogMelSpec& spec);
inline int64_t log_mel_frames(const LogMelSpec& spec) { return 1 + spec.samples / spec.hop; }
inline int64_t log_mel_pieces(const LogMelSpec& spec) { return divide_up(log_mel_frames(spec), log_mel_piece); }

/// Queues the floor: values [clips, frames, bands] below their clip's peak - top_db rise to it. peaks [clips, pieces].
void raise_to_floor(float* values, const float* peaks, int64_t clips, const LogMelSpec& spec, cudaStream_t stream);

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
