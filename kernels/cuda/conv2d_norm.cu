// A convolution of few input channels with batch norm and relu behind it, without the convolution's output: its
// statistics follow from those of the windows, and so does what the batch norm subtracts from the gradients.

#include "kernels/cuda/column_sums.h"
#include "kernels/cuda/conv2d_spread.h"

namespace scene::cuda {
namespace {

constexpr int warps = block_threads / warp_lanes;

// ---- statistics ---------------------------------------------------------------------------------------------------

/// Sums over all windows: of each tap [T], and of each product of two taps [T, T].
int64_t moment_columns(const Sizes& size) { return size.taps() * (size.taps() + 1); }

/// partial [pieces, T*(T + 1)]. A warp has one pair of tap groups, its lanes share the positions of a strip.
template <typename T> __global__ void __launch_bounds__(block_threads)
    sum_moments(float* partial, const T* x, Sizes size, int strips_per_clip, int64_t strips) {
    float* strip = dynamic_shared<float>();
    const int lane = static_cast<int>(threadIdx.x) % warp_lanes, taps = size.taps(), groups = size.tap_groups();
    int pair = static_cast<int>(blockIdx.y) * warps + static_cast<int>(threadIdx.x) / warp_lanes, i = 0;
    while (i < groups && pair >= groups - i) pair -= groups - i++;
    const int j = i + pair; // i <= j
    const bool works = i < groups;
    int offset_i[tap_group], offset_j[tap_group];
#pragma unroll
    for (int t = 0; t < tap_group; ++t) {
        offset_i[t] = size.tap_offset(i * tap_group + t < taps ? i * tap_group + t : 0);
        offset_j[t] = size.tap_offset(j * tap_group + t < taps ? j * tap_group + t : 0);
    }

    float sum[tap_group] = {}, product[tap_group][tap_group] = {};
    for (int64_t s = blockIdx.x; s < strips; s += gridDim.x) {
        const int p = static_cast<int>(s % strips_per_clip) * strip_lines_out;
        const int lines = p + strip_lines_out < size.out_height ? strip_lines_out : size.out_height - p;
        __syncthreads(); // the strip before has been read
        load_strip(strip, x, size, s / strips_per_clip, p, (lines - 1) * size.stride + size.kernel);
        __syncthreads();
        if (!works) continue;
        for (int position = lane; position < lines * size.out_width; position += warp_lanes) {
            const float* window = strip + position / size.out_width * size.stride * size.strip_pitch() +
                                  position % size.out_width * size.stride * size.channels;
            float b[tap_group];
#pragma unroll
            for (int t = 0; t < tap_group; ++t) b[t] = window[offset_j[t]];
#pragma unroll
            for (int t = 0; t < tap_group; ++t) {
                const float a = window[offset_i[t]];
                sum[t] += a;
#pragma unroll
                for (int u = 0; u < tap_group; ++u) product[t][u] = fmaf(a, b[u], product[t][u]);
            }
        }
    }
    if (!works) return;

    float* sums = partial + static_cast<int64_t>(blockIdx.x) * taps * (taps + 1);
    float* products = sums + taps;
#pragma unroll
    for (int t = 0; t < tap_group; ++t) {
        const int a = i * tap_group + t;
        const float total = warp_sum(sum[t]);
        if (i == j && lane == 0 && a < taps) sums[a] = total;
#pragma unroll
        for (int u = 0; u < tap_group; ++u) {
            const int b = j * tap_group + u;
            const float of_pair = warp_sum(product[t][u]);
            if (lane != 0 || a >= taps || b >= taps) continue;
            products[a * taps + b] = of_pair;
            if (i != j) products[b * taps + a] = of_pair;
        }
    }
}

struct FinishSums {
    double* sums;
    double factor;
    __device__ void operator()(int, int i, const double (&sum)[1]) const { sums[i] = factor * sum[0]; }
};

/// A warp for each output channel: mean = w.m, variance = w.C w with the windows' mean m and covariance C, both from
/// their raw moments [T*(T + 1)]; and the moments themselves, by all threads.
__global__ void __launch_bounds__(block_threads)
    output_moments(float* mean, float* variance, float* moments, const double* raw, const float* w, int taps,
                   int out_channels) {
    const double* products = raw + taps;
    for (int64_t i = thread_in_grid(); i < taps * (taps + 1); i += static_cast<int64_t>(gridDim.x) * blockDim.x) {
        const int a = static_cast<int>(i) / taps - 1, b = static_cast<int>(i) % taps;
        moments[i] = static_cast<float>(a < 0 ? raw[b] : raw[i] - raw[a] * raw[b]);
    }
    const int lane = static_cast<int>(threadIdx.x) % warp_lanes;
    const int k = static_cast<int>(blockIdx.x) * warps + static_cast<int>(threadIdx.x) / warp_lanes;
    if (k >= out_channels) return;
    const float* filter = w + k * taps;
    double of_mean = 0, of_variance = 0;
    for (int b = lane; b < taps; b += warp_lanes) {
        double column = 0;
        for (int a = 0; a < taps; ++a)
            column += static_cast<double>(filter[a]) * (products[a * taps + b] - raw[a] * raw[b]);
        of_mean += static_cast<double>(filter[b]) * raw[b];
        of_variance += static_cast<double>(filter[b]) * column;
    }
    of_mean = warp_sum(of_mean);
    of_variance = warp_sum(of_variance);
    if (lane != 0) return;
    mean[k] = static_cast<float>(of_mean);
    variance[k] = of_variance < 0 ? 0.0f : static_cast<float>(of_variance); // a NaN stays one: the step must be skipped
}

// ---- backward -----------------------------------------------------------------------------------------------------

template <typename T> struct BackwardOperands {
    const T *da, *a, *x; ///< dz = da where a > 0
    const float *w, *scale;
    float* partial; ///< [pieces, K, T + 1]: sums of dz*window and of dz
    float* dx_sum;  ///< [N, H, W, C]: dz through the scaled weights; absent: not wanted
};

template <typename T> __global__ void __launch_bounds__(block_threads)
    spread_gradient(BackwardOperands<T> op, Sizes size, Cut cut) {
    const int taps = size.taps(), out_channels = size.out_channels, line_values = size.width * size.channels;
    const Piece piece(size, cut);
    const bool spreads = op.dx_sum && blockIdx.y == 0;
    float* strip = dynamic_shared<float>();
    Spread spread(strip + size.strip_floats(1) + quad, size, out_channels, piece);
    const int pitch = spread.pitch();
    if (spreads) {
        for (int i = static_cast<int>(threadIdx.x); i < taps * pitch; i += block_threads) {
            const int tap = i / pitch, k = i % pitch;
            spread.weights[i] = k < out_channels ? op.scale[k] * op.w[k * taps + tap] : 0.0f;
        }
    }
    const auto write = [&](int row, int column, float value) {
        op.dx_sum[(piece.clip * size.height + row) * line_values + column] = value;
    };

    WindowSums sums(size, taps + 1);
    if (threadIdx.x == 0) strip[size.strip_floats(1)] = 1;
    const int end = spreads ? piece.end_reaching : piece.end_line;
    for (int p = spreads ? piece.first_reaching : piece.first_line; p < end; ++p) {
        __syncthreads(); // the line before has been read and added
        if (spreads) spread.hand_on_above(p, write);
        load_strip(strip, op.x, size, piece.clip, p, size.kernel);
        const int64_t line = (piece.clip * size.out_height + p) * size.out_width * out_channels;
        spread.load_values([&](int q, int k, float(&values)[quad]) {
            float a[quad];
            load_channels(values, op.da + line + q * out_channels, k, size);
            load_channels(a, op.a + line + q * out_channels, k, size);
#pragma unroll
            for (int v = 0; v < quad; ++v) values[v] = a[v] > 0 ? values[v] : 0.0f;
        });
        __syncthreads();
        if (p >= piece.first_line && p < piece.end_line) sums.add_line(spread.values, pitch, strip, size);
        if (spreads) spread.add_line(p);
    }
    __syncthreads();
    if (spreads) spread.hand_on_rest(write);
    sums.store(op.partial + static_cast<int64_t>(blockIdx.x) * out_channels * (taps + 1), dynamic_shared<float>(),
               size);
}

/// What the batch norm needs of its parameters' gradients, and what they become.
struct Gradients {
    float *dw, *dgamma, *dbeta;
    const double* sums; ///< [K, T + 1]: of dz*window and of dz
    const float *w, *moments, *mean, *inv_std, *scale;
    int taps, out_channels;

