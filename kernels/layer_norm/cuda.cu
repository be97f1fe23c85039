#include "kernels/cuda/common/column_sums.h"
#include "kernels/cuda/context.h"
#include "kernels/layer_norm/layer_norm.h"

namespace scene::cuda {
namespace {

constexpr int warps = block_threads / warp_lanes;

/// One warp for each row. Between passes the lanes keep their elements in shared memory.
template <typename T, int V> __global__ void __launch_bounds__(block_threads)
    normalize_rows(T* y, float* moments, const T* x, const T* branch, const float* gamma, const float* beta,
                   int64_t rows, int features, float epsilon, DropoutMask mask) {
    const int warp = static_cast<int>(threadIdx.x) / warp_lanes, lane = static_cast<int>(threadIdx.x) % warp_lanes;
    float* values = dynamic_shared<float>() + warp * features; // [warps][D]
    const int64_t row = static_cast<int64_t>(blockIdx.x) * warps + warp;
    if (row >= rows) return; // a whole warp at a time
    mask.read_control();
    const int64_t first = row * features;
    float sum = 0;
    for (int d = lane * V; d < features; d += warp_lanes * V) {
        float a[V], b[V], factor[V];
        load(a, x + first + d);
        load(b, branch + first + d);
        mask.factors(factor, first + d);
#pragma unroll
        for (int v = 0; v < V; ++v) {
            a[v] = fmaf(b[v], factor[v], a[v]);
            sum += a[v];
        }
        store(values + d, a);
    }
    const float mean = warp_sum(sum) / static_cast<float>(features);
    float squares = 0;
    for (int d = lane * V; d < features; d += warp_lanes * V) {
        float value[V];
        load(value, values + d);
#pragma unroll
        for (int v = 0; v < V; ++v) squares += (value[v] - mean) * (value[v] - mean);
    }
    const float inv_std = 1.0f / sqrtf(warp_sum(squares) / static_cast<float>(features) + epsilon);
    for (int d = lane * V; d < features; d += warp_lanes * V) {
        float value[V], weight[V], bias[V];
        load(value, values + d);
        load(weight, gamma + d);
        load(bias, beta + d);
#pragma unroll
        for (int v = 0; v < V; ++v) weight[v] = fmaf((value[v] - mean) * inv_std, weight[v], bias[v]);
        store(y + first + d, weight);
    }
    if (lane == 0) moments[2 * row] = mean, moments[2 * row + 1] = inv_std;
}

/// Two blocks for each multiprocessor (chunk_rows), each with a chunk of rows, one warp for each row. Writes the
/// chunk's sums of dy*xhat and dy to partial [chunks, 2, D].
template <typename T, int V> __global__ void __launch_bounds__(block_threads, 2)
    normalize_backward(T* dx, T* dbranch, float* partial, const T* dy, const float* moments, const T* x,
                       const T* branch, const float* gamma, int64_t rows, int64_t rows_per_chunk, int features,
                       DropoutMask mask) {
    const int warp = static_cast<int>(threadIdx.x) / warp_lanes, lane = static_cast<int>(threadIdx.x) % warp_lanes;
    float* sums = dynamic_shared<float>();                            // [warps][2][D]
    float* xhats = sums + warps * 2 * features + warp * 2 * features; // [warps][2][D]: xhat, then g
    float* gradients = xhats + features;
    float* dgamma = sums + warp * 2 * features;
    float* dbeta = dgamma + features;
    mask.read_control();
    for (int d = lane * V; d < features; d += warp_lanes * V) {
        constexpr float zeros[V] = {};
        store(dgamma + d, zeros);
        store(dbeta + d, zeros);
    }
    const int64_t begin = blockIdx.x * rows_per_chunk;
    const int64_t end = begin + rows_per_chunk < rows ? begin + rows_per_chunk : rows;
    for (int64_t row = begin + warp; row < end; row += warps) {
        const int64_t first = row * features;
        const float mean = moments[2 * row], inv_std = moments[2 * row + 1];
        float sum = 0, sum_xhat = 0;
        for (int d = lane * V; d < features; d += warp_lanes * V) {
            float a[V], b[V], gradient[V], weight[V], factor[V], of_gamma[V], of_beta[V];
            load(of_gamma, dgamma + d);
            load(of_beta, dbeta + d);
            load(a, x + first + d);
            load(b, branch + first + d);
            load(gradient, dy + first + d);
            load(weight, gamma + d);
            mask.factors(factor, first + d);
#pragma unroll
            for (int v = 0; v < V; ++v) {
                const float xhat = (fmaf(b[v], factor[v], a[v]) - mean) * inv_std, g = gradient[v] * weight[v];
                sum += g;
                sum_xhat += g * xhat;
                of_gamma[v] += gradient[v] * xhat;
                of_beta[v] += gradient[v];
                a[v] = xhat;
                gradient[v] = g;
            }
            store(dgamma + d, of_gamma);
            store(dbeta + d, of_beta);
            store(xhats + d, a);
            store(gradients + d, gradient);
        }
        const float mean_g = warp_sum(sum) / static_cast<float>(features);
        const float mean_g_xhat = warp_sum(sum_xhat) / static_cast<float>(features);
        for (int d = lane * V; d < features; d += warp_lanes * V) {
            float out[V], xhat[V], factor[V];
            load(out, gradients + d);
            load(xhat, xhats + d);
            mask.factors(factor, first + d);
#pragma unroll
            for (int v = 0; v < V; ++v) out[v] = inv_std * (out[v] - mean_g - xhat[v] * mean_g_xhat);
            store(dx + first + d, out);
#pragma unroll
            for (int v = 0; v < V; ++v) out[v] *= factor[v];
            store(dbranch + first + d, out);
        }
    }
    __syncthreads();
    float* chunk = partial + static_cast<int64_t>(blockIdx.x) * 2 * features;
    for (int i = static_cast<int>(threadIdx.x); i < 2 * features; i += block_threads) {
        float total = 0;
        for (int other = 0; other < warps; ++other) total += sums[other * 2 * features + i];
        chunk[i] = total;
    }
}

struct FinishGradients {
    float *dgamma, *dbeta;

