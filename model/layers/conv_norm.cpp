#include "model/layers/convolution.h"

namespace scene {
namespace {

/// Inference: convolution, batch norm and relu as one convolution with folded weights, bias and relu.
FeatureMap folded_convolution(ProgramBuilder& b, const Convolution& conv, const Norm& norm) {
    // If the device prepares weights, only setup reads the folded ones, and they need not outlive it.
    const bool prepared = b.planner().conv2d_prepared_weights(conv.shape).floats > 0;
    const std::string name = conv.name + ".folded_weight";
    const TensorId folded = prepared ? b.activation(name, conv.shape.w())
                                     : b.variable(Segment::State, name, conv.shape.w(), b.planner().activation_type());
    b.phase(Phase::Setup);
    add_fold(b, conv, folded, norm.scale);
    TensorId bias = norm.shift;
    if (const DType type = b.planner().activation_type(); conv.fusion.narrow_bias && b.dtype(bias) != type) {
        bias = b.variable(Segment::State, conv.name + ".folded_bias", b.shape(norm.shift), type);
        b.add(conv.name + ".fold_bias", Convert<TensorId>{.y = bias, .x = norm.shift});
    }
    b.phase(Phase::Forward);
    add_convolution(b, conv, inference_weights(b, conv, folded), nullptr, bias);
    return stored_map(b, conv.y);
}

/// Training: convolution, batch norm and relu, if the device has the closed form (kernels/conv2d_bn_relu).
FeatureMap closed_form(ProgramBuilder& b, const Convolution& conv, const Norm& norm) {
    const int64_t patch = conv.shape.kernel * conv.shape.kernel * conv.shape.in_channels;
    const TensorId x = conv.x.stored, y = conv.y;
    const TensorId moments = b.transient(conv.name + ".moments", {1 + patch, patch});
    b.add(norm.name + ".statistics", Conv2dBnStatistics<TensorId>{.mean = norm.mean,
                                                                  .variance = norm.variance,
                                                                  .moments = moments,
                                                                  .x = x,
                                                                  .w = conv.parameter,
                                                                  .shape = conv.shape});
    finalize_norm(b, norm, conv.shape.y().elements() / conv.shape.out_channels);
    const TensorId folded = b.activation(conv.name + ".folded_weight", conv.shape.w());
    add_fold(b, conv, folded, norm.scale);
    add_convolution(b, conv, {folded, {}}, nullptr, norm.shift);

    b.on_backward([=, &b] {
        const bool wanted = b.needs_gradient(conv.x.key);
        const TensorId dx = wanted ? b.activation(conv.name + ".dx", conv.shape.x()) : TensorId{};
        b.add(conv.name + ".backward",
              Conv2dBnReluBackward<TensorId>{.dx = dx,
                                             .dw = b.parameter_gradient(conv.name + ".weight"),
                                             .dgamma = b.parameter_gradient(norm.name + ".weight"),
                                             .dbeta = b.parameter_gradient(norm.name + ".bias"),
                                             .da = b.gradient(y),
                                             .a = y,
                                             .x = x,
                                             .w = conv.parameter,
                                             .moments = moments,
                                             .mean = norm.mean,
                                             .inv_std = norm.inv_std,
                                             .scale = norm.scale,
                                             .shape = conv.shape});
        if (wanted) b.set_gradient(conv.x.key, dx);
    });
    return stored_map(b, y);
}

} // namespace

FeatureMap stored_map(const ProgramBuilder& builder, TensorId values) {
    return {values, builder.shape(values), {}, {}, {}, {}, values, [values](const std::string&) { return values; }};
}

FeatureMap conv_norm(ProgramBuilder& b, const FeatureMap& x, const ConvNormSpec& spec) {
    const Convolution conv = declare_convolution(b, x, spec);
    const Norm norm = declare_norm(b, spec.norm, spec.channels);
    NormEpilogue epilogue = spec.epilogue;
    if (!b.training()) {
        epilogue.dropout = {};
        fold_norm(b, norm);
        if (epilogue.relu && !epilogue.max_pool && conv.fusion.bias_relu) return folded_convolution(b, conv, norm);
        add_convolution(b, conv, inference_weights(b, conv, conv.w), nullptr, {});
    } else {
        const bool only_relu = epilogue.relu && !epilogue.max_pool && epilogue.dropout.p == 0;
        if (only_relu && conv.x.stored && conv.fusion.closed_form_bn) return closed_form(b, conv, norm);
        if (epilogue.dropout.p > 0) epilogue.dropout.stream = b.next_random_stream();
        add_convolution(b, conv, {conv.w, {}}, &norm, {});
        finalize_norm(b, norm, conv.shape.y().elements() / spec.channels);
    }

    FeatureMap out;
    out.key = conv.y;
    out.shape = epilogue.max_pool ? conv.pooled_y() : conv.shape.y();
    out.materialize = [=, &b, shape = out.shape](const std::string& suffix) {
        const TensorId y = b.activation(norm.name + ".out" + suffix, shape);
        add_norm_forward(b, norm, ".forward" + suffix, y, conv.y, epilogue);
        return y;
    };
    if (epilogue.max_pool) { // a quarter of the size: cheaper to keep than to recompute
        out.stored = out.materialize("");
        out.materialize = [y = out.stored](const std::string&) { return y; };
    } else if (epilogue.relu && epilogue.dropout.p == 0) {
        out.raw = conv.y;
        out.scale = norm.scale;
        out.shift = norm.shift;
        if (b.training())
            out.norm =
                std::make_shared<NormOfMap>(NormOfMap{norm.name, norm.mean, norm.inv_std, norm.gamma, norm.beta});
    }
    const bool reads_output = epilogue.max_pool && b.planner().norm_backward_reads_output();
    b.on_backward([=, &b, of_map = out.norm, y = reads_output ? out.stored : TensorId{}] {
        const TensorId gradient = b.gradient(conv.y);
        const TensorId dy = b.alias(conv.y, conv.name + ".dy", conv.shape.y());
        if (of_map && of_map->gradient_is_summed) {
            add_apply_gradient(b, norm, dy, gradient, conv.y);
        } else {
            add_norm_backward(b, norm, dy, gradient, conv.y, epilogue, y);
        }
        add_convolution_backward(b, conv, dy);
    });
    return out;
}

} // namespace scene
