#include "model/layers/norm.h"

#include "model/layers/layers.h"

namespace scene {
namespace {

constexpr float momentum = 0.1f;
constexpr float epsilon = 1e-5f;

} // namespace

Norm declare_norm(ProgramBuilder& b, const std::string& name, int64_t channels) {
    Norm norm{name, {}, {}, {}, {}, {}, {}, {}, {}, {}};
    norm.gamma = b.parameter(name + ".weight", {channels}, Init::ones());
    norm.beta = b.parameter(name + ".bias", {channels}, Init::zeros());
    norm.running_mean = b.variable(Segment::Statistics, name + ".running_mean", {channels});
    norm.running_variance = b.variable(Segment::Statistics, name + ".running_var", {channels});
    if (b.training()) {
        norm.mean = b.transient(name + ".mean", {channels});
        norm.variance = b.transient(name + ".variance", {channels});
        norm.inv_std = b.transient(name + ".inv_std", {channels});
        norm.scale = b.transient(name + ".scale", {channels});
        norm.shift = b.transient(name + ".shift", {channels});
    } else {
        norm.scale = b.variable(Segment::State, name + ".folded_scale", {channels});
        norm.shift = b.variable(Segment::State, name + ".folded_shift", {channels});
    }
    return norm;
}

void add_statistics(ProgramBuilder& b, const Norm& norm, TensorId x) {
    b.add(norm.name + ".statistics",
          BatchNormStatistics<TensorId>{.mean = norm.mean, .variance = norm.variance, .x = x});
}

void finalize_norm(ProgramBuilder& b, const Norm& norm, int64_t rows) {
    b.add(norm.name + ".finalize", BatchNormFinalize<TensorId>{.scale = norm.scale,
                                                               .shift = norm.shift,
                                                               .inv_std = norm.inv_std,
                                                               .running_mean = norm.running_mean,
                                                               .running_variance = norm.running_variance,
                                                               .mean = norm.mean,
                                                               .variance = norm.variance,
                                                               .gamma = norm.gamma,
                                                               .beta = norm.beta,
                                                               .rows = rows,
                                                               .momentum = momentum,
                                                               .epsilon = epsilon});
}

void fold_norm(ProgramBuilder& b, const Norm& norm) {
    b.phase(Phase::Setup);
    b.add(norm.name + ".fold", BatchNormFold<TensorId>{.scale = norm.scale,
                                                       .shift = norm.shift,
                                                       .running_mean = norm.running_mean,
                                                       .running_variance = norm.running_variance,
                                                       .gamma = norm.gamma,
                                                       .beta = norm.beta,
                                                       .epsilon = epsilon});
    b.phase(Phase::Forward);
}

void add_norm_forward(ProgramBuilder& b, const Norm& norm, const std::string& suffix, TensorId y, TensorId x,
                      const NormEpilogue& epilogue) {
    b.add(norm.name + suffix,
          BatchNormForward<TensorId>{
              .y = y, .x = x, .scale = norm.scale, .shift = norm.shift, .control = b.control(), .epilogue = epilogue});
}

void add_norm_backward(ProgramBuilder& b, const Norm& norm, TensorId dx, TensorId dy, TensorId x,
                       const NormEpilogue& epilogue, TensorId y) {
    b.add(norm.name + ".backward", BatchNormBackward<TensorId>{.dx = dx,
                                                               .dgamma = b.parameter_gradient(norm.name + ".weight"),
                                                               .dbeta = b.parameter_gradient(norm.name + ".bias"),
                                                               .dy = dy,
                                                               .x = x,
                                                               .mean = norm.mean,
                                                               .inv_std = norm.inv_std,
                                                               .scale = norm.scale,
                                                               .shift = norm.shift,
                                                               .y = y,
                                                               .control = b.control(),
                                                               .epilogue = epilogue});
}

void add_apply_gradient(ProgramBuilder& b, const Norm& norm, TensorId dx, TensorId dz, TensorId x) {
    b.add(norm.name + ".apply_gradient",
          BatchNormApplyGradient<TensorId>{.dx = dx,
                                           .dz = dz,
                                           .x = x,
                                           .mean = norm.mean,
                                           .inv_std = norm.inv_std,
                                           .scale = norm.scale,
                                           .dgamma = b.parameter_gradient(norm.name + ".weight"),
                                           .dbeta = b.parameter_gradient(norm.name + ".bias")});
}

TensorId converted(ProgramBuilder& b, TensorId x, const std::string& name, DType dtype) {
    if (b.dtype(x) == dtype) return x;
    const TensorId y = b.transient(name, b.shape(x), dtype);
    b.add(name, Convert<TensorId>{.y = y, .x = x});
    return y;
}

FeatureMap input_norm(ProgramBuilder& b, TensorId x) {
    const Shape shape = b.shape(x);
    const int64_t rows = shape[0] * shape[1], columns = shape[2] * shape[3];
    const TensorId matrix = b.alias(x, "features.columns", {rows, columns});
    const Norm norm = declare_norm(b, "input_norm", columns);
    if (b.training()) {
        add_statistics(b, norm, matrix);
        finalize_norm(b, norm, rows);
    } else {
        fold_norm(b, norm);
    }
    const NormEpilogue epilogue{.relu = false, .dropout = {}, .max_pool = false};
    const TensorId normed = b.transient("input_norm.out", {rows, columns});
    add_norm_forward(b, norm, ".forward", normed, matrix, epilogue);
    const TensorId map = b.alias(normed, "input_norm.map", shape);
    const TensorId y = converted(b, map, "input_norm.half", b.planner().activation_type());
    b.on_backward([=, &b] {
        const TensorId dmap = converted(b, b.gradient(y), "input_norm.dmap", DType::F32);
        const TensorId dy = b.alias(dmap, "input_norm.dy", {rows, columns});
        add_norm_backward(b, norm, {}, dy, matrix, epilogue, {});
    });
    return stored_map(b, y);
}

} // namespace scene
