#pragma once

// One batch norm of a network, for the layers that have one.

#include <string>

#include "model/program_builder.h"

namespace scene {

/// Parameters, statistics and affine form.
struct Norm {
    std::string name;
    TensorId gamma, beta, running_mean, running_variance;
    TensorId mean, variance, inv_std; ///< training only
    TensorId scale, shift;
};

Norm declare_norm(ProgramBuilder& builder, const std::string& name, int64_t channels);
/// Training: mean and variance of x.
void add_statistics(ProgramBuilder& builder, const Norm& norm, TensorId x);
/// Training: scale and shift from this batch's statistics, which must be there.
void finalize_norm(ProgramBuilder& builder, const Norm& norm, int64_t rows);
/// Inference: scale and shift from the running statistics, in setup.
void fold_norm(ProgramBuilder& builder, const Norm& norm);
void add_norm_forward(ProgramBuilder& builder, const Norm& norm, const std::string& suffix, TensorId y, TensorId x,
                      const NormEpilogue& epilogue);
/// dx absent: only the parameters' gradients.
void add_norm_backward(ProgramBuilder& builder, const Norm& norm, TensorId dx, TensorId dy, TensorId x,
                       const NormEpilogue& epilogue);
/// dx from dz, the gradient of scale*x + shift, whose sums are there.
void add_apply_gradient(ProgramBuilder& builder, const Norm& norm, TensorId dx, TensorId dz, TensorId x);
/// x in another type; x itself where it has that type.
TensorId converted(ProgramBuilder& builder, TensorId x, const std::string& name, DType dtype);

} // namespace scene