    /// Sum of dz*(window - its mean).
    __device__ double centred(int k, int tap) const {
        const double* of_channel = sums + k * (taps + 1);
        return of_channel[tap] - of_channel[taps] * static_cast<double>(moments[tap]);
    }
};

/// A warp for each output channel: dgamma = inv_std*w.S, dw = scale*(S - dgamma*inv_std*C w), with S the sums of
/// dz*(window - m), and m and C the windows' mean and covariance.
__global__ void __launch_bounds__(block_threads) channel_gradients(Gradients g) {
    const int lane = static_cast<int>(threadIdx.x) % warp_lanes;
    const int k = static_cast<int>(blockIdx.x) * warps + static_cast<int>(threadIdx.x) / warp_lanes;
    if (k >= g.out_channels) return;
    const float* filter = g.w + k * g.taps;
    double projected = 0;
    for (int a = lane; a < g.taps; a += warp_lanes) projected += static_cast<double>(filter[a]) * g.centred(k, a);
    projected = warp_sum(projected);
    const double inv_std = static_cast<double>(g.inv_std[k]), scale = static_cast<double>(g.scale[k]);
    const double dgamma = inv_std * projected;
    if (lane == 0) {
        g.dgamma[k] = static_cast<float>(dgamma);
        g.dbeta[k] = static_cast<float>(g.sums[k * (g.taps + 1) + g.taps]);
    }
    for (int a = lane; a < g.taps; a += warp_lanes) {
        const float* covariance = g.moments + (1 + a) * g.taps;
        double product = 0;
        for (int b = 0; b < g.taps; ++b) product += static_cast<double>(covariance[b]) * static_cast<double>(filter[b]);
        g.dw[k * g.taps + a] = static_cast<float>(scale * (g.centred(k, a) - dgamma * inv_std * product));
    }
}

/// weights [T, pitch]: what the batch norm subtracts from each window's gradient is their product with (window, 1).
__global__ void __launch_bounds__(block_threads)
    correction_weights(float* weights, Gradients g, int pitch, double inverse_rows) {
    const int64_t i = thread_in_grid();
    if (i >= static_cast<int64_t>(g.taps) * pitch) return;
    const int a = static_cast<int>(i) / pitch, b = static_cast<int>(i) % pitch;
    double sum = 0;
    for (int k = 0; k < g.out_channels && b <= g.taps; ++k) {
        const double inv_std = static_cast<double>(g.inv_std[k]), slope = inv_std * static_cast<double>(g.dgamma[k]);
        const double of_b = b < g.taps ? slope * static_cast<double>(g.w[k * g.taps + b])
                                       : static_cast<double>(g.dbeta[k]) - slope * static_cast<double>(g.mean[k]);
        sum += static_cast<double>(g.scale[k]) * static_cast<double>(g.w[k * g.taps + a]) * of_b;
    }
    weights[i] = static_cast<float>(sum * inverse_rows);
}

/// dx = dx_sum - the transposed convolution of (window, 1) with the correction's weights.
template <typename T> __global__ void __launch_bounds__(block_threads)
    correct_gradient(T* dx, const float* dx_sum, const T* x, const float* correction, Sizes size, Cut cut) {
    const int taps = size.taps(), line_values = size.width * size.channels;
    const Piece piece(size, cut);
    float* strip = dynamic_shared<float>();
    Spread spread(strip + size.strip_floats(1) + quad, size, taps + 1, piece);
    const int pitch = spread.pitch();
    for (int i = static_cast<int>(threadIdx.x); i < taps * pitch; i += block_threads) spread.weights[i] = correction[i];
    const auto write = [&](int row, int column, float value) {
        const int64_t at = (piece.clip * size.height + row) * line_values + column;
        dx[at] = from_float<T>(dx_sum[at] - value);
    };
    for (int p = piece.first_reaching; p < piece.end_reaching; ++p) {
        __syncthreads(); // the line before has been added
        spread.hand_on_above(p, write);
        load_strip(strip, x, size, piece.clip, p, size.kernel);
        __syncthreads();
        spread.load_values([&](int q, int first_tap, float(&values)[quad]) {
#pragma unroll
            for (int v = 0; v < quad; ++v) {
                const int tap = first_tap + v;
                values[v] = tap == taps ? 1.0f : 0.0f;
                if (tap < taps) values[v] = strip[size.tap_offset(tap) + q * size.stride * size.channels];
            }
        });
        __syncthreads();
        spread.add_line(p);
    }
    __syncthreads();
    spread.hand_on_rest(write);
}

// ---- host ---------------------------------------------------------------------------------------------------------

int64_t moment_pieces(const Sizes& size) {
    return std::min(size.clips * divide_up(size.out_height, strip_lines_out), 4 * multiprocessors);
}

size_t gradient_bytes(const Sizes& size) {
    const auto slices = static_cast<size_t>(WindowItems(size, size.taps() + 1).slice_floats()) * sizeof(float);
    return std::max(spread_bytes(size, size.out_channels), slices);
}

template <typename T> size_t bytes_of(int64_t elements) {
    return (static_cast<size_t>(elements) * sizeof(T) + 15) / 16 * 16;
}

/// The parts of the backward pass's scratch, in bytes.
struct BackwardScratch {
    size_t partial, sums, correction, dx_sum;

