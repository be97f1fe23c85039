#pragma once

// A single batch norm, shared by the layers that contain one. The ops are those of kernels/batch_norm/batch_norm.h.

#include <string>

#include "model/program_builder.h"

namespace scene {

/// A batch norm's tensors, each F32 [C].
struct Norm {
    std::string name;
    TensorId gamma, beta, running_mean, running_variance;
    TensorId mean, variance, inv_std; ///< of the batch; training only
    TensorId scale, shift;            ///< the norm is scale*x + shift
};

/// Declares the parameters `name`.weight (gamma) and `name`.bias (beta) and the running statistics; adds no ops.
Norm declare_norm(ProgramBuilder& builder, const std::string& name, int64_t channels);
/// Training: mean and variance of x.
void add_statistics(ProgramBuilder& builder, const Norm& norm, TensorId x);
/// Training: inv_std, scale and shift from mean and variance of the batch, which has `rows` values per channel; updates
/// the running statistics.
void finalize_norm(ProgramBuilder& builder, const Norm& norm, int64_t rows);
/// Inference: scale and shift from the running statistics, in setup.
void fold_norm(ProgramBuilder& builder, const Norm& norm);
/// y = epilogue(scale*x + shift), in an op named `norm.name` + `suffix`.
void add_norm_forward(ProgramBuilder& builder, const Norm& norm, const std::string& suffix, TensorId y, TensorId x,
                      const NormEpilogue& epilogue);
/// dgamma, dbeta and, unless dx is absent, dx from dy, the gradient of the epilogue's output. `y` is that output, if it
/// is pooled, kept until here and read by the device (Planner::norm_backward_reads_output).
void add_norm_backward(ProgramBuilder& builder, const Norm& norm, TensorId dx, TensorId dy, TensorId x,
                       const NormEpilogue& epilogue, TensorId y);
/// dx from dz, the gradient of scale*x + shift, when dgamma and dbeta have already been computed.
void add_apply_gradient(ProgramBuilder& builder, const Norm& norm, TensorId dx, TensorId dz, TensorId x);
/// x converted to `dtype`; x itself if it has that type.
TensorId converted(ProgramBuilder& builder, TensorId x, const std::string& name, DType dtype);

} // namespace scene
