#include "model/layers/convolution.h"

namespace scene {

Convolution declare_convolution(ProgramBuilder& b, const FeatureMap& x, const ConvNormSpec& spec) {
    Convolution conv;
    conv.name = spec.conv;
    conv.shape = {x.shape[0],  x.shape[1],  x.shape[2],   x.shape[3],    spec.channels,
                  spec.kernel, spec.stride, spec.padding, b.full_batch()};
    conv.fusion = b.planner().conv2d_fusion(conv.shape);
    conv.x = x;
    if (conv.normalizes_on_load()) { // one cast, so that forward and backward read the same rounded values
        const DType type = b.planner().activation_type();
        conv.x.scale = converted(b, x.scale, conv.name + ".input_scale", type);
        conv.x.shift = converted(b, x.shift, conv.name + ".input_shift", type);
    }
    const int64_t area = spec.kernel * spec.kernel;
    const Init init = spec.init == Init::Kind::HeNormal ? Init::he_normal(x.shape[3] * area)
                                                        : Init::xavier_uniform(x.shape[3] * area, spec.channels * area);
    conv.parameter = b.parameter(spec.conv + ".weight", conv.shape.w(), init);
    conv.w = b.activation_parameter(spec.conv + ".weight");
    conv.y = b.activation(spec.conv + ".out", conv.shape.y());
    return conv;
}

Weights inference_weights(ProgramBuilder& b, const Convolution& conv, TensorId w) {
    const PreparedWeights form = b.planner().conv2d_prepared_weights(conv.shape);
    if (form.floats == 0) return {w, {}};
    const TensorId prepared = b.variable(Segment::State, conv.name + ".prepared_weight", {form.floats});
    b.phase(Phase::Setup);
    b.add(conv.name + ".prepare", Conv2dPrepareWeights<TensorId>{.prepared = prepared, .w = w, .shape = conv.shape});
    b.phase(Phase::Forward);
    return {{}, prepared};
}

void add_convolution(ProgramBuilder& b, const Convolution& conv, const Weights& weights, const Norm* statistics,
                     TensorId bias) {
    const bool on_load = conv.normalizes_on_load(), fused = statistics && conv.fusion.statistics;
    const TensorId absent;
    b.add(conv.name + ".forward", Conv2dForward<TensorId>{.y = conv.y,
                                                          .mean = fused ? statistics->mean : absent,
                                                          .variance = fused ? statistics->variance : absent,
                                                          .x = on_load ? conv.x.raw : conv.x.materialize(""),
                                                          .w = weights.w,
                                                          .prepared_w = weights.prepared,
                                                          .input_scale = on_load ? conv.x.scale : absent,
                                                          .input_shift = on_load ? conv.x.shift : absent,
                                                          .bias = bias,
                                                          .relu = static_cast<bool>(bias),
                                                          .shape = conv.shape});
    if (statistics && !fused) add_statistics(b, *statistics, conv.y);
}

void add_convolution_backward(ProgramBuilder& b, const Convolution& conv, TensorId dy) {
    const bool on_load = conv.normalizes_on_load();
    const TensorId absent;
    const TensorId x = on_load ? conv.x.raw : conv.x.stored ? conv.x.stored : conv.x.materialize(".recomputed");
    b.add(conv.name + ".weight_grad", Conv2dWeightGrad<TensorId>{.dw = b.parameter_gradient(conv.name + ".weight"),
                                                                 .dy = dy,
                                                                 .x = x,
                                                                 .input_scale = on_load ? conv.x.scale : absent,
                                                                 .input_shift = on_load ? conv.x.shift : absent,
                                                                 .shape = conv.shape});
    if (!b.needs_gradient(conv.x.key)) return;
    const TensorId dx = b.activation(conv.name + ".dx", conv.shape.x());
    b.set_gradient(conv.x.key, dx);
    if (!conv.fusion.bn_reduce || !conv.x.norm) {
        b.add(conv.name + ".data_grad", Conv2dDataGrad<TensorId>{.dx = dx, .dy = dy, .w = conv.w, .shape = conv.shape});
        return;
    }
    conv.x.norm->gradient_is_summed = true;
    const NormOfMap& norm = *conv.x.norm;
    b.add(conv.name + ".data_grad",
          Conv2dDataGradBnReduce<TensorId>{.dz = dx,
                                           .dgamma = b.parameter_gradient(norm.name + ".weight"),
                                           .dbeta = b.parameter_gradient(norm.name + ".bias"),
                                           .dy = dy,
                                           .w = conv.w,
                                           .norm_x = conv.x.raw,
                                           .mean = norm.mean,
                                           .inv_std = norm.inv_std,
                                           .gamma = norm.gamma,
                                           .beta = norm.beta,
                                           .shape = conv.shape});
}

void add_fold(ProgramBuilder& b, const Convolution& conv, TensorId folded, TensorId scale) {
    b.add(conv.name + ".fold", FoldConvWeights<TensorId>{.folded_w = folded, .w = conv.parameter, .scale = scale});
}

} // namespace scene
