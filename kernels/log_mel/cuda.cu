// Two kernels: the first takes the wave to decibels in shared memory (window, FFT, magnitude, filter bank, decibels),
// the second applies the floor, which needs the clip's largest value.
//
// The FFT is in double: bands down to 80 dB below the peak are kept, a factor of 1e-8 in magnitude, which is below the
// rounding of float. A frame of n real samples is one complex FFT of n/2 points, x[2i] + j x[2i + 1]. Packing two
// frames into one FFT of n points would let the rounding errors of a loud frame reach a quiet one.

#include "kernels/log_mel/log_mel.h"

#include <cmath>
#include <numbers>

#include "kernels/cuda/context.h"
#include "kernels/cuda/launch.h"
#include "kernels/log_mel/cuda_parts.h"
#include "kernels/log_mel/mel_filter_bank.h"

namespace scene::cuda {
namespace {

__device__ double2 add(double2 a, double2 b) { return make_double2(a.x + b.x, a.y + b.y); }
__device__ double2 subtract(double2 a, double2 b) { return make_double2(a.x - b.x, a.y - b.y); }
__device__ double2 multiply(double2 a, double2 b) { return make_double2(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x); }

/// Stockham's FFT of `size` points (a power of two): passes of radix 4, and a last one of radix 2 if needed. Input and
/// output are in natural order. The passes alternate between the two buffers; returns the one with the result. Begins
/// and ends with a barrier.
__device__ const double2* transform(double2* from, double2* to, const double2* twiddle, int size, int n_fft) {
    int length = size, stride = 1;
    __syncthreads();
    for (; length >= 4; length /= 4, stride *= 4) {
        for (int i = static_cast<int>(threadIdx.x); i < size / 4; i += block_threads) {
            const int p = i / stride, q = i % stride, turn = p * (n_fft / length);
            const double2 a = from[i], b = from[i + size / 4], c = from[i + size / 2], d = from[i + size / 4 * 3];
            const double2 sum_ac = add(a, c), difference_ac = subtract(a, c), sum_bd = add(b, d);
            const double2 turned_bd = make_double2(d.y - b.y, b.x - d.x); // i*(b - d)
            double2* out = to + q + stride * 4 * p;
            out[0] = add(sum_ac, sum_bd);
            out[stride] = multiply(twiddle[turn], subtract(difference_ac, turned_bd));
            out[2 * stride] = multiply(twiddle[2 * turn], subtract(sum_ac, sum_bd));
            out[3 * stride] = multiply(twiddle[3 * turn], add(difference_ac, turned_bd));
        }
        __syncthreads();
        double2* const swapped = from;
        from = to;
        to = swapped;
    }
    if (length == 2) {
        for (int i = static_cast<int>(threadIdx.x); i < size / 2; i += block_threads) {
            const double2 a = from[i], b = from[i + size / 2];
            to[i] = add(a, b);
            to[i + size / 2] = subtract(a, b);
        }
        __syncthreads();
        return to;
    }
    return from;
}

/// One block for each chunk of log_mel_chunk_frames frames (grid x) of a clip (grid y). Writes the kept frames, without
/// the floor, and peaks [N, chunks], the largest value of all frames of a chunk.
__global__ void __launch_bounds__(block_threads)
    mel_decibels(float* out, float* peaks, const float* wave, LogMelTable table, LogMelSpec spec) {
    const int points = spec.n_fft / 2;
    double2* buffer = dynamic_shared<double2>();                 // [n_fft/2]
    double2* other = buffer + points;                            // [n_fft/2]
    float* magnitude = reinterpret_cast<float*>(other + points); // [n_fft/2 + 1]
    float* warp_peaks = magnitude + points + 1;                  // [warps]
    const int thread = static_cast<int>(threadIdx.x), first_frame = static_cast<int>(blockIdx.x) * log_mel_chunk_frames;
    const int all_frames = 1 + spec.samples / spec.hop;
    const float* samples = wave + static_cast<int64_t>(blockIdx.y) * spec.samples;
    float* kept = out + static_cast<int64_t>(blockIdx.y) * spec.frames * spec.bands;

    float peak = -INFINITY;
    for (int frame = first_frame; frame < first_frame + log_mel_chunk_frames && frame < all_frames; ++frame) {
        const auto windowed = [&](int i) { return windowed_sample(samples, table, spec, frame, i); };
        for (int i = thread; i < points; i += block_threads)
            buffer[i] = make_double2(windowed(2 * i), windowed(2 * i + 1));
        const double2* z = transform(buffer, other, table.twiddle, points, spec.n_fft);
        for (int k = thread; k <= points; k += block_threads) {
            const double2 a = z[k % points], b = z[(points - k) % points];
            const double2 even = make_double2(a.x + b.x, a.y - b.y), odd = make_double2(a.y + b.y, b.x - a.x);
            const double2 twice = add(even, multiply(table.twiddle[k], odd));
            magnitude[k] = static_cast<float>(0.5 * sqrt(twice.x * twice.x + twice.y * twice.y));
        }
        __syncthreads();
        float* row = frame < spec.frames ? kept + static_cast<int64_t>(frame) * spec.bands : nullptr;
        peak = filter_frame(row, magnitude, table, spec.bands, peak);
    }
    peak = block_max(peak, warp_peaks);
    if (thread == 0) peaks[static_cast<int64_t>(blockIdx.y) * gridDim.x + blockIdx.x] = peak;
}

/// The clips are along the grid's y; the blocks along x share a clip's values. Each finds the clip's peak by itself.
__global__ void __launch_bounds__(block_threads)
    raise_values(float* out, const float* peaks, int chunks, int64_t clip_values, float top_db) {
    float* shared = dynamic_shared<float>();
    float peak = -INFINITY;
    for (int i = static_cast<int>(threadIdx.x); i < chunks; i += block_threads)
        peak = larger(peak, peaks[static_cast<int64_t>(blockIdx.y) * chunks + i]);
    const float floor = block_max(peak, shared) - top_db;
    float* values = out + static_cast<int64_t>(blockIdx.y) * clip_values;
    for (int64_t i = thread_in_grid(); i < clip_values; i += static_cast<int64_t>(gridDim.x) * block_threads)
        if (values[i] < floor) values[i] = floor;
}

} // namespace

void raise_to_floor(float* out, const float* peaks, int64_t clips, const LogMelSpec& spec, cudaStream_t stream) {
    const int64_t clip_values = static_cast<int64_t>(spec.frames) * spec.bands;
    const int64_t parts = std::min<int64_t>(divide_up(clip_values, 8 * block_threads), 65535);
    launch(raise_values, dim3(static_cast<unsigned>(parts), static_cast<unsigned>(clips)), dim3(block_threads),
           block_threads / warp_lanes * sizeof(float), stream, out, peaks, static_cast<int>(log_mel_chunks(spec)),
           clip_values, spec.top_db);
}

LogMelTable LogMelTables::get(const LogMelSpec& spec) {
    for (const auto& [made_for, table] : tables_)
        if (made_for == spec) return table;
    const MelFilterBank bank = mel_filter_bank(spec);
    std::vector<double> numbers;
    for (int k = 0; k < spec.n_fft; ++k) {
        const double angle = -2 * std::numbers::pi * k / spec.n_fft;
        numbers.push_back(std::cos(angle));
        numbers.push_back(std::sin(angle));
    }
    const int first = (spec.n_fft - spec.window) / 2;
    for (int i = 0; i < spec.n_fft; ++i) {
        const bool inside = i >= first && i < first + spec.window;
        numbers.push_back(inside ? 0.5 - 0.5 * std::cos(2 * std::numbers::pi * (i - first) / spec.window) : 0.0);
    }
    const std::vector<float> weights(bank.weights.begin(), bank.weights.end());

    std::vector<std::byte> bytes;
    const auto append = [&](const auto& values) {
        const auto* from = reinterpret_cast<const std::byte*>(values.data());
        const size_t at = bytes.size();
        bytes.insert(bytes.end(), from, from + values.size() * sizeof(values[0]));
        return at;
    };
    append(numbers);
    const size_t first_bin = append(bank.first_bin), offset = append(bank.offset), of_weights = append(weights);
    const auto* memory = static_cast<const std::byte*>(import_(bytes.data(), bytes.size()));
    const auto* twiddle = reinterpret_cast<const double2*>(memory);
    const LogMelTable table{twiddle, reinterpret_cast<const double*>(twiddle + spec.n_fft),
                            reinterpret_cast<const int32_t*>(memory + first_bin),
                            reinterpret_cast<const int32_t*>(memory + offset),
                            reinterpret_cast<const float*>(memory + of_weights)};
    tables_.emplace_back(spec, table);
    return table;
}

size_t scratch_bytes(const LogMel<TensorSpec>& op, const Planning&) {
    check_log_mel_spec(op.spec);
    return log_mel_peaks_bytes(op.wave.shape[0], op.spec);
}

void run(const LogMel<Tensor>& op, Context& cuda) {
    const LogMelSpec& spec = op.spec;
    const LogMelOperands operands(op);
    check_log_mel_grid(operands.clips);
    auto* peaks = scratch_of<float>(op.scratch, log_mel_peaks_bytes(operands.clips, spec));
    constexpr int warps = block_threads / warp_lanes;
    const auto points = static_cast<size_t>(spec.n_fft / 2);
    const size_t shared = 2 * points * sizeof(double2) + (points + 1 + warps) * sizeof(float);
    SCENE_CHECK(shared <= cuda.limits.block_shared_bytes,
                "an FFT of " + std::to_string(spec.n_fft) + " points needs more shared memory than a block has");
    launch(mel_decibels, dim3(static_cast<unsigned>(log_mel_chunks(spec)), static_cast<unsigned>(operands.clips)),
           dim3(block_threads), shared, cuda.stream, operands.out, peaks, operands.wave, cuda.log_mel_tables->get(spec),
           spec);
    raise_to_floor(operands.out, peaks, operands.clips, spec, cuda.stream);
}

} // namespace scene::cuda
