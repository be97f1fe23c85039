// What surrounds the network in a step: folded weights.

#include "tests/cuda_on_cpu/support.h"

namespace scene::test {
namespace {

TEST(CudaConvert, FoldConvolutionWeights) {
    const Shape shape{6, 3, 3, 5};
    const Guarded w = uniform(shape, 1), scale = uniform({6}, 2, -2, 2), folded(shape);
    cpu().fold_conv_weights(folded, w, scale);
    for_each_setting([&](DType dtype) {
        const OnDevice d_folded(shape, dtype), d_w(w), d_scale(scale);
        cuda::fold_conv_weights(d_folded, d_w, d_scale, nullptr);
        EXPECT_TRUE(close(d_folded, folded, rounding(dtype), "folded"));
    });
}

} // namespace
} // namespace scene::test
