// Wave to log-mel in one kernel (window, FFT, magnitude, filter bank, decibels), and a second one for the floor, which
// needs the clip's largest value.
//
// The FFT is in double: bands 80 dB below a frame's largest are kept, a ratio of 1e-8 in magnitude, which is beneath
// float's rounding. Real samples go through a complex FFT of half the length as even + i*odd, so that no frame's
// rounding errors reach another's.

#include <cstring>
#include <numbers>

#include "kernels/cuda/kernels.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/operands.h"
#include "kernels/mel_filter_bank.h"

namespace scene::cuda {
namespace {

constexpr int piece_frames = 4; ///< frames that a block computes, one after another

/// Constant operands, one after another in device memory.
struct Table {
    const double2* twiddle; ///< [n_fft]: exp(-2 pi i k / n_fft)
    const double* window;   ///< [n_fft]: the periodic Hann window, centred in zeros
    const int32_t* first_bin;
    const int32_t* offset;
    const float* weights;

    Table(const void* memory, const LogMelSpec& spec) {
        twiddle = static_cast<const double2*>(memory);
        window = reinterpret_cast<const double*>(twiddle + spec.n_fft);
        first_bin = reinterpret_cast<const int32_t*>(window + spec.n_fft);
        offset = first_bin + spec.bands;
        weights = reinterpret_cast<const float*>(offset + spec.bands + 1);
    }
};

__device__ double2 add(double2 a, double2 b) { return make_double2(a.x + b.x, a.y + b.y); }
__device__ double2 subtract(double2 a, double2 b) { return make_double2(a.x - b.x, a.y - b.y); }
__device__ double2 multiply(double2 a, double2 b) { return make_double2(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x); }

/// Stockham's FFT of `size` points (a power of two) in radix 4, the last pass in radix 2 where needed: natural order in
/// and out, from one buffer to the other and back. Returns where the result is; begins and ends with a barrier.
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

__device__ float decibels_of(float x) {
    const float clamped = x < 1e-10f ? 1e-10f : x;
    return 10 * log10f(clamped) + 0 * clamped; // NaN where x is not finite
}

/// Blocks: pieces of the frames by clips. Writes the kept frames, not yet floored, and peaks [N, pieces].
__global__ void __launch_bounds__(block_threads)
    mel_decibels(float* out, float* peaks, const float* wave, Table table, LogMelSpec spec) {
    const int points = spec.n_fft / 2;
    double2* buffer = dynamic_shared<double2>();                 // [n_fft/2]
    double2* other = buffer + points;                            // [n_fft/2]
    float* magnitude = reinterpret_cast<float*>(other + points); // [n_fft/2 + 1]
    float* warp_peaks = magnitude + points + 1;                  // [warps]
    const int thread = static_cast<int>(threadIdx.x), warp = thread / warp_lanes, lane = thread % warp_lanes;
    const int all_frames = 1 + spec.samples / spec.hop, first_frame = static_cast<int>(blockIdx.x) * piece_frames;
    const float* samples = wave + static_cast<int64_t>(blockIdx.y) * spec.samples;
    float* kept = out + static_cast<int64_t>(blockIdx.y) * spec.frames * spec.bands;

    float peak = -INFINITY;
    for (int frame = first_frame; frame < first_frame + piece_frames && frame < all_frames; ++frame) {
        const int start = frame * spec.hop - points; // zeros before the clip and after it
        const auto windowed = [&](int i) {
            const int at = start + i;
            return at >= 0 && at < spec.samples ? static_cast<double>(samples[at]) * table.window[i] : 0.0;
        };
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
        for (int band = warp; band < spec.bands; band += block_threads / warp_lanes) {
            const float* from = magnitude + table.first_bin[band];
            const float* weights = table.weights + table.offset[band];
            const int bins = table.offset[band + 1] - table.offset[band];
            float sum = 0;
            for (int i = lane; i < bins; i += warp_lanes) sum = fmaf(weights[i], from[i], sum);
            const float value = decibels_of(warp_sum(sum));
            peak = larger(peak, value);
            if (lane == 0 && frame < spec.frames) kept[static_cast<int64_t>(frame) * spec.bands + band] = value;
        }
    }
    peak = block_max(peak, warp_peaks);
    if (thread == 0) peaks[static_cast<int64_t>(blockIdx.y) * gridDim.x + blockIdx.x] = peak;
}

/// Blocks: parts of a clip's values by clips.
__global__ void __launch_bounds__(block_threads)
    raise_to_floor(float* out, const float* peaks, int pieces, int64_t clip_values, float top_db) {
    float* shared = dynamic_shared<float>();
    float peak = -INFINITY;
    for (int i = static_cast<int>(threadIdx.x); i < pieces; i += block_threads)
        peak = larger(peak, peaks[static_cast<int64_t>(blockIdx.y) * pieces + i]);
    const float floor = block_max(peak, shared) - top_db;
    float* values = out + static_cast<int64_t>(blockIdx.y) * clip_values;
    for (int64_t i = thread_in_grid(); i < clip_values; i += static_cast<int64_t>(gridDim.x) * block_threads)
        if (values[i] < floor) values[i] = floor;
}

void check_spec(const LogMelSpec& spec) {
    SCENE_CHECK(spec.n_fft >= 16 && (spec.n_fft & (spec.n_fft - 1)) == 0, "the length of an FFT is a power of two");
    SCENE_CHECK(spec.window > 0 && spec.window <= spec.n_fft, "a window fits into the FFT");
    SCENE_CHECK(spec.hop > 0 && spec.samples > 0 && spec.frames > 0, "a log-mel spec has positive sizes");
    SCENE_CHECK(spec.frames <= 1 + spec.samples / spec.hop, "a clip has the frames that are kept");
}

int64_t pieces_of(const LogMelSpec& spec) { return divide_up(1 + spec.samples / spec.hop, piece_frames); }

} // namespace

std::vector<std::byte> log_mel_table(const LogMelSpec& spec) {
    check_spec(spec);
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

    std::vector<std::byte> table;
    const auto append = [&](const auto& values) {
        const auto* bytes = reinterpret_cast<const std::byte*>(values.data());
        table.insert(table.end(), bytes, bytes + values.size() * sizeof(values[0]));
    };
    append(numbers);
    append(bank.first_bin);
    append(bank.offset);
    append(weights);
    return table;
}

size_t log_mel_scratch_bytes(int64_t clips, const LogMelSpec& spec) {
    return static_cast<size_t>(clips * pieces_of(spec)) * sizeof(float);
}

void log_mel(Tensor out, Tensor wave, Tensor table, Tensor scratch, const LogMelSpec& spec, cudaStream_t stream) {
    check_spec(spec);
    check_rank(wave, 2, "wave");
    const int64_t clips = wave.shape[0], pieces = pieces_of(spec);
    const int64_t clip_values = static_cast<int64_t>(spec.frames) * spec.bands;
    SCENE_CHECK(clips > 0 && clips <= 65535, "log_mel of " + std::to_string(clips) + " clips");
    SCENE_CHECK(table && table.dtype == DType::U8 && reinterpret_cast<uintptr_t>(table.data) % 16 == 0,
                "the table of log_mel is absent or not aligned");
    const float* samples = floats(wave, {clips, spec.samples}, "wave");
    float* values = floats(out, {clips, spec.frames, spec.bands}, "out");
    auto* peaks = scratch_of<float>(scratch, log_mel_scratch_bytes(clips, spec));
    constexpr int warps = block_threads / warp_lanes;
    const auto points = static_cast<size_t>(spec.n_fft / 2);
    launch(mel_decibels, dim3(static_cast<unsigned>(pieces), static_cast<unsigned>(clips)), dim3(block_threads),
           2 * points * sizeof(double2) + (points + 1 + warps) * sizeof(float), stream, values, peaks, samples,
           Table(table.data, spec), spec);
    const int64_t parts = std::min<int64_t>(divide_up(clip_values, 8 * block_threads), 65535);
    launch(raise_to_floor, dim3(static_cast<unsigned>(parts), static_cast<unsigned>(clips)), dim3(block_threads),
           warps * sizeof(float), stream, values, peaks, static_cast<int>(pieces), clip_values, spec.top_db);
}

} // namespace scene::cuda
