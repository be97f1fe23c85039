// Two kernels: the first takes the wave to decibels in shared memory (window, FFT, magnitude, filter bank, decibels),
// the second applies the floor, which needs the clip's largest value.
//
// The FFT is in double: bands down to 80 dB below the peak are kept, a factor of 1e-8 in magnitude, which is below the
// rounding of float. docs/cuda.md has what each part costs in accuracy in float. A frame of n real samples is one
// complex FFT of n/2 points, x[2i] + j x[2i + 1]. Packing two frames into one FFT of n points would let the rounding
// errors of a loud frame reach a quiet one.

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

/// Points of an FFT in shared memory. Eight consecutive ones are stored in another order in each group of eight, so
/// that the eight threads whose accesses of 16 bytes go together meet all banks: in the passes, they store to every
/// fourth point or to four consecutive ones of every sixteen.
struct Points {
    double2* memory;

    __device__ double2& operator[](int i) const {
        const int group = i / 8;
        return memory[i ^ ((group & 3) | (group & 2) << 1)];
    }
};

__device__ void swap_points(Points& a, Points& b) {
    double2* const memory = a.memory;
    a.memory = b.memory;
    b.memory = memory;
}

/// The four results of a butterfly of radix 4, times the powers 0 to 3 of w. Without a turn w is 1.
__device__ void butterfly(Points to, int first, int stride, double2 a, double2 b, double2 c, double2 d, double2 w,
                          bool turned) {
    const double2 sum_ac = add(a, c), difference_ac = subtract(a, c), sum_bd = add(b, d);
    const double2 turned_bd = make_double2(d.y - b.y, b.x - d.x); // i*(b - d)
    double2 one = subtract(difference_ac, turned_bd), two = subtract(sum_ac, sum_bd);
    double2 three = add(difference_ac, turned_bd);
    if (turned) {
        const double2 squared = multiply(w, w);
        one = multiply(w, one);
        two = multiply(squared, two);
        three = multiply(multiply(w, squared), three);
    }
    to[first] = add(sum_ac, sum_bd);
    to[first + stride] = one;
    to[first + 2 * stride] = two;
    to[first + 3 * stride] = three;
}

/// The first pass of `transform`, over a frame's windowed samples.
__device__ void first_pass(Points to, const float* samples, const LogMelTable& table, const LogMelSpec& spec,
                           int frame) {
    const int size = spec.n_fft / 2, start = frame * spec.hop - spec.n_fft / 2;
    const auto* window = reinterpret_cast<const double2*>(table.window);
    const auto sample = [&](int at) { return at >= 0 && at < spec.samples ? static_cast<double>(samples[at]) : 0.0; };
    for (int i = static_cast<int>(threadIdx.x); i < size / 4; i += block_threads) {
        double2 point[4];
#pragma unroll
        for (int k = 0; k < 4; ++k) {
            const int at = i + k * (size / 4);
            const double2 w = window[at];
            point[k] = make_double2(w.x * sample(start + 2 * at), w.y * sample(start + 2 * at + 1));
        }
        butterfly(to, 4 * i, 1, point[0], point[1], point[2], point[3], table.twiddle[2 * i], true);
    }
    __syncthreads();
}

/// Stockham's FFT of n_fft/2 points (a power of two) after its first pass, in natural order: passes of radix 4, and a
/// last one of radix 2 if needed. The passes alternate between the two buffers; at the end `from` has the result. Ends
/// with a barrier.
__device__ void transform(Points& from, Points& to, const double2* twiddle, int n_fft) {
    const int size = n_fft / 2;
    int length = size / 4, log2_stride = 2;
    for (; length >= 4; length /= 4, log2_stride += 2) {
        const int stride = 1 << log2_stride;
        for (int i = static_cast<int>(threadIdx.x); i < size / 4; i += block_threads) {
            const int p = i >> log2_stride, q = i & (stride - 1);
            const bool turned = length > 4; // else p = 0
            const double2 w = turned ? twiddle[p * (n_fft / length)] : make_double2(1, 0);
            butterfly(to, q + stride * 4 * p, stride, from[i], from[i + size / 4], from[i + size / 2],
                      from[i + size / 4 * 3], w, turned);
        }
        __syncthreads();
        swap_points(from, to);
    }
    if (length < 2) return;
    for (int i = static_cast<int>(threadIdx.x); i < size / 2; i += block_threads) {
        const double2 a = from[i], b = from[i + size / 2];
        to[i] = add(a, b);
        to[i + size / 2] = subtract(a, b);
    }
    __syncthreads();
    swap_points(from, to);
}