    explicit BackwardScratch(const Sizes& size) {
        const int64_t columns = static_cast<int64_t>(size.out_channels) * (size.taps() + 1);
        partial = bytes_of<float>(Cut(size).pieces(size) * columns);
        sums = bytes_of<double>(columns);
        correction = bytes_of<float>(SpreadLayout(size, size.taps() + 1).weight_floats(size));
        dx_sum = bytes_of<float>(size.clips * size.height * size.width * size.channels);
    }
    size_t total() const { return partial + sums + correction + dx_sum; }
};

unsigned warp_blocks(int64_t items) { return static_cast<unsigned>(divide_up(items, warps)); }

} // namespace

bool conv2d_norm_suits(const Conv2dShape& shape) {
    if (!conv2d_thin_suits(shape) || shape.padding >= shape.kernel) return false;
    const Sizes size = sizes_of(shape);
    return std::max(gradient_bytes(size), spread_bytes(size, size.taps() + 1)) <= most_shared_bytes;
}

size_t conv2d_norm_statistics_scratch_bytes(const Conv2dShape& shape) {
    const Sizes size = sizes_of(shape);
    return bytes_of<float>(moment_pieces(size) * moment_columns(size)) + bytes_of<double>(moment_columns(size));
}

void conv2d_norm_statistics(Tensor mean, Tensor variance, Tensor moments, Tensor x, Tensor w, Tensor scratch,
                            const Conv2dShape& shape, cudaStream_t stream) {
    const Sizes size = sizes_of(shape);
    const int64_t taps = size.taps(), columns = moment_columns(size), pieces = moment_pieces(size);
    check_tensor(x, x.dtype, shape.x(), "x");
    float* to_mean = floats(mean, {shape.out_channels}, "mean");
    float* to_variance = floats(variance, {shape.out_channels}, "variance");
    float* to_moments = floats(moments, {1 + taps, taps}, "moments");
    const float* filters = floats(w, shape.w(), "w");
    auto* partial = scratch_of<float>(scratch, conv2d_norm_statistics_scratch_bytes(shape));
    auto* sums = reinterpret_cast<double*>(reinterpret_cast<std::byte*>(partial) + bytes_of<float>(pieces * columns));

    const int64_t strips_per_clip = divide_up(size.out_height, strip_lines_out), strips = size.clips * strips_per_clip;
    const int64_t groups = size.tap_groups(), pairs = groups * (groups + 1) / 2;
    const auto strip_bytes = static_cast<size_t>(size.strip_floats(strip_lines_out)) * sizeof(float);
    with_activation_type(x, [&](auto type) {
        using T = decltype(type);
        launch(sum_moments<T>, dim3(static_cast<unsigned>(pieces), warp_blocks(pairs)), dim3(block_threads),
               strip_bytes, stream, partial, static_cast<const T*>(x.data), size, static_cast<int>(strips_per_clip),
               strips);
    });
    const double windows = static_cast<double>(size.out_lines * size.out_width);
    launch_add_pieces<1>(FinishSums{sums, 1 / windows}, partial, 1, pieces, columns, stream);
    launch(output_moments, dim3(warp_blocks(size.out_channels)), dim3(block_threads), 0, stream, to_mean, to_variance,
           to_moments, sums, filters, static_cast<int>(taps), size.out_channels);
}

size_t conv2d_norm_backward_scratch_bytes(const Conv2dShape& shape) { return BackwardScratch(sizes_of(shape)).total(); }

void conv2d_norm_backward(Tensor dx, Tensor dw, Tensor dgamma, Tensor dbeta, Tensor da, Tensor a, Tensor x, Tensor w,
                          Tensor moments, Tensor mean, Tensor inv_std, Tensor scale, Tensor scratch,
                          const Conv2dShape& shape, cudaStream_t stream) {
    const Sizes size = sizes_of(shape);
    const int64_t taps = size.taps();
    const Shape per_channel{shape.out_channels};
    check_tensor(da, x.dtype, shape.y(), "da");
    check_tensor(a, x.dtype, shape.y(), "a");
    check_tensor(x, x.dtype, shape.x(), "x");
    for (const Tensor& output : {da, a})
        SCENE_CHECK(reinterpret_cast<uintptr_t>(output.data) % 16 == 0, "da or a is not aligned to 16 bytes");
    if (dx) check_tensor(dx, x.dtype, shape.x(), "dx");
    const BackwardScratch parts(size);
    auto* memory = scratch_of<std::byte>(scratch, parts.total());
    auto* partial = reinterpret_cast<float*>(memory);
    auto* sums = reinterpret_cast<double*>(memory + parts.partial);
    auto* correction = reinterpret_cast<float*>(memory + parts.partial + parts.sums);
    float* dx_sum = dx ? reinterpret_cast<float*>(memory + parts.partial + parts.sums + parts.correction) : nullptr;
    const Gradients gradients{.dw = floats(dw, shape.w(), "dw"),
                              .dgamma = floats(dgamma, per_channel, "dgamma"),
                              .dbeta = floats(dbeta, per_channel, "dbeta"),
                              .sums = sums,
                              .w = floats(w, shape.w(), "w"),
                              .moments = floats(moments, {1 + taps, taps}, "moments"),
                              .mean = floats(mean, per_channel, "mean"),
                              .inv_std = floats(inv_std, per_channel, "inv_std"),
                              .scale = floats(scale, per_channel, "scale"),
                              .taps = static_cast<int>(taps),
                              .out_channels = size.out_channels};
    const Cut cut(size);
    const auto pieces = static_cast<unsigned>(cut.pieces(size));
    with_activation_type(x, [&](auto type) {
        using T = decltype(type);
        const BackwardOperands<T> op{.da = static_cast<const T*>(da.data),
                                     .a = static_cast<const T*>(a.data),
                                     .x = static_cast<const T*>(x.data),
                                     .w = gradients.w,
                                     .scale = gradients.scale,
                                     .partial = partial,
                                     .dx_sum = dx_sum};
        launch(spread_gradient<T>, dim3(pieces, WindowItems(size, static_cast<int>(taps) + 1).blocks()),
               dim3(block_threads), gradient_bytes(size), stream, op, size, cut);
    });
    launch_add_pieces<1>(FinishSums{sums, 1}, partial, 1, pieces, size.out_channels * (taps + 1), stream);
    launch(channel_gradients, dim3(warp_blocks(size.out_channels)), dim3(block_threads), 0, stream, gradients);
    if (!dx) return;
    const int pitch = SpreadLayout(size, static_cast<int>(taps) + 1).pitch;
    launch(correction_weights, blocks_over(taps * pitch), dim3(block_threads), 0, stream, correction, gradients, pitch,
           1.0 / static_cast<double>(size.out_lines * size.out_width));
    with_activation_type(x, [&](auto type) {
        using T = decltype(type);
        launch(correct_gradient<T>, dim3(pieces), dim3(block_threads), spread_bytes(size, static_cast<int>(taps) + 1),
               stream, static_cast<T*>(dx.data), static_cast<const float*>(dx_sum), static_cast<const T*>(x.data),
               static_cast<const float*>(correction), size, cut);
    });
}

} // namespace scene::cuda
