#pragma once

// The element types of ops between the convolutional part and the encoder.

#include "kernels/cuda/common/operands.h"

namespace scene::cuda {

/// Calls work(X{}, Y{}): X is the element type of the input, Y that of the tokens, which is X or float.
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

} // namespace scene::cuda
