// GEMMs by kernels/cpu/gemm.h, then bias, activation and dropout in one pass over the (small) output.

#include "kernels/linear/linear.h"

#include <algorithm>
#include <cmath>

#include "kernels/cpu/context.h"
#include "kernels/cpu/dropout.h"
#include "kernels/cpu/gemm.h"
#include "kernels/cpu/parallel.h"
#include "kernels/linear/extents.h"

namespace scene::cpu {
namespace {

float activate(float value, Activation activation) {
    switch (activation) {
    case Activation::None: return value;
    case Activation::Relu: return value <= 0 ? 0.0f : value; // a NaN stays one
    case Activation::Sigmoid: return 1 / (1 + std::exp(-value));
    }
    return value;
}

/// The derivative of the activation, as a function of its output.
float slope(float value, Activation activation) {
    switch (activation) {
    case Activation::None: return 1;
    case Activation::Relu: return value > 0 ? 1.0f : 0.0f;
    case Activation::Sigmoid: return value * (1 - value);
    }
    return 1;
}

} // namespace

size_t scratch_bytes(const LinearForward<TensorSpec>& op, const Planning& planning) {
    const int64_t out = op.w.shape[0];
    return std::max(multiply_scratch_bytes(planning.threads, {op.x.shape[0], out, op.w.shape[1]}),
                    DropoutRows::scratch_bytes(out, planning.threads));
}

void run(const LinearForward<Tensor>& op, Context& cpu) {
    const auto [rows, in, out] = checked_extents(op);
    float* y = op.y.as<float>();
    const float* bias = op.bias.as<float>();
    multiply(cpu.threads, y, {op.x.as<float>(), in, 1}, {op.w.as<float>(), 1, in}, {rows, out, in}, false, op.scratch);
    auto* memory = scratch_of<float>(op.scratch, DropoutRows::scratch_bytes(out, cpu.threads)); // the product is done
    const DropoutRows mask(op.dropout, op.control, out, cpu.threads, memory);
    for_chunks(cpu.threads, rows, grain_for(out), [&, out = out](int64_t first, int64_t last) {
        for (int64_t row = first; row < last; ++row) {
            float* values = y + row * out;
            const float* factor = mask.row(row * out, out);
            for (int64_t j = 0; j < out; ++j)
                values[j] = activate(bias ? values[j] + bias[j] : values[j], op.activation) * factor[j];
        }
    });
}

size_t scratch_bytes(const LinearActivationBackward<TensorSpec>& op, const Planning& planning) {
    return DropoutRows::scratch_bytes(op.y.shape[1], planning.threads);
}

void run(const LinearActivationBackward<Tensor>& op, Context& cpu) {
    check_rank(op.y, 2, "y");
    const int64_t rows = op.y.shape[0], out = op.y.shape[1];
    float* dpre = floats(op.dpre, op.y.shape, "dpre");
    const float *dy = floats(op.dy, op.y.shape, "dy"), *y = floats(op.y, op.y.shape, "y");
    auto* memory = scratch_of<float>(op.scratch, DropoutRows::scratch_bytes(out, cpu.threads));
    const DropoutRows mask(op.dropout, op.control, out, cpu.threads, memory);
    const float kept = 1 - op.dropout.p; // y*kept is the activation's output: undoes dropout's 1/(1 - p)
    for_chunks(cpu.threads, rows, grain_for(out), [&](int64_t first, int64_t last) {
        for (int64_t row = first; row < last; ++row) {
            const float* factor = mask.row(row * out, out);
            for (int64_t j = 0; j < out; ++j) {
                const int64_t i = row * out + j;
                dpre[i] = dy[i] * factor[j] * slope(y[i] * kept, op.activation);
            }
        }
    });
}

size_t scratch_bytes(const LinearDataGrad<TensorSpec>& op, const Planning& planning) {
    return multiply_scratch_bytes(planning.threads, {op.dpre.shape[0], op.w.shape[1], op.w.shape[0]});
}

void run(const LinearDataGrad<Tensor>& op, Context& cpu) {
    const auto [rows, in, out] = checked_extents(op);
    multiply(cpu.threads, op.dx.as<float>(), {op.dpre.as<float>(), out, 1}, {op.w.as<float>(), in, 1}, {rows, in, out},
             static_cast<bool>(op.addend), op.scratch);
}

size_t scratch_bytes(const LinearWeightGrad<TensorSpec>& op, const Planning& planning) {
    return multiply_scratch_bytes(planning.threads, {op.dw.shape[0], op.dw.shape[1], op.x.shape[0]});
}

void run(const LinearWeightGrad<Tensor>& op, Context& cpu) {
    const auto [rows, in, out] = checked_extents(op);
    const float* dpre = op.dpre.as<float>();
    multiply(cpu.threads, op.dw.as<float>(), {dpre, 1, out}, {op.x.as<float>(), in, 1}, {out, in, rows}, false,
             op.scratch);
    if (!op.dbias) return;
    float* dbias = op.dbias.as<float>();
    for (int64_t j = 0; j < out; ++j) {
        double total = 0;
        for (int64_t row = 0; row < rows; ++row) total += static_cast<double>(dpre[row * out + j]);
        dbias[j] = static_cast<float>(total);
    }
}

} // namespace scene::cpu
