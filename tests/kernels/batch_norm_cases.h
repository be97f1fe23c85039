#pragma once

// Cases and records that the tests of batch norm share.

#include "tests/support/op_test.h"

namespace scene::test {

struct NormCase {
    Shape x; ///< [N, H, W, C]
    NormEpilogue epilogue;

    Shape y() const { return epilogue.max_pool ? Shape{x[0], x[1] / 2, x[2] / 2, x[3]} : x; }
    std::string text() const {
        return x.text() + (epilogue.relu ? " relu" : "") + (epilogue.max_pool ? " pool" : "") +
               (epilogue.dropout.p > 0 ? " dropout" : "");
    }
};

/// Each shape with every epilogue that it allows.
inline std::vector<NormCase> norm_cases(const std::vector<Shape>& shapes) {
    std::vector<NormCase> cases;
    for (const Shape& shape : shapes)
        for (const bool relu : {false, true}) {
            cases.push_back({shape, {.relu = relu, .dropout = {}, .max_pool = false}});
            cases.push_back({shape, {.relu = relu, .dropout = {.p = 0.3f, .stream = 9}, .max_pool = false}});
            if (shape[1] > 1 && shape[2] > 1) cases.push_back({shape, {.relu = relu, .dropout = {}, .max_pool = true}});
        }
    return cases;
}

/// Odd extents, incomplete pooling windows, one channel, channels that fill whole vectors and that do not, more
/// channels than a block has threads.
inline const std::vector<Shape> norm_shapes = {{1, 2, 2, 1},    {3, 5, 3, 9},  {1, 37, 4, 18}, {2, 4, 7, 40},
                                               {1, 101, 1, 64}, {2, 9, 6, 16}, {1, 7, 5, 10},  {2, 3, 2, 259},
                                               {1, 4, 7, 264},  {1, 16, 9, 1}, {1, 20, 37, 3}};

/// The CPU adds up to 64 rows in float, a CUDA block up to 264; a mean by Welford's update is rounded as often. The
/// error grows as the square root: about sqrt(264) roundings.
constexpr Allowance norm_allowance{.sum_roundings = 16};

inline HostArray norm_control() { return control_of({.seed = 11, .step = 4}); }

inline BatchNormStatistics<HostArray> statistics_of(const HostArray& x) {
    const Shape per_channel{x.shape[x.shape.rank() - 1]};
    return {.mean = empty(per_channel), .variance = empty(per_channel), .x = x};
}

/// Finalises the statistics of x.
inline BatchNormFinalize<HostArray> finalize_of(const HostArray& x, const HostArray& gamma, const HostArray& beta) {
    const BatchNormStatistics<HostArray> moments = run_reference(statistics_of(x));
    const Shape& per_channel = gamma.shape;
    return {.scale = empty(per_channel),
            .shift = empty(per_channel),
            .inv_std = empty(per_channel),
            .running_mean = uniform_f32(per_channel, 5),
            .running_variance = uniform_f32(per_channel, 6, 0, 2),
            .mean = moments.mean,
            .variance = moments.variance,
            .gamma = gamma,
            .beta = beta,
            .rows = x.size() / gamma.size(),
            .momentum = 0.1f,
            .epsilon = 1e-5f};
}

inline BatchNormFinalize<HostArray> finalize_of(const HostArray& x) {
    const Shape per_channel{x.shape[x.shape.rank() - 1]};
    return finalize_of(x, uniform_f32(per_channel, 3, 0.5, 1.5), uniform_f32(per_channel, 4));
}

inline BatchNormForward<HostArray> forward_of(const NormCase& c) {
    const Shape per_channel{c.x[3]};
    return {.y = empty_activation(c.y()),
            .x = uniform_activation(c.x, 1, -2, 2),
            .scale = uniform_f32(per_channel, 2),
            .shift = uniform_f32(per_channel, 3),
            .control = norm_control(),
            .epilogue = c.epilogue};
}

/// The op gives the same bits in place, with `output` in the memory of `input`.
template <template <class> class Op, class Output, class Input>
void expect_same_in_place(const Op<HostArray>& apart, Output output, Input input, const std::string& label) {
    Op<HostArray> in_place = apart;
    (in_place.*output).place = (in_place.*input).place = "one";
    for_each_setting(true, [&](TestDevice& device, DType type) {
        const HostArray expected = run_on(device, type, rounded(apart, type)).*output;
        const HostArray actual = run_on(device, type, rounded(in_place, type)).*output;
        EXPECT_EQ(actual.values, expected.values) << label;
    });
}

/// Every device refuses the op without its scratch, and with too little.
template <template <class> class Op> void expect_scratch_refused(const Op<HostArray>& record) {
    for_each_setting(true, [&](TestDevice& device, DType type) {
        op_test::Memory memory(device, type);
        Op<Tensor> op = rebound<Tensor>(record, [&](const HostArray& array) { return memory.tensor(array); });
        EXPECT_THROW(device.device().run(op), std::logic_error);
        op.scratch = memory.scratch(8);
        EXPECT_THROW(device.device().run(op), std::logic_error);
    });
}

} // namespace scene::test
