// What a data gradient that takes in a batch norm's sums leaves to do, against the CPU's.

#include "tests/cuda_on_cpu/support.h"

namespace scene::test {
namespace {

void expect_apply(const Shape& map, DType dtype) {
    const int64_t channels = map[map.rank() - 1];
    const Guarded x = stored_as(dtype, uniform(map, 1)), dz = stored_as(dtype, uniform(map, 2));
    const Guarded mean = uniform({channels}, 3), inv_std = uniform({channels}, 4, 0.5f, 2.0f);
    const Guarded scale = uniform({channels}, 5), dgamma = uniform({channels}, 6, -9, 9),
                  dbeta = uniform({channels}, 7, -9, 9);
    const Guarded expected(map);
    cpu().batch_norm_apply_gradient(expected, dz, x, mean, inv_std, scale, dgamma, dbeta);
    const OnDevice d_x(x, dtype), d_dz(dz, dtype), d_mean(mean), d_inv_std(inv_std), d_scale(scale), d_dgamma(dgamma),
        d_dbeta(dbeta);
    cuda::batch_norm_apply_gradient(d_x, d_dz, d_x, d_mean, d_inv_std, d_scale, d_dgamma, d_dbeta, nullptr);
    EXPECT_TRUE(close(d_x, expected, rounding(dtype, 4), map.text()));
}

TEST(CudaNormGradient, AppliedInPlace) {
    for (const Shape& map : {Shape{3, 5, 4, 24}, Shape{2, 3, 3, 7}, Shape{7, 300}})
        for_each_setting([&](DType dtype) { expect_apply(map, dtype); });
}

TEST(CudaNormGradient, MoreRowsThanBlocks) {
    emulator::shuffle(5);
    expect_apply({70000, 8}, DType::F32);
}

} // namespace
} // namespace scene::test
