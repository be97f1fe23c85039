#include "tests/cuda_on_cpu/support.h"

namespace scene::test {
namespace {

/// Input, tokens: T divides H, does not, exceeds it.
const std::vector<std::pair<Shape, int64_t>> cases = {
    {{2, 16, 3, 16}, 4}, {{3, 31, 5, 10}, 16}, {{2, 5, 1, 1}, 8}, {{1, 7, 2, 264}, 3}};

/// Halves with tokens of halves, halves with tokens of floats, floats.
void for_each_types(const std::function<void(DType, DType)>& check) {
    for_each_setting([&](DType dtype) {
        check(dtype, DType::F32);
        if (dtype == DType::F16) check(dtype, DType::F16);
    });
}

TEST(CudaTokenPool, ForwardAndBackward) {
    for (const auto& [shape, tokens] : cases) {
        for_each_types([&, &shape = shape, tokens = tokens](DType x_type, DType y_type) {
            const Shape out{shape[0], tokens, shape[3]};
            const Guarded x = stored_as(x_type, uniform(shape, 1)), dy = stored_as(y_type, uniform(out, 2));
            const Guarded y(out), dx(shape);
            cpu().token_pool_forward(y, x);
            cpu().token_pool_backward(dx, dy);
            const OnDevice d_y(out, y_type), d_x(x, x_type), d_dy(dy, y_type), d_dx(shape, x_type);
            cuda::token_pool_forward(d_y, d_x, nullptr);
            cuda::token_pool_backward(d_dx, d_dy, nullptr);
            const double terms = static_cast<double>(shape[1] * shape[2]);
            EXPECT_TRUE(close(d_y, y, rounding(y_type, terms), shape.text() + " y"));
            EXPECT_TRUE(close(d_dx, dx, rounding(x_type, 4), shape.text() + " dx"));
        });
    }
}

TEST(CudaTokenMax, ForwardAndBackward) {
    for_each_types([](DType x_type, DType y_type) {
        for (const Shape& shape : {Shape{3, 16, 10}, Shape{2, 1, 7}, Shape{5, 9, 128}}) {
            const Shape out{shape[0], shape[2]};
            const Guarded x = integers(shape, 3, -3, 3), dy = stored_as(y_type, uniform(out, 4)); // equal maxima
            const Guarded y(out), argmax(out, DType::I32), dx(shape);
            cpu().token_max_forward(y, argmax, x);
            cpu().token_max_backward(dx, dy, argmax);
            const OnDevice d_y(out, y_type), d_argmax(out, DType::I32), d_x(x, x_type), d_dy(dy, y_type);
            const OnDevice d_dx(shape, x_type);
            cuda::token_max_forward(d_y, d_argmax, d_x, nullptr);
            cuda::token_max_backward(d_dx, d_dy, d_argmax, nullptr);
            EXPECT_TRUE(close(d_y, y, {}, "y"));
            EXPECT_TRUE(d_argmax.host().same_bytes(argmax));
            EXPECT_TRUE(close(d_dx, dx, rounding(x_type), "dx"));
        }
    });
}

TEST(CudaTokenPool, TokensOfHalvesNeedAnInputOfHalves) {
    const OnDevice x({1, 4, 2, 8}), y({1, 2, 8}, DType::F16);
    EXPECT_THROW(cuda::token_pool_forward(y, x, nullptr), std::logic_error);
}

} // namespace
} // namespace scene::test
