#include "kernels/cuda/kernels.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/operands.h"

namespace scene::cuda {
namespace {

/// Rows [first, last) of H that token t of T averages.
struct TokenRows {
    int first, last;
    __device__ TokenRows(int t, int tokens, int height)
        : first(static_cast<int>(static_cast<int64_t>(t) * height / tokens)),
          last(static_cast<int>((static_cast<int64_t>(t + 1) * height + tokens - 1) / tokens)) {}
};

/// One block for each token: blockDim.x packs of channels by blockDim.y positions.
template <typename Y, typename X, int V> __global__ void __launch_bounds__(block_threads)
    average_token(Y* y, const X* x, int tokens, int height, int width, int channels) {
    float* shared = dynamic_shared<float>(); // [blockDim.y][V][blockDim.x]
    const int across = static_cast<int>(blockDim.x), down = static_cast<int>(blockDim.y);
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
    for (int v = 0; v < V; ++v) shared[(line * V + v) * across + column] = sum[v];
    __syncthreads();
    if (line != 0 || channel >= channels) return;
    for (int other = 1; other < down; ++other) {
#pragma unroll
        for (int v = 0; v < V; ++v) sum[v] += shared[(other * V + v) * across + column];
    }
    const float share = 1.0f / static_cast<float>(positions);
#pragma unroll
    for (int v = 0; v < V; ++v) sum[v] *= share;
    store(y + static_cast<int64_t>(blockIdx.x) * channels + channel, sum);
}

/// One block for each row h of a clip; every position of the row gets the same.
template <typename X, typename Y, int V> __global__ void __launch_bounds__(block_threads)
    spread_tokens(X* dx, const Y* dy, int tokens, int height, int width, int channels) {
    const int channel = static_cast<int>(blockIdx.y * blockDim.x + threadIdx.x) * V;
    if (channel >= channels) return;
    const int clip = static_cast<int>(blockIdx.x) / height, h = static_cast<int>(blockIdx.x) % height;
    float sum[V] = {};
    // From the first token that reaches beyond row h; neighbours overlap by a row where T does not divide H.
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

template <typename Y, typename X> __global__ void __launch_bounds__(block_threads)
    max_over_tokens(Y* y, int32_t* argmax, const X* x, int64_t count, int tokens, int features) {
    const int64_t i = thread_in_grid();
    if (i >= count) return;
    const X* from = x + i / features * tokens * features + i % features;
    float largest = to_float(from[0]);
    int where = 0;
    for (int t = 1; t < tokens; ++t) {
        const float value = to_float(from[static_cast<int64_t>(t) * features]);
        if (value > largest) largest = value, where = t;
    }
    y[i] = from_float<Y>(largest);
    argmax[i] = where;
}

template <typename X, typename Y> __global__ void __launch_bounds__(block_threads)
    max_backward(X* dx, const Y* dy, const int32_t* argmax, int64_t count, int tokens, int features) {
    const int64_t i = thread_in_grid();
    if (i >= count) return;
    const int64_t clip = i / features / tokens, token = i / features % tokens, at = clip * features + i % features;
    dx[i] = from_float<X>(argmax[at] == token ? to_float(dy[at]) : 0.0f);
}

/// Calls work(X{}, Y{}) with the type of the input and that of the tokens, which may be float after halves.
template <typename Work> void with_token_types(const Tensor& x, const Tensor& y, Work&& work) {
    SCENE_CHECK(y.dtype == DType::F32 || y.dtype == x.dtype, "tokens are neither F32 nor of the input's type");
    with_activation_type(x, [&](auto x_type) {
        with_activation_type(y, [&](auto y_type) {
            using X = decltype(x_type);
            using Y = decltype(y_type);
            if constexpr (sizeof(Y) >= sizeof(X)) work(x_type, y_type);
        });
    });
}

/// Calls work(Width) with a width that both types' addresses allow.
template <typename X, typename Work>
void with_token_width(int64_t channels, const Tensor& x, const Tensor& y, Work&& work) {
    with_pack_width<X>(channels, {x.data, y.data}, std::forward<Work>(work));
}

/// A block of packs by rows for each of `items` items.
struct TokenBlocks {
    dim3 grid, block;

    TokenBlocks(int64_t items, int64_t channels, int width) {
        const int64_t packs = channels / width, x = std::min<int64_t>(packs, block_threads);
        SCENE_CHECK(items > 0 && items <= 0x7FFFFFFF, "tokens for a grid");
        grid = dim3(static_cast<unsigned>(items), static_cast<unsigned>(divide_up(packs, x)));
        block = dim3(static_cast<unsigned>(x), static_cast<unsigned>(block_threads / x));
    }
};

} // namespace

void token_pool_forward(Tensor y, Tensor x, cudaStream_t stream) {
    check_rank(x, 4, "x");
    check_rank(y, 3, "y");
    const int64_t clips = x.shape[0], channels = x.shape[3], tokens = y.shape[1];
    check_tensor(y, y.dtype, {clips, tokens, channels}, "y");
    with_token_types(x, y, [&](auto x_type, auto y_type) {
        using X = decltype(x_type);
        using Y = decltype(y_type);
        with_token_width<X>(channels, x, y, [&](auto width) {
            constexpr int V = decltype(width)::value;
            const TokenBlocks blocks(clips * tokens, channels, V);
            launch(average_token<Y, X, V>, blocks.grid, blocks.block,
                   size_t{blocks.block.x} * blocks.block.y * V * sizeof(float), stream, static_cast<Y*>(y.data),
                   static_cast<const X*>(x.data), static_cast<int>(tokens), static_cast<int>(x.shape[1]),
                   static_cast<int>(x.shape[2]), static_cast<int>(channels));
        });
    });
}

void token_pool_backward(Tensor dx, Tensor dy, cudaStream_t stream) {
    check_rank(dx, 4, "dx");
    check_rank(dy, 3, "dy");
    const int64_t clips = dx.shape[0], height = dx.shape[1], channels = dx.shape[3], tokens = dy.shape[1];
    check_tensor(dy, dy.dtype, {clips, tokens, channels}, "dy");
    with_token_types(dx, dy, [&](auto x_type, auto y_type) {
        using X = decltype(x_type);
        using Y = decltype(y_type);
        with_token_width<X>(channels, dx, dy, [&](auto width) {
            constexpr int V = decltype(width)::value;
            const TokenBlocks blocks(clips * height, channels, V);
            launch(spread_tokens<X, Y, V>, blocks.grid, blocks.block, 0, stream, static_cast<X*>(dx.data),
                   static_cast<const Y*>(dy.data), static_cast<int>(tokens), static_cast<int>(height),
                   static_cast<int>(dx.shape[2]), static_cast<int>(channels));
        });
    });
}

void token_max_forward(Tensor y, Tensor argmax, Tensor x, cudaStream_t stream) {
    check_rank(x, 3, "x");
    const int64_t clips = x.shape[0], tokens = x.shape[1], features = x.shape[2];
    SCENE_CHECK(tokens > 0, "the maximum over no tokens");
    check_tensor(y, y.dtype, {clips, features}, "y");
    int32_t* where = indices(argmax, {clips, features}, "argmax");
    with_token_types(x, y, [&](auto x_type, auto y_type) {
        using X = decltype(x_type);
        using Y = decltype(y_type);
        launch(max_over_tokens<Y, X>, blocks_over(clips * features), dim3(block_threads), 0, stream,
               static_cast<Y*>(y.data), where, static_cast<const X*>(x.data), clips * features,
               static_cast<int>(tokens), static_cast<int>(features));
    });
}

void token_max_backward(Tensor dx, Tensor dy, Tensor argmax, cudaStream_t stream) {
    check_rank(dx, 3, "dx");
    const int64_t clips = dx.shape[0], tokens = dx.shape[1], features = dx.shape[2];
    check_tensor(dy, dy.dtype, {clips, features}, "dy");
    const int32_t* where = indices(argmax, {clips, features}, "argmax");
    with_token_types(dx, dy, [&](auto x_type, auto y_type) {
        using X = decltype(x_type);
        using Y = decltype(y_type);
        launch(max_backward<X, Y>, blocks_over(dx.elements()), dim3(block_threads), 0, stream, static_cast<X*>(dx.data),
               static_cast<const Y*>(dy.data), where, dx.elements(), static_cast<int>(tokens),
               static_cast<int>(features));
    });
}

} // namespace scene::cuda