    __device__ void operator()(int, int d, const double (&sum)[2]) const {
        dgamma[d] = static_cast<float>(sum[0]);
        dbeta[d] = static_cast<float>(sum[1]);
    }
};

/// About two blocks for each multiprocessor, with at least two rows for each warp.
int64_t chunk_rows(int64_t rows) {
    return std::max<int64_t>(divide_up(divide_up(rows, 2 * multiprocessors), warps), 2) * warps;
}

/// Calls work with vectors of four elements, which share one Philox block, or of one where four do not fit.
template <typename T, typename Work>
void with_vec4(int64_t features, std::initializer_list<const void*> addresses, Work&& work) {
    if (features % 4 == 0 && packs_fit<float>(features, addresses)) {
        work(Width<4>{});
    } else {
        work(Width<1>{});
    }
}

} // namespace

void run(const LayerNormForward<Tensor>& op, Context& cuda) {
    const int64_t features = channels_of(op.x, "x"), rows = op.x.elements() / features;
    check_tensor(op.branch, op.x.dtype, op.x.shape, "branch");
    check_tensor(op.y, op.x.dtype, op.x.shape, "y");
    const float* weight = floats(op.gamma, {features}, "gamma");
    const float* bias = floats(op.beta, {features}, "beta");
    float* mean_inv_std = floats(op.moments, {rows, 2}, "moments");
    const DropoutMask mask = mask_of(op.dropout, op.control);
    with_activation_type(op.x, [&](auto type) {
        using T = decltype(type);
        with_vec4<T>(features, {op.y.data, op.x.data, op.branch.data, weight, bias}, [&](auto width) {
            launch(normalize_rows<T, decltype(width)::value>, dim3(static_cast<unsigned>(divide_up(rows, warps))),
                   dim3(block_threads), static_cast<size_t>(warps * features) * sizeof(float), cuda.stream,
                   static_cast<T*>(op.y.data), mean_inv_std, static_cast<const T*>(op.x.data),
                   static_cast<const T*>(op.branch.data), weight, bias, rows, static_cast<int>(features), op.epsilon,
                   mask);
        });
    });
}

size_t scratch_bytes(const LayerNormBackward<TensorSpec>& op, const Planning&) {
    const int64_t features = op.gamma.shape[0], rows = op.x.elements() / features;
    return static_cast<size_t>(divide_up(rows, chunk_rows(rows)) * 2 * features) * sizeof(float);
}

void run(const LayerNormBackward<Tensor>& op, Context& cuda) {
    const int64_t features = channels_of(op.x, "x"), rows = op.x.elements() / features;
    check_tensor(op.branch, op.x.dtype, op.x.shape, "branch");
    check_tensor(op.dy, op.x.dtype, op.x.shape, "dy");
    check_tensor(op.dx, op.x.dtype, op.x.shape, "dx");
    check_tensor(op.dbranch, op.x.dtype, op.x.shape, "dbranch");
    const float* weight = floats(op.gamma, {features}, "gamma");
    const float* mean_inv_std = floats(op.moments, {rows, 2}, "moments");
    const FinishGradients finish{floats(op.dgamma, {features}, "dgamma"), floats(op.dbeta, {features}, "dbeta")};
    const int64_t rows_per_chunk = chunk_rows(rows), chunks = divide_up(rows, rows_per_chunk);
    auto* partial = scratch_of<float>(op.scratch, static_cast<size_t>(chunks * 2 * features) * sizeof(float));
    const DropoutMask mask = mask_of(op.dropout, op.control);
    with_activation_type(op.x, [&](auto type) {
        using T = decltype(type);
        with_vec4<T>(features, {op.dx.data, op.dbranch.data, op.dy.data, op.x.data, op.branch.data, weight},
                     [&](auto width) {
                         launch(normalize_backward<T, decltype(width)::value>, dim3(static_cast<unsigned>(chunks)),
                                dim3(block_threads), static_cast<size_t>(warps * 4 * features) * sizeof(float),
                                cuda.stream, static_cast<T*>(op.dx.data), static_cast<T*>(op.dbranch.data), partial,
                                static_cast<const T*>(op.dy.data), mean_inv_std, static_cast<const T*>(op.x.data),
                                static_cast<const T*>(op.branch.data), weight, rows, rows_per_chunk,
                                static_cast<int>(features), mask);
                     });
    });
    launch_add_chunks<2>(finish, partial, 1, chunks, features, cuda.stream);
}

} // namespace scene::cuda
