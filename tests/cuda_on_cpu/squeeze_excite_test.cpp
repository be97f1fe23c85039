#include "tests/cuda_on_cpu/support.h"

namespace scene::test {
namespace {

const std::vector<Shape> activations = {{3, 7, 5, 10}, {2, 8, 6, 16}, {2, 2, 3, 1}, {1, 5, 4, 264}};

struct Case {
    Guarded x, scale, shift, gate;
    bool avg_pool;

    Case(const Shape& shape, bool pool)
        : x(uniform(shape, 1)), scale(uniform({shape[3]}, 2, -2, 2)), shift(uniform({shape[3]}, 3)),
          gate(uniform({shape[0], shape[3]}, 4, 0, 1)), avg_pool(pool) {}
    Shape out() const {
        const Shape& s = x.shape();
        return avg_pool ? Shape{s[0], s[1] / 2, s[2] / 2, s[3]} : s;
    }
    Shape per_clip() const { return {x.shape()[0], x.shape()[3]}; }
    double positions() const { return static_cast<double>(x.shape()[1] * x.shape()[2]); }
    std::string label() const { return x.shape().text() + (avg_pool ? " pool" : ""); }
};

void for_each_case(const std::function<void(const Case&, DType)>& check) {
    for (const Shape& shape : activations)
        for (const bool avg_pool : {false, true})
            for_each_setting([&](DType dtype) { check(Case(shape, avg_pool), dtype); });
}

TEST(CudaSqueezeExcite, Squeeze) {
    for_each_case([](const Case& c, DType dtype) {
        if (c.avg_pool) return; // pools nothing
        const Guarded expected(c.per_clip());
        cpu().se_squeeze(expected, stored_as(dtype, c.x), c.scale, c.shift);
        const OnDevice pooled(c.per_clip()), x(c.x, dtype), scale(c.scale), shift(c.shift);
        const OnDevice scratch = scratch_on_device(cuda::se_scratch_bytes(c.x.shape()));
        cuda::se_squeeze(pooled, x, scale, shift, scratch, nullptr);
        EXPECT_TRUE(close(pooled, expected, rounding(DType::F32, c.positions()), c.label()));
    });
}

TEST(CudaSqueezeExcite, ExciteForward) {
    for_each_case([](const Case& c, DType dtype) {
        const Guarded expected(c.out());
        cpu().se_excite_forward(expected, stored_as(dtype, c.x), c.scale, c.shift, c.gate, c.avg_pool);
        const OnDevice y(c.out(), dtype), x(c.x, dtype), scale(c.scale), shift(c.shift), gate(c.gate);
        cuda::se_excite_forward(y, x, scale, shift, gate, c.avg_pool, nullptr);
        EXPECT_TRUE(close(y, expected, rounding(dtype, 4), c.label()));
    });
}

TEST(CudaSqueezeExcite, ExciteBackward) {
    for_each_case([](const Case& c, DType dtype) {
        const Guarded stored = stored_as(dtype, c.x), dy = stored_as(dtype, uniform(c.out(), 5));
        const Guarded dpooled = uniform(c.per_clip(), 6, -9, 9), dgate(c.per_clip()), dz(c.x.shape());
        cpu().se_excite_backward_gate(dgate, dy, stored, c.scale, c.shift, c.gate, c.avg_pool);
        cpu().se_excite_backward(dz, dy, stored, c.scale, c.shift, c.gate, dpooled, c.avg_pool);

        const OnDevice d_dgate(c.per_clip()), d_dz(c.x.shape(), dtype), d_dy(dy, dtype), x(c.x, dtype);
        const OnDevice scale(c.scale), shift(c.shift), gate(c.gate), d_dpooled(dpooled);
        const OnDevice scratch = scratch_on_device(cuda::se_scratch_bytes(c.x.shape()));
        cuda::se_excite_backward_gate(d_dgate, d_dy, x, scale, shift, gate, c.avg_pool, scratch, nullptr);
        cuda::se_excite_backward(d_dz, d_dy, x, scale, shift, gate, d_dpooled, c.avg_pool, nullptr);
        EXPECT_TRUE(close(d_dgate, dgate, rounding(DType::F32, c.positions()), c.label() + " dgate"));
        EXPECT_TRUE(close(d_dz, dz, rounding(dtype, 2), c.label() + " dz"));
    });
}

/// Wide rows make small blocks, so that the sums of a clip come from more pieces than are added side by side.
TEST(CudaSqueezeExcite, ManyPieces) {
    emulator::shuffle(4);
    const Case c({1, 60, 20, 264}, true);
    const Guarded dy = uniform(c.out(), 5), dgate(c.per_clip()), pooled(c.per_clip());
    cpu().se_excite_backward_gate(dgate, dy, c.x, c.scale, c.shift, c.gate, true);
    cpu().se_squeeze(pooled, c.x, c.scale, c.shift);
    const OnDevice d_dgate(c.per_clip()), d_pooled(c.per_clip()), d_dy(dy), x(c.x);
    const OnDevice scale(c.scale), shift(c.shift), gate(c.gate);
    const OnDevice scratch = scratch_on_device(cuda::se_scratch_bytes(c.x.shape()));
    cuda::se_excite_backward_gate(d_dgate, d_dy, x, scale, shift, gate, true, scratch, nullptr);
    cuda::se_squeeze(d_pooled, x, scale, shift, scratch, nullptr);
    EXPECT_TRUE(close(d_dgate, dgate, rounding(DType::F32, c.positions()), "dgate"));
    EXPECT_TRUE(close(d_pooled, pooled, rounding(DType::F32, c.positions()), "pooled"));
}

} // namespace
} // namespace scene::test
