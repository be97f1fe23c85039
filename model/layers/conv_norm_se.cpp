#include <algorithm>

#include "model/layers/convolution.h"
#include "model/layers/linear.h"

namespace scene {
namespace {

constexpr int64_t reduction = 16;

Linear gate_layer(ProgramBuilder& b, const std::string& name, int64_t in, int64_t out, Activation activation) {
    Linear layer{name, name + ".weight", {}, {}, {}, activation, {}};
    layer.w = b.parameter(layer.weight, {out, in}, Init::xavier_uniform(in, out));
    return layer;
}

/// Adds the layer's backward ops and returns the gradient of its input x.
TensorId gate_backward(ProgramBuilder& b, const Linear& layer, TensorId dy, TensorId y, TensorId x) {
    const TensorId dpre = add_activation_backward(b, layer, dy, y);
    add_weight_grad(b, layer, dpre, x);
    return add_data_grad(b, layer, dpre);
}

} // namespace

FeatureMap conv_norm_se(ProgramBuilder& b, const FeatureMap& x, const ConvNormSpec& spec, const std::string& se,
                        bool avg_pool) {
    const Convolution conv = declare_convolution(b, x, spec);
    const Norm norm = declare_norm(b, spec.norm, spec.channels);
    const int64_t n = conv.shape.batch, channels = spec.channels;
    const int64_t hidden = std::max<int64_t>(1, channels / reduction);
    if (b.training()) {
        add_convolution(b, conv, {conv.w, {}}, &norm, {});
        finalize_norm(b, norm, conv.shape.y().elements() / channels);
    } else {
        add_convolution(b, conv, inference_weights(b, conv, conv.w), nullptr, {});
        fold_norm(b, norm);
    }

    const TensorId raw = conv.y, scale = norm.scale, shift = norm.shift;
    const TensorId squeezed = b.transient(se + ".squeezed", {n, channels});
    b.add(se + ".squeeze",
          SqueezeExciteSqueeze<TensorId>{.pooled = squeezed, .x = raw, .scale = scale, .shift = shift});
    const Linear reduce = gate_layer(b, se + ".reduce", channels, hidden, Activation::Relu);
    const Linear expand = gate_layer(b, se + ".expand", hidden, channels, Activation::Sigmoid);
    const TensorId reduced = add_linear_forward(b, reduce, squeezed);
    const TensorId gate = add_linear_forward(b, expand, reduced);

    FeatureMap out;
    out.key = raw;
    out.shape = avg_pool ? conv.pooled_y() : conv.shape.y();
    out.materialize = [=, &b, shape = out.shape](const std::string& suffix) {
        const TensorId y = b.activation(se + ".out" + suffix, shape);
        b.add(se + ".excite" + suffix,
              SqueezeExciteForward<TensorId>{
                  .y = y, .x = raw, .scale = scale, .shift = shift, .gate = gate, .avg_pool = avg_pool});
        return y;
    };
    if (avg_pool) {
        out.stored = out.materialize("");
        out.materialize = [y = out.stored](const std::string&) { return y; };
    }
    b.on_backward([=, &b] {
        const TensorId dout = b.gradient(raw);
        const TensorId dgate = b.transient(se + ".dgate", {n, channels});
        b.add(se + ".excite.backward_gate", SqueezeExciteBackwardGate<TensorId>{.dgate = dgate,
                                                                                .dy = dout,
                                                                                .x = raw,
                                                                                .scale = scale,
                                                                                .shift = shift,
                                                                                .gate = gate,
                                                                                .avg_pool = avg_pool});
        const TensorId dreduced = gate_backward(b, expand, dgate, gate, reduced);
        const TensorId dsqueezed = gate_backward(b, reduce, dreduced, reduced, squeezed);
        const TensorId dz = b.activation(se + ".dz", conv.shape.y());
        b.add(se + ".excite.backward", SqueezeExciteBackward<TensorId>{.dz = dz,
                                                                       .dy = dout,
                                                                       .x = raw,
                                                                       .scale = scale,
                                                                       .shift = shift,
                                                                       .gate = gate,
                                                                       .dpooled = dsqueezed,
                                                                       .avg_pool = avg_pool});
        const TensorId dy = b.alias(raw, conv.name + ".dy", conv.shape.y());
        add_norm_backward(b, norm, dy, dz, raw, {.relu = false, .dropout = {}, .max_pool = false}, {});
        add_convolution_backward(b, conv, dy);
    });
    return out;
}

} // namespace scene