__device__ float magnitude_of(double2 twice) {
    return 0.5f * sqrtf(static_cast<float>(twice.x * twice.x + twice.y * twice.y));
}

/// One block for each chunk of log_mel_chunk_frames frames (grid x) of a clip (grid y). Writes the kept frames, without
/// the floor, and peaks [N, chunks], the largest value of all frames of a chunk.
__global__ void __launch_bounds__(block_threads)
    mel_decibels(float* out, float* peaks, const float* wave, LogMelTable table, LogMelSpec spec) {
    const int points = spec.n_fft / 2, bins = points + 1;
    Points from{dynamic_shared<double2>()}, to{from.memory + points}; // [n_fft/2] each
    float* magnitude = reinterpret_cast<float*>(to.memory + points);  // [log_mel_chunk_frames][bins]
    float* decibels = magnitude + log_mel_chunk_frames * bins;        // [log_mel_chunk_frames][bands]
    float* warp_peaks = decibels + log_mel_chunk_frames * spec.bands; // [warps]
    const int thread = static_cast<int>(threadIdx.x), first_frame = static_cast<int>(blockIdx.x) * log_mel_chunk_frames;
    const int frames = frames_of_chunk(spec, first_frame);
    const float* samples = wave + static_cast<int64_t>(blockIdx.y) * spec.samples;

    for (int frame = 0; frame < frames; ++frame) {
        // The results of the frame before are in the other buffer, where threads may still read them.
        first_pass(to, samples, table, spec, first_frame + frame);
        swap_points(from, to);
        transform(from, to, table.twiddle, spec.n_fft);
        float* of_frame = magnitude + frame * bins;
        for (int k = thread; k <= points / 2; k += block_threads) {
            const double2 a = from[k], b = from[(points - k) % points];
            const double2 even = make_double2(a.x + b.x, a.y - b.y), odd = make_double2(a.y + b.y, b.x - a.x);
            const double2 turned = multiply(table.twiddle[k], odd);
            of_frame[points - k] = magnitude_of(subtract(even, turned)); // of the conjugate
            of_frame[k] = magnitude_of(add(even, turned));
        }
    }
    __syncthreads();
    float* kept = out + static_cast<int64_t>(blockIdx.y) * spec.frames * spec.bands;
    float* peak = peaks + static_cast<int64_t>(blockIdx.y) * gridDim.x + blockIdx.x;
    filter_chunk(kept, peak, decibels, warp_peaks, magnitude, table, spec, first_frame);
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
    const size_t shared = static_cast<size_t>(spec.n_fft) * sizeof(double2) + log_mel_filter_bytes(spec);
    SCENE_CHECK(shared <= cuda.limits.block_shared_bytes,
                "an FFT of " + std::to_string(spec.n_fft) + " points needs more shared memory than a block has");
    launch(mel_decibels, dim3(static_cast<unsigned>(log_mel_chunks(spec)), static_cast<unsigned>(operands.clips)),
           dim3(block_threads), shared, cuda.stream, operands.out, peaks, operands.wave, cuda.log_mel_tables->get(spec),
           spec);
    raise_to_floor(operands.out, peaks, operands.clips, spec, cuda.stream);
}

} // namespace scene::cuda
