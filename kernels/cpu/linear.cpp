// Linear layers: products by kernels/cpu/gemm.h, then activation and dropout in one pass over the (small) output.

#include <cmath>

#include "kernels/cpu/checks.h"
#include "kernels/cpu/cpu_backend.h"
#include "kernels/cpu/dropout.h"
#include "kernels/cpu/gemm.h"
#include "kernels/cpu/parallel.h"

namespace scene::cpu {
namespace {

float activate(float value, Activation activation) {
    switch (activation) {
    case Activation::None: return value;
    case Activation::Relu: return value > 0 ? value : 0.0f;
    case Activation::Sigmoid: return 1 / (1 + std::exp(-value));
    }
    return value;
}

/// The derivative of the activation, from its value.
float slope(float value, Activation activation) {
    switch (activation) {
    case Activation::None: return 1;
    case Activation::Relu: return value > 0 ? 1.0f : 0.0f;
    case Activation::Sigmoid: return value * (1 - value);
    }
    return 1;
}

struct LinearShape {
    int64_t rows, in, out;
};

LinearShape shape_of(const Tensor& w, const Tensor& x, const char* name, int axis) {
    check_rank(w, 2, "w");
    check_rank(x, 2, name);
    SCENE_CHECK(x.shape[1] == w.shape[axis], fmt::format("{} is {}, w is {}", name, x.shape.text(), w.shape.text()));
    return {x.shape[0], w.shape[1], w.shape[0]};
}

} // namespace

void CpuBackend::linear_forward(Tensor y, Tensor x, Tensor w, Tensor bias, Activation activation, Dropout dropout,
                                Tensor control) {
    const auto [rows, in, out] = shape_of(w, x, "x", 1);
    float* to = floats(y, {rows, out}, "y");
    const float* add = optional_floats(bias, {out}, "bias");
    multiply(threads_, to, {x.as<float>(), in, 1}, {w.as<float>(), 1, in}, {rows, out, in}, false);
    const DropoutRows mask(dropout, control);
    for_pieces(threads_, rows, grain_for(out), [&, out = out](int64_t first, int64_t last) {
        for (int64_t row = first; row < last; ++row) {
            float* values = to + row * out;
            const float* factor = mask.row(row * out, out);
            for (int64_t j = 0; j < out; ++j)
                values[j] = activate(add ? values[j] + add[j] : values[j], activation) * factor[j];
        }
    });
}

void CpuBackend::linear_activation_backward(Tensor dpre, Tensor dy, Tensor y, Activation activation, Dropout dropout,
                                            Tensor control) {
    check_rank(y, 2, "y");
    const int64_t rows = y.shape[0], out = y.shape[1];
    float* to = floats(dpre, y.shape, "dpre");
    const float *gradient = floats(dy, y.shape, "dy"), *output = floats(y, y.shape, "y");
    const DropoutRows mask(dropout, control);
    const float kept = 1 - dropout.p; // undoes the forward pass's factor
    for_pieces(threads_, rows, grain_for(out), [&](int64_t first, int64_t last) {
        for (int64_t row = first; row < last; ++row) {
            const float* factor = mask.row(row * out, out);
            for (int64_t j = 0; j < out; ++j) {
                const int64_t i = row * out + j;
                to[i] = gradient[i] * factor[j] * slope(output[i] * kept, activation);
            }
        }
    });
}

void CpuBackend::linear_data_grad(Tensor dx, Tensor dpre, Tensor w, bool accumulate) {
    const auto [rows, in, out] = shape_of(w, dpre, "dpre", 0);
    float* to = floats(dx, {rows, in}, "dx");
    multiply(threads_, to, {dpre.as<float>(), out, 1}, {w.as<float>(), in, 1}, {rows, in, out}, accumulate);
}

void CpuBackend::linear_weight_grad(Tensor dw, Tensor dbias, Tensor dpre, Tensor x) {
    const auto [rows, in, out] = shape_of(dw, x, "x", 1);
    const float* gradient = floats(dpre, {rows, out}, "dpre");
    multiply(threads_, dw.as<float>(), {gradient, 1, out}, {x.as<float>(), in, 1}, {out, in, rows}, false);
    float* sum = optional_floats(dbias, {out}, "dbias");
    for (int64_t j = 0; sum && j < out; ++j) {
        double total = 0;
        for (int64_t row = 0; row < rows; ++row) total += static_cast<double>(gradient[row * out + j]);
        sum[j] = static_cast<float>(total);
    }
}

} // namespace scene::cpu
