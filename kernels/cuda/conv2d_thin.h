#pragma once

// What the kernels for convolutions of few input channels share: sizes, the input lines of a strip and the weights in
// shared memory, and sums over positions of gradient times window. A window is what one output position sees of the
// input; its values are its taps.

#include "kernels/cuda/kernels.h"
#include "kernels/cuda/operands.h"

namespace scene::cuda {

constexpr int quad = 4;            ///< output channels, and output positions, that a thread computes at once
constexpr int most_channels = 4;   ///< of the input
constexpr int strip_lines_out = 4; ///< output lines of one strip
constexpr int tap_group = 5;       ///< taps that a thread computes at once

/// Sizes as the kernels use them.
struct Sizes {
    int height, width, channels, out_height, out_width, out_channels, kernel, stride, padding;
    int64_t clips, out_lines; ///< out_lines: clips*out_height

    explicit Sizes(const Conv2dShape& shape)
        : height(static_cast<int>(shape.height)), width(static_cast<int>(shape.width)),
          channels(static_cast<int>(shape.in_channels)), out_height(static_cast<int>(shape.out_height())),
          out_width(static_cast<int>(shape.out_width())), out_channels(static_cast<int>(shape.out_channels)),
          kernel(static_cast<int>(shape.kernel)), stride(static_cast<int>(shape.stride)),
          padding(static_cast<int>(shape.padding)), clips(shape.batch), out_lines(shape.batch * shape.out_height()) {}

    __host__ __device__ int taps() const { return kernel * kernel * channels; }
    /// Output channels rounded up to whole quads: the pitch of the weights in shared memory.
    __host__ __device__ int padded_channels() const { return (out_channels + quad - 1) / quad * quad; }
    __host__ __device__ int tap_groups() const { return (taps() + tap_group - 1) / tap_group; }
    __host__ __device__ int quads_across() const { return (out_width + quad - 1) / quad; }
    /// Values of one line of the input strip, padding included: all that the last quad of positions reads.
    __host__ __device__ int strip_pitch() const { return ((quads_across() * quad - 1) * stride + kernel) * channels; }
    /// Of the input lines under so many output lines, rounded up to whole quads.
    __host__ __device__ int strip_floats(int lines) const {
        return (((lines - 1) * stride + kernel) * strip_pitch() + quad - 1) / quad * quad;
    }
    /// Where in a strip the tap of the first position lies.
    __device__ int tap_offset(int tap) const {
        const int tap_line = kernel * channels;
        return tap / tap_line * strip_pitch() + tap % tap_line;
    }
};

/// Those of a shape that the kernels take.
inline Sizes sizes_of(const Conv2dShape& shape) {
    SCENE_CHECK(conv2d_thin_suits(shape),
                "x " + shape.x().text() + " with w " + shape.w().text() + " is no convolution of few input channels");
    return Sizes(shape);
}

/// to [taps, padded_channels] = w [K, taps], zeros in the padding.
template <typename T> __device__ void load_weights(float* to, const T* w, const Sizes& size) {
    const int pitch = size.padded_channels(), taps = size.taps();
    for (int i = static_cast<int>(threadIdx.x); i < taps * pitch; i += block_threads) {
        const int tap = i / pitch, k = i % pitch;
        to[i] = k < size.out_channels ? to_float(w[k * taps + tap]) : 0.0f;
    }
}

/// to = channels k to k + 3 of an output position, zeros beyond the last. `from` is aligned to 16 bytes where the
/// channels are whole quads.
template <typename T> __device__ void load_channels(float (&to)[quad], const T* from, int k, const Sizes& size) {
    if (size.out_channels % quad == 0) return load(to, from + k);
#pragma unroll
    for (int v = 0; v < quad; ++v) to[v] = k + v < size.out_channels ? to_float(from[k + v]) : 0.0f;
}

/// strip [lines, strip_pitch] = the input lines under output line p and those after it, zeros outside the input.
template <typename T>
__device__ void load_strip(float* strip, const T* x, const Sizes& size, int64_t clip, int p, int lines) {
    const int pitch = size.strip_pitch(), first_value = -size.padding * size.channels;
    const int line_values = size.width * size.channels;
    for (int i = static_cast<int>(threadIdx.x); i < lines * pitch; i += block_threads) {
        const int h = p * size.stride - size.padding + i / pitch, value = first_value + i % pitch;
        const bool inside = h >= 0 && h < size.height && value >= 0 && value < line_values;
        strip[i] = inside ? to_float(x[(clip * size.height + h) * line_values + value]) : 0.0f;
    }
}

/// How the threads of a block share sums for each (quad of output channels, group of taps): each item belongs to
/// `slices` threads, of which each takes every `slices`-th position.
struct WindowItems {
    int count, per_block, slices;

