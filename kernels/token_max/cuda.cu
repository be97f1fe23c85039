#include "kernels/token_max/token_max.h"

#include "kernels/cuda/common/token_types.h"
#include "kernels/cuda/context.h"
#include "kernels/cuda/launch.h"

namespace scene::cuda {
namespace {

template <typename Y, typename X> __global__ void __launch_bounds__(block_threads)
    max_over_tokens(Y* y, int32_t* argmax, const X* x, int64_t count, int tokens, int features) {
    const int64_t i = thread_in_grid();
    if (i >= count) return;
    const X* from = x + i / features * tokens * features + i % features;
    float largest = to_float(from[0]);
    int where = 0;
    for (int t = 1; t < tokens; ++t) {
        const float value = to_float(from[static_cast<int64_t>(t) * features]);
        if (value > largest || value != value) largest = value, where = t;
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

} // namespace

void run(const TokenMaxForward<Tensor>& op, Context& cuda) {
    check_rank(op.x, 3, "x");
    const int64_t clips = op.x.shape[0], tokens = op.x.shape[1], features = op.x.shape[2];
    SCENE_CHECK(tokens > 0, "the maximum over no tokens");
    check_tensor(op.y, op.y.dtype, {clips, features}, "y");
    int32_t* where = indices(op.argmax, {clips, features}, "argmax");
    with_token_types(op.x, op.y, [&](auto x_type, auto y_type) {
        using X = decltype(x_type);
        using Y = decltype(y_type);
        launch(max_over_tokens<Y, X>, blocks_over(clips * features), dim3(block_threads), 0, cuda.stream,
               static_cast<Y*>(op.y.data), where, static_cast<const X*>(op.x.data), clips * features,
               static_cast<int>(tokens), static_cast<int>(features));
    });
}

void run(const TokenMaxBackward<Tensor>& op, Context& cuda) {
    check_rank(op.dx, 3, "dx");
    const int64_t clips = op.dx.shape[0], tokens = op.dx.shape[1], features = op.dx.shape[2];
    check_tensor(op.dy, op.dy.dtype, {clips, features}, "dy");
    const int32_t* where = indices(op.argmax, {clips, features}, "argmax");
    with_token_types(op.dx, op.dy, [&](auto x_type, auto y_type) {
        using X = decltype(x_type);
        using Y = decltype(y_type);
        launch(max_backward<X, Y>, blocks_over(op.dx.elements()), dim3(block_threads), 0, cuda.stream,
               static_cast<X*>(op.dx.data), static_cast<const Y*>(op.dy.data), where, op.dx.elements(),
               static_cast<int>(tokens), static_cast<int>(features));
    });
}

} // namespace scene::cuda
