#include "kernels/token_pool/token_pool.h"

#include "kernels/cuda/common/token_types.h"
#include "kernels/cuda/context.h"
#include "kernels/cuda/launch.h"

namespace scene::cuda {
namespace {

/// Rows [first, last) of H that token t of T averages.
struct TokenRows {
    int first, last;
    __device__ TokenRows(int t, int tokens, int height)
        : first(static_cast<int>(static_cast<int64_t>(t) * height / tokens)),
          last(static_cast<int>((static_cast<int64_t>(t + 1) * height + tokens - 1) / tokens)) {}
};

/// One block for each token: blockDim.x vectors of V channels by blockDim.y positions.
template <typename Y, typename X, int V> __global__ void __launch_bounds__(block_threads)
    average_token(Y* y, const X* x, int tokens, int height, int width, int channels) {
    float* shared = dynamic_shared<float>(); // [V][pitch]
    const int across = static_cast<int>(blockDim.x), down = static_cast<int>(blockDim.y);
    const int pitch = shared_pitch(across, down);
    const int column = static_cast<int>(threadIdx.x), line = static_cast<int>(threadIdx.y);
    const int channel = (static_cast<int>(blockIdx.y) * across + column) * V;
    const int clip = static_cast<int>(blockIdx.x) / tokens;
    const TokenRows rows(static_cast<int>(blockIdx.x) % tokens, tokens, height);
    const int positions = (rows.last - rows.first) * width;
    float sum[V] = {};
    if (channel < channels) {
        const X* from = x + (static_cast<int64_t>(clip) * height + rows.first) * width * channels + channel;
        for (int i = line; i < positions; i += down) {
            float value[V];
            load(value, from + static_cast<int64_t>(i) * channels);
#pragma unroll
            for (int v = 0; v < V; ++v) sum[v] += value[v];
        }
    }
#pragma unroll
    for (int v = 0; v < V; ++v) shared[v * pitch + line * across + column] = sum[v];
    __syncthreads();
    if (line != 0 || channel >= channels) return;
    for (int other = 1; other < down; ++other) {
#pragma unroll
        for (int v = 0; v < V; ++v) sum[v] += shared[v * pitch + other * across + column];
    }
    const float share = 1.0f / static_cast<float>(positions);
#pragma unroll
    for (int v = 0; v < V; ++v) sum[v] *= share;
    store(y + static_cast<int64_t>(blockIdx.x) * channels + channel, sum);
}

/// One block for each row h of a clip. All positions of a row have the same gradient.
template <typename X, typename Y, int V> __global__ void __launch_bounds__(block_threads)
    average_token_backward(X* dx, const Y* dy, int tokens, int height, int width, int channels) {
    const int channel = static_cast<int>(blockIdx.y * blockDim.x + threadIdx.x) * V;
    if (channel >= channels) return;
    const int clip = static_cast<int>(blockIdx.x) / height, h = static_cast<int>(blockIdx.x) % height;
    float sum[V] = {};
    // Begins with the first token that averages row h. Tokens may overlap where T does not divide H.
    for (int t = static_cast<int>(static_cast<int64_t>(h) * tokens / height); t < tokens; ++t) {
        const TokenRows rows(t, tokens, height);
        if (rows.first > h) break;
        const float share = 1.0f / (static_cast<float>(rows.last - rows.first) * static_cast<float>(width));
        float gradient[V];
        load(gradient, dy + (static_cast<int64_t>(clip) * tokens + t) * channels + channel);
#pragma unroll
        for (int v = 0; v < V; ++v) sum[v] += gradient[v] * share;
    }
    X* to = dx + static_cast<int64_t>(blockIdx.x) * width * channels + channel;
    for (int w = static_cast<int>(threadIdx.y); w < width; w += static_cast<int>(blockDim.y))
        store(to + static_cast<int64_t>(w) * channels, sum);
}

/// Grid and block for `items` tokens or rows: threadIdx.x counts vectors of channels, threadIdx.y positions.
struct TokenBlocks {
    dim3 grid, block;

    TokenBlocks(int64_t items, int64_t channels, int width) {
        const int64_t vectors = channels / width, x = std::min<int64_t>(vectors, block_threads);
        SCENE_CHECK(items > 0 && items <= 0x7FFFFFFF, "tokens for a grid");
        grid = dim3(static_cast<unsigned>(items), static_cast<unsigned>(divide_up(vectors, x)));
        block = dim3(static_cast<unsigned>(x), static_cast<unsigned>(block_threads / x));
    }
};

} // namespace

void run(const TokenPoolForward<Tensor>& op, Context& cuda) {
    check_rank(op.x, 4, "x");
    check_rank(op.y, 3, "y");
    const Shape& shape = op.x.shape;
    const int64_t clips = shape[0], channels = channels_of(op.x, "x"), tokens = op.y.shape[1];
    check_tensor(op.y, op.y.dtype, {clips, tokens, channels}, "y");
    with_token_types(op.x, op.y, [&](auto x_type, auto y_type) {
        using X = decltype(x_type);
        using Y = decltype(y_type);
        with_pack_width<X>(channels, {op.x.data, op.y.data}, [&](auto width) {
            constexpr int V = decltype(width)::value;
            const TokenBlocks blocks(clips * tokens, channels, V);
            launch(average_token<Y, X, V>, blocks.grid, blocks.block, shared_arrays_bytes(blocks.block, V), cuda.stream,
                   static_cast<Y*>(op.y.data), static_cast<const X*>(op.x.data), static_cast<int>(tokens),
                   static_cast<int>(shape[1]), static_cast<int>(shape[2]), static_cast<int>(channels));
        });
    });
}

void run(const TokenPoolBackward<Tensor>& op, Context& cuda) {
    check_rank(op.dx, 4, "dx");
    check_rank(op.dy, 3, "dy");
    const Shape& shape = op.dx.shape;
    const int64_t clips = shape[0], height = shape[1], channels = channels_of(op.dx, "dx"), tokens = op.dy.shape[1];
    check_tensor(op.dy, op.dy.dtype, {clips, tokens, channels}, "dy");
    with_token_types(op.dx, op.dy, [&](auto x_type, auto y_type) {
        using X = decltype(x_type);
        using Y = decltype(y_type);
        with_pack_width<X>(channels, {op.dx.data, op.dy.data}, [&](auto width) {
            constexpr int V = decltype(width)::value;
            const TokenBlocks blocks(clips * height, channels, V);
            launch(average_token_backward<X, Y, V>, blocks.grid, blocks.block, 0, cuda.stream,
                   static_cast<X*>(op.dx.data), static_cast<const Y*>(op.dy.data), static_cast<int>(tokens),
                   static_cast<int>(height), static_cast<int>(shape[2]), static_cast<int>(channels));
        });
    });
}

} // namespace scene::cuda