    __host__ __device__ WindowItems(const Sizes& size, int taps) {
        count = size.padded_channels() / quad * ((taps + tap_group - 1) / tap_group);
        per_block = count < block_threads ? count : block_threads;
        slices = block_threads / per_block;
    }
    /// A grid's extent in y.
    unsigned blocks() const { return static_cast<unsigned>(divide_up(count, per_block)); }
    /// Shared memory in which the slices are added.
    int slice_floats() const { return slices * tap_group * quad * per_block; }
};

/// A thread's share of sum over positions of gradient[k] * window[tap]. With a tap more than the window has, that one
/// is 1 everywhere: its sums are the gradient's own.
class WindowSums {
public:
    /// The strip has the 1 behind its strip_floats(1) floats, where it is asked for.
    __device__ WindowSums(const Sizes& size, int taps) : items_(size, taps), taps_(taps) {
        slice_ = static_cast<int>(threadIdx.x) / items_.per_block;
        in_block_ = static_cast<int>(threadIdx.x) % items_.per_block;
        const int item = static_cast<int>(blockIdx.y) * items_.per_block + in_block_;
        const int k_quads = size.padded_channels() / quad;
        k_ = item % k_quads * quad;
        first_tap_ = item / k_quads * tap_group;
        works_ = slice_ < items_.slices && item < items_.count;
#pragma unroll
        for (int t = 0; t < tap_group; ++t) {
            const int tap = first_tap_ + t < taps ? first_tap_ + t : taps - 1;
            offset_[t] = tap < size.taps() ? size.tap_offset(tap) : size.strip_floats(1);
            step_[t] = tap < size.taps() ? size.stride * size.channels : 0;
        }
    }

    /// gradient [Q][pitch] and the strip of one output line.
    __device__ void add_line(const float* gradient, int pitch, const float* strip, const Sizes& size) {
        if (!works_) return;
        for (int q = slice_; q < size.out_width; q += items_.slices) {
            float dz[quad];
            load(dz, gradient + q * pitch + k_);
#pragma unroll
            for (int t = 0; t < tap_group; ++t) {
                const float value = strip[offset_[t] + q * step_[t]];
#pragma unroll
                for (int channel = 0; channel < quad; ++channel)
                    sum_[t][channel] = fmaf(value, dz[channel], sum_[t][channel]);
            }
        }
    }

    /// to [K, taps] = the block's sums; the slices of an item are added in order, in `slices`.
    __device__ void store(float* to, float* slices, const Sizes& size) const {
        const int width = tap_group * quad * items_.per_block;
        __syncthreads(); // whatever was in that memory has been read
        if (slice_ < items_.slices) {
            float* of_slice = slices + slice_ * width + in_block_;
#pragma unroll
            for (int t = 0; t < tap_group; ++t) {
#pragma unroll
                for (int channel = 0; channel < quad; ++channel)
                    of_slice[(t * quad + channel) * items_.per_block] = sum_[t][channel];
            }
        }
        __syncthreads();
        if (slice_ != 0 || !works_) return;
        for (int t = 0; t < tap_group && first_tap_ + t < taps_; ++t) {
            for (int channel = 0; channel < quad && k_ + channel < size.out_channels; ++channel) {
                float total = 0;
                for (int other = 0; other < items_.slices; ++other)
                    total += slices[other * width + (t * quad + channel) * items_.per_block + in_block_];
                to[(k_ + channel) * taps_ + first_tap_ + t] = total;
            }
        }
    }

private:
    WindowItems items_;
    int taps_, k_, first_tap_, slice_, in_block_;
    int offset_[tap_group], step_[tap_group]; ///< of each tap in the strip, and from position to position
    bool works_;
    float sum_[tap_group][quad] = {};
};

} // namespace scene::cuda
