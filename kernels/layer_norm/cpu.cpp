#include "kernels/layer_norm/layer_norm.h"

#include <cmath>

#include "kernels/cpu/context.h"
#include "kernels/cpu/dropout.h"
#include "kernels/cpu/parallel.h"
#include "kernels/operands.h"

namespace scene::cpu {
namespace {

/// The reduction of dgamma and dbeta over the rows of x.
GroupedSum parameter_sums(const Shape& x) {
    const int64_t features = x[x.rank() - 1];
    return {1, x.elements() / features, 2 * features, 1};
}

} // namespace

size_t scratch_bytes(const LayerNormForward<TensorSpec>& op, const Planning& planning) {
    return DropoutRows::scratch_bytes(op.x.shape[op.x.shape.rank() - 1], planning.threads);
}

void run(const LayerNormForward<Tensor>& op, Context& cpu) {
    const Shape& shape = op.x.shape;
    const int64_t features = channels_of(op.x, "x"), rows = op.x.elements() / features;
    const float* in = floats(op.x, shape, "x");
    const float* side = floats(op.branch, shape, "branch");
    const float* weight = floats(op.gamma, {features}, "gamma");
    const float* bias = floats(op.beta, {features}, "beta");
    float* out = floats(op.y, shape, "y");
    float* mean_inv_std = floats(op.moments, {rows, 2}, "moments");
    auto* memory = scratch_of<float>(op.scratch, DropoutRows::scratch_bytes(features, cpu.threads));
    const DropoutRows drop(op.dropout, op.control, features, cpu.threads, memory);
    for_chunks(cpu.threads, rows, grain_for(features), [&](int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r) {
            const float* a = in + r * features;
            const float* b = side + r * features;
            const float* factor = drop.row(r * features, features);
            float* to = out + r * features;
            float sum = 0;
#pragma omp simd reduction(+ : sum)
            for (int64_t d = 0; d < features; ++d) {
                to[d] = a[d] + b[d] * factor[d];
                sum += to[d];
            }
            const float mean = sum / static_cast<float>(features);
            float squares = 0;
#pragma omp simd reduction(+ : squares)
            for (int64_t d = 0; d < features; ++d) squares += (to[d] - mean) * (to[d] - mean);
            const float inv_std = 1.0f / std::sqrt(squares / static_cast<float>(features) + op.epsilon);
#pragma omp simd
            for (int64_t d = 0; d < features; ++d) to[d] = (to[d] - mean) * inv_std * weight[d] + bias[d];
            mean_inv_std[2 * r] = mean;
            mean_inv_std[2 * r + 1] = inv_std;
        }
    });
}

size_t scratch_bytes(const LayerNormBackward<TensorSpec>& op, const Planning& planning) {
    const Shape& shape = op.x.shape;
    return aligned_bytes(parameter_sums(shape).scratch_bytes()) +
           DropoutRows::scratch_bytes(shape[shape.rank() - 1], planning.threads);
}

void run(const LayerNormBackward<Tensor>& op, Context& cpu) {
    const Shape& shape = op.x.shape;
    const int64_t features = channels_of(op.x, "x"), rows = op.x.elements() / features;
    const float* in = floats(op.x, shape, "x");
    const float* side = floats(op.branch, shape, "branch");
    const float* weight = floats(op.gamma, {features}, "gamma");
    const float* gradient = floats(op.dy, shape, "dy");
    const float* mean_inv_std = floats(op.moments, {rows, 2}, "moments");
    float* out = floats(op.dx, shape, "dx");
    float* out_branch = floats(op.dbranch, shape, "dbranch");
    float* out_dgamma = floats(op.dgamma, {features}, "dgamma");
    float* out_dbeta = floats(op.dbeta, {features}, "dbeta");

    const GroupedSum reduction = parameter_sums(shape);
    const size_t bytes_of_sums = aligned_bytes(reduction.scratch_bytes());
    auto* memory = scratch_of<std::byte>(op.scratch, bytes_of_sums + DropoutRows::scratch_bytes(features, cpu.threads));
    const DropoutRows drop(op.dropout, op.control, features, cpu.threads,
                           reinterpret_cast<float*>(memory + bytes_of_sums));
    const auto one_row = [&](int64_t r, float* sums) {
        const float* a = in + r * features;
        const float* b = side + r * features;
        const float* g = gradient + r * features;
        const float* factor = drop.row(r * features, features);
        float* to = out + r * features;
        float* to_branch = out_branch + r * features;
        const float mean = mean_inv_std[2 * r], inv_std = mean_inv_std[2 * r + 1];
        float sum = 0, sum_xhat = 0;
#pragma omp simd reduction(+ : sum, sum_xhat)
        for (int64_t d = 0; d < features; ++d) {
            const float xhat = (a[d] + b[d] * factor[d] - mean) * inv_std;
            const float scaled = g[d] * weight[d];
            sum += scaled;
            sum_xhat += scaled * xhat;
            sums[d] += g[d] * xhat;
            sums[features + d] += g[d];
        }
        const float mean_g = sum / static_cast<float>(features), mean_g_xhat = sum_xhat / static_cast<float>(features);
#pragma omp simd
        for (int64_t d = 0; d < features; ++d) {
            const float xhat = (a[d] + b[d] * factor[d] - mean) * inv_std;
            to[d] = inv_std * (g[d] * weight[d] - mean_g - xhat * mean_g_xhat);
            to_branch[d] = to[d] * factor[d];
        }
    };
    const double* sums = reduction.run(cpu.threads, op.scratch, [&](int64_t, int64_t begin, int64_t end, float* into) {
        for (int64_t r = begin; r < end; ++r) one_row(r, into);
    });
    for (int64_t d = 0; d < features; ++d) {
        out_dgamma[d] = static_cast<float>(sums[d]);
        out_dbeta[d] = static_cast<float>(sums[features + d]);
    }
}

} // namespace scene::cpu
