// Convolutions of few input channels (the first layers). A tensor core's tile would be almost empty; here every block
// keeps all weights in shared memory, walks over strips of the input and writes whole packs of output channels.

#include "kernels/cuda/column_sums.h"
#include "kernels/cuda/conv2d_spread.h"
#include "kernels/cuda/kernels.h"

namespace scene::cuda {
namespace {

// ---- forward ------------------------------------------------------------------------------------------------------

template <typename T> __global__ void __launch_bounds__(block_threads)
    convolve(T* y, const T* x, const T* w, const float* bias, bool relu, Sizes size, int strips_per_clip,
             int64_t strips) {
    float* weights = dynamic_shared<float>();
    float* strip = weights + size.taps() * size.padded_channels();
    const int pitch = size.strip_pitch(), k_quads = size.padded_channels() / quad, q_quads = size.quads_across();
    const int step = size.stride * size.channels, tap_line = size.kernel * size.channels;
    load_weights(weights, w, size);
    for (int64_t s = blockIdx.x; s < strips; s += gridDim.x) {
        const int64_t clip = s / strips_per_clip;
        const int p = static_cast<int>(s % strips_per_clip) * strip_lines_out;
        const int lines = p + strip_lines_out < size.out_height ? strip_lines_out : size.out_height - p;
        __syncthreads(); // the strip before has been read
        load_strip(strip, x, size, clip, p, (lines - 1) * size.stride + size.kernel);
        __syncthreads();
        for (int i = static_cast<int>(threadIdx.x); i < lines * q_quads * k_quads; i += block_threads) {
            const int k = i % k_quads * quad, q = i / k_quads % q_quads * quad, line = i / k_quads / q_quads;
            float sum[quad][quad] = {}; // [position][channel]
            const float* tap_weights = weights + k;
            for (int r = 0; r < size.kernel; ++r) {
                const float* from = strip + (line * size.stride + r) * pitch + q * step;
                for (int t = 0; t < tap_line; ++t, tap_weights += size.padded_channels()) {
                    float factor[quad];
                    load(factor, tap_weights);
#pragma unroll
                    for (int position = 0; position < quad; ++position) {
                        const float value = from[position * step + t];
#pragma unroll
                        for (int channel = 0; channel < quad; ++channel)
                            sum[position][channel] = fmaf(value, factor[channel], sum[position][channel]);
                    }
                }
            }
            for (int position = 0; position < quad && q + position < size.out_width; ++position) {
                T* to =
                    y + (((clip * size.out_height + p + line) * size.out_width) + q + position) * size.out_channels + k;
#pragma unroll
                for (int channel = 0; channel < quad; ++channel) {
                    if (bias && k + channel < size.out_channels) sum[position][channel] += bias[k + channel];
                    if (relu) sum[position][channel] = rectified(sum[position][channel]);
                }
                if (size.out_channels % quad == 0) {
                    store(to, sum[position]);
                } else {
                    for (int channel = 0; channel < quad && k + channel < size.out_channels; ++channel)
                        to[channel] = from_float<T>(sum[position][channel]);
                }
            }
        }
    }
}

// ---- gradient of the data -----------------------------------------------------------------------------------------

template <typename T> __global__ void __launch_bounds__(block_threads)
    data_gradient(T* dx, const T* dy, const T* w, Sizes size, Cut cut) {
    const int line_values = size.width * size.channels, taps = size.taps();
    const Piece piece(size, cut);
    Spread spread(dynamic_shared<float>(), size, size.out_channels, piece);
    const int pitch = spread.pitch();
    for (int i = static_cast<int>(threadIdx.x); i < taps * pitch; i += block_threads) {
        const int tap = i / pitch, k = i % pitch;
        spread.weights[i] = k < size.out_channels ? to_float(w[k * taps + tap]) : 0.0f;
    }
    const auto write = [&](int row, int column, float value) {
        dx[(piece.clip * size.height + row) * line_values + column] = from_float<T>(value);
    };
    for (int p = piece.first_reaching; p < piece.end_reaching; ++p) {
        __syncthreads(); // the line before has been added
        spread.hand_on_above(p, write);
        const int64_t line = (piece.clip * size.out_height + p) * size.out_width * size.out_channels;
        spread.load_values([&](int q, int k, float(&values)[quad]) {
            load_channels(values, dy + line + q * size.out_channels, k, size);
        });
        __syncthreads();
        spread.add_line(p);
    }
    __syncthreads();
    spread.hand_on_rest(write);
}

// ---- gradient of the weights --------------------------------------------------------------------------------------

/// partial [pieces, K*taps]: the sums over this block's output lines.
template <typename T> __global__ void __launch_bounds__(block_threads)
    weight_gradient(float* partial, const T* dy, const T* x, Sizes size) {
    const int k_pitch = size.padded_channels();
    float* strip = dynamic_shared<float>();         // [kernel][strip_pitch]
    float* gradient = strip + size.strip_floats(1); // [Q][k_pitch]
    WindowSums sums(size, size.taps());
    for (int64_t line = blockIdx.x; line < size.out_lines; line += gridDim.x) {
        __syncthreads(); // the line before has been read
        load_strip(strip, x, size, line / size.out_height, static_cast<int>(line % size.out_height), size.kernel);
        const T* from = dy + line * size.out_width * size.out_channels;
        for (int i = static_cast<int>(threadIdx.x); i < size.out_width * k_pitch; i += block_threads) {
            const int of_k = i % k_pitch;
            gradient[i] = of_k < size.out_channels ? to_float(from[i / k_pitch * size.out_channels + of_k]) : 0.0f;
        }
        __syncthreads();
        sums.add_line(gradient, k_pitch, strip, size);
    }
    sums.store(partial + static_cast<int64_t>(blockIdx.x) * size.out_channels * size.taps(), dynamic_shared<float>(),
               size);
}

struct FinishWeights {
    float* dw;
    __device__ void operator()(int, int i, const double (&sum)[1]) const { dw[i] = static_cast<float>(sum[0]); }
};

// ---- host ---------------------------------------------------------------------------------------------------------

size_t weight_bytes(const Sizes& size) {
    return static_cast<size_t>(size.taps() * size.padded_channels()) * sizeof(float);
}

size_t weight_gradient_shared_bytes(const Sizes& size) {
    const int lines = size.strip_floats(1) + size.out_width * size.padded_channels();
    return static_cast<size_t>(std::max(lines, WindowItems(size, size.taps()).slice_floats())) * sizeof(float);
}

size_t forward_shared_bytes(const Sizes& size) {
    return weight_bytes(size) + static_cast<size_t>(size.strip_floats(strip_lines_out)) * sizeof(float);
}

int64_t weight_gradient_pieces(const Conv2dShape& shape) {
    return std::min(shape.batch * shape.out_height(), 2 * multiprocessors);
}

} // namespace

bool conv2d_thin_suits(const Conv2dShape& shape) {
    const bool small = shape.batch > 0 && shape.in_channels >= 1 && shape.in_channels <= most_channels &&
                       shape.kernel >= 1 && shape.kernel <= 7 && shape.stride >= 1 && shape.stride <= 2 &&
                       shape.padding >= 0 && shape.width <= 256 && shape.out_channels >= 1 &&
                       shape.out_channels <= 256 && shape.out_height() > 0 && shape.out_width() > 0;
    if (!small) return false;
    const Sizes size(shape);
    return std::max({forward_shared_bytes(size), weight_gradient_shared_bytes(size),
                     spread_bytes(size, size.out_channels)}) <= most_shared_bytes;
}

void conv2d_thin_forward(Tensor y, Tensor x, Tensor w, Tensor bias, bool relu, const Conv2dShape& shape,
                         cudaStream_t stream) {
    const Sizes size = sizes_of(shape);
    check_tensor(y, x.dtype, shape.y(), "y");
    check_tensor(x, x.dtype, shape.x(), "x");
    check_tensor(w, x.dtype, shape.w(), "w");
    const float* add = optional_floats(bias, {shape.out_channels}, "bias");
    SCENE_CHECK(!relu || add, "relu without bias");
    SCENE_CHECK(reinterpret_cast<uintptr_t>(y.data) % 16 == 0, "y is not aligned to 16 bytes");
    const int64_t strips_per_clip = divide_up(size.out_height, strip_lines_out), strips = shape.batch * strips_per_clip;
    with_activation_type(x, [&](auto type) {
        using T = decltype(type);
        launch(convolve<T>, dim3(static_cast<unsigned>(std::min(strips, 4 * multiprocessors))), dim3(block_threads),
               forward_shared_bytes(size), stream, static_cast<T*>(y.data), static_cast<const T*>(x.data),
               static_cast<const T*>(w.data), add, relu, size, static_cast<int>(strips_per_clip), strips);
    });
}

void conv2d_thin_data_grad(Tensor dx, Tensor dy, Tensor w, const Conv2dShape& shape, cudaStream_t stream) {
    const Sizes size = sizes_of(shape);
    check_tensor(dx, dy.dtype, shape.x(), "dx");
    check_tensor(dy, dy.dtype, shape.y(), "dy");
    check_tensor(w, dy.dtype, shape.w(), "w");
    SCENE_CHECK(reinterpret_cast<uintptr_t>(dy.data) % 16 == 0, "dy is not aligned to 16 bytes");
    const Cut cut(size);
    with_activation_type(dy, [&](auto type) {
        using T = decltype(type);
        launch(data_gradient<T>, dim3(static_cast<unsigned>(cut.pieces(size))), dim3(block_threads),
               spread_bytes(size, size.out_channels), stream, static_cast<T*>(dx.data), static_cast<const T*>(dy.data),
               static_cast<const T*>(w.data), size, cut);
    });
}

size_t conv2d_thin_weight_grad_scratch_bytes(const Conv2dShape& shape) {
    return static_cast<size_t>(weight_gradient_pieces(shape) * shape.w().elements()) * sizeof(float);
}

void conv2d_thin_weight_grad(Tensor dw, Tensor dy, Tensor x, Tensor scratch, const Conv2dShape& shape,
                             cudaStream_t stream) {
    const Sizes size = sizes_of(shape);
    check_tensor(dy, x.dtype, shape.y(), "dy");
    check_tensor(x, x.dtype, shape.x(), "x");
    const FinishWeights finish{floats(dw, shape.w(), "dw")};
    auto* partial = scratch_of<float>(scratch, conv2d_thin_weight_grad_scratch_bytes(shape));
    const int64_t pieces = weight_gradient_pieces(shape);
    const dim3 grid(static_cast<unsigned>(pieces), WindowItems(size, size.taps()).blocks());
    with_activation_type(x, [&](auto type) {
        using T = decltype(type);
        launch(weight_gradient<T>, grid, dim3(block_threads), weight_gradient_shared_bytes(size), stream, partial,
               static_cast<const T*>(dy.data), static_cast<const T*>(x.data), size);
    });
    launch_add_pieces<1>(finish, partial, 1, pieces, shape.w().elements(), stream);
}

} // namespace scene::cuda
