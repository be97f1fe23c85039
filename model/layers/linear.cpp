#include "model/layers/linear.h"

#include "model/layers/layers.h"

namespace scene {

TensorId add_linear_forward(ProgramBuilder& b, const Linear& layer, TensorId x) {
    const TensorId y = b.transient(layer.name + ".out", {b.shape(x)[0], b.shape(layer.w)[0]});
    b.add(layer.name + ".forward", LinearForward<TensorId>{.y = y,
                                                           .x = x,
                                                           .w = layer.w,
                                                           .bias = layer.b,
                                                           .control = b.control(),
                                                           .activation = layer.activation,
                                                           .dropout = layer.dropout});
    return y;
}

TensorId add_activation_backward(ProgramBuilder& b, const Linear& layer, TensorId dy, TensorId y) {
    if (layer.activation == Activation::None && layer.dropout.p == 0) return dy;
    const TensorId dpre = b.alias(dy, layer.name + ".dpre", b.shape(dy));
    b.add(layer.name + ".activation_backward", LinearActivationBackward<TensorId>{.dpre = dpre,
                                                                                  .dy = dy,
                                                                                  .y = y,
                                                                                  .control = b.control(),
                                                                                  .activation = layer.activation,
                                                                                  .dropout = layer.dropout});
    return dpre;
}

void add_weight_grad(ProgramBuilder& b, const Linear& layer, TensorId dpre, TensorId x) {
    const TensorId dbias = layer.bias.empty() ? TensorId{} : b.parameter_gradient(layer.bias);
    b.add(layer.name + ".weight_grad",
          LinearWeightGrad<TensorId>{.dw = b.parameter_gradient(layer.weight), .dbias = dbias, .dpre = dpre, .x = x});
}

TensorId add_data_grad(ProgramBuilder& b, const Linear& layer, TensorId dpre) {
    const TensorId dx = b.transient(layer.name + ".dx", {b.shape(dpre)[0], b.shape(layer.w)[1]});
    b.add(layer.name + ".data_grad", LinearDataGrad<TensorId>{.dx = dx, .dpre = dpre, .w = layer.w});
    return dx;
}

void add_data_grad_onto(ProgramBuilder& b, const Linear& layer, TensorId dx, TensorId dpre) {
    b.add(layer.name + ".data_grad", LinearDataGrad<TensorId>{.dx = dx, .dpre = dpre, .w = layer.w, .addend = dx});
}

TensorId linear(ProgramBuilder& b, TensorId x, const std::string& name, int64_t out, Activation activation) {
    const int64_t in = b.shape(x)[1];
    Linear layer{name, name + ".weight", name + ".bias", {}, {}, activation, {}};
    layer.w = b.parameter(layer.weight, {out, in}, Init::xavier_uniform(in, out));
    layer.b = b.parameter(layer.bias, {out}, Init::zeros());
    const TensorId y = add_linear_forward(b, layer, x);
    b.on_backward([=, &b] {
        const TensorId dpre = add_activation_backward(b, layer, b.gradient(y), y);
        add_weight_grad(b, layer, dpre, x);
        if (b.needs_gradient(x)) b.set_gradient(x, add_data_grad(b, layer, dpre));
    });
    return y;
}

} // namespace scene
