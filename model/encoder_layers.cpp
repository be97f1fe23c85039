#include "model/layers.h"

namespace scene {
namespace {

constexpr float layer_norm_epsilon = 1e-5f;

/// A linear layer inside a layer that emits its own backward ops.
struct Linear {
    std::string name;
    TensorId w, bias;
    int64_t in = 0, out = 0;
    Activation activation = Activation::None;
    Dropout dropout;
};

Linear declare_linear(Emitter& e, const std::string& weight, const std::string& bias, int64_t in, int64_t out,
                      Init weight_init, Init bias_init) {
    Linear layer{weight.substr(0, weight.rfind('.')), {}, {}, in, out, Activation::None, {}};
    if (weight.ends_with("in_proj_weight")) layer.name += ".in_proj";
    layer.w = e.parameter(weight, {out, in}, weight_init);
    layer.bias = e.parameter(bias, {out}, bias_init);
    return layer;
}

double flops(const Linear& layer, int64_t rows) { return 2.0 * static_cast<double>(rows * layer.in * layer.out); }

TensorId emit_forward(Emitter& e, const Linear& layer, TensorId x) {
    const int64_t rows = e.shape(x)[0];
    const TensorId control = e.control();
    const TensorId y = e.transient(layer.name + ".out", {rows, layer.out});
    e.emit(layer.name + ".forward", "linear_forward", {y}, {x, layer.w, layer.bias, control}, flops(layer, rows),
           [=](Backend& b, const Frame& f) {
               b.linear_forward(f[y], f[x], f[layer.w], f[layer.bias], layer.activation, layer.dropout, f[control]);
           });
    return y;
}

/// The gradient before activation and dropout, in the memory of dy.
TensorId emit_activation_backward(Emitter& e, const Linear& layer, TensorId dy, TensorId y) {
    if (layer.activation == Activation::None && layer.dropout.p == 0) return dy;
    const TensorId control = e.control();
    const TensorId dpre = e.alias(dy, layer.name + ".dpre", e.shape(dy));
    e.emit(layer.name + ".activation_backward", "linear_activation_backward", {dpre}, {dy, y, control}, 0,
           [=](Backend& b, const Frame& f) {
               b.linear_activation_backward(f[dpre], f[dy], f[y], layer.activation, layer.dropout, f[control]);
           });
    return dpre;
}

void emit_weight_grad(Emitter& e, const Linear& layer, TensorId dpre, TensorId x, const std::string& weight,
                      const std::string& bias) {
    const TensorId dw = e.parameter_gradient(weight);
    const TensorId dbias = e.parameter_gradient(bias);
    e.emit(layer.name + ".weight_grad", "linear_weight_grad", {dw, dbias}, {dpre, x}, flops(layer, e.shape(x)[0]),
           [=](Backend& b, const Frame& f) { b.linear_weight_grad(f[dw], f[dbias], f[dpre], f[x]); });
}

TensorId emit_data_grad(Emitter& e, const Linear& layer, TensorId dpre) {
    const int64_t rows = e.shape(dpre)[0];
    const TensorId dx = e.transient(layer.name + ".dx", {rows, layer.in});
    e.emit(layer.name + ".data_grad", "linear_data_grad", {dx}, {dpre, layer.w}, flops(layer, rows),
           [=](Backend& b, const Frame& f) { b.linear_data_grad(f[dx], f[dpre], f[layer.w], false); });
    return dx;
}

/// dx += the layer's data gradient.
void emit_data_grad_onto(Emitter& e, const Linear& layer, TensorId dx, TensorId dpre) {
    e.emit(layer.name + ".data_grad", "linear_data_grad", {dx}, {dx, dpre, layer.w}, flops(layer, e.shape(dpre)[0]),
           [=](Backend& b, const Frame& f) { b.linear_data_grad(f[dx], f[dpre], f[layer.w], true); });
}

/// layer_norm(x + dropout(branch)).
struct LayerNorm {
    std::string name;
    TensorId gamma, beta, x, branch, y, moments;
    Dropout dropout;
};

LayerNorm emit_layer_norm(Emitter& e, const std::string& name, TensorId x, TensorId branch, Dropout dropout) {
    const Shape shape = e.shape(x);
    LayerNorm norm{name, {}, {}, x, branch, {}, {}, dropout};
    norm.gamma = e.parameter(name + ".weight", {shape[1]}, Init::ones());
    norm.beta = e.parameter(name + ".bias", {shape[1]}, Init::zeros());
    norm.y = e.transient(name + ".out", shape);
    norm.moments = e.transient(name + ".moments", {shape[0], 2});
    const TensorId control = e.control();
    e.emit(name + ".forward", "layer_norm_forward", {norm.y, norm.moments}, {x, branch, norm.gamma, norm.beta, control},
           0, [=](Backend& b, const Frame& f) {
               b.layer_norm_forward(f[norm.y], f[norm.moments], f[norm.x], f[norm.branch], f[norm.gamma], f[norm.beta],
                                    layer_norm_epsilon, norm.dropout, f[control]);
           });
    return norm;
}

struct LayerNormGradients {
    TensorId dx, dbranch;
};

LayerNormGradients emit_layer_norm_backward(Emitter& e, const LayerNorm& norm, TensorId dy) {
    const Shape shape = e.shape(norm.x);
    const LayerNormGradients out{e.transient(norm.name + ".dx", shape), e.transient(norm.name + ".dbranch", shape)};
    const TensorId dgamma = e.parameter_gradient(norm.name + ".weight");
    const TensorId dbeta = e.parameter_gradient(norm.name + ".bias");
    const TensorId control = e.control();
    e.emit(norm.name + ".backward", "layer_norm_backward", {out.dx, out.dbranch, dgamma, dbeta},
           {dy, norm.moments, norm.x, norm.branch, norm.gamma, control}, 0, [=](Backend& b, const Frame& f) {
               b.layer_norm_backward(f[out.dx], f[out.dbranch], f[dgamma], f[dbeta], f[dy], f[norm.moments], f[norm.x],
                                     f[norm.branch], f[norm.gamma], norm.dropout, f[control]);
           });
    return out;
}

Dropout dropout_of(Emitter& e, float p) {
    if (!e.training() || p == 0) return {};
    return {p, e.next_random_stream()};
}

} // namespace

TensorId token_pool(Emitter& e, const FeatureMap& x, int64_t tokens) {
    const TensorId values = x.stored ? x.stored : x.write("");
    const TensorId y = e.transient("tokens", {x.shape[0], tokens, x.shape[3]});
    e.emit("token_pool.forward", "token_pool_forward", {y}, {values}, 0,
           [=](Backend& b, const Frame& f) { b.token_pool_forward(f[y], f[values]); });
    e.on_backward([=, &e] {
        const TensorId dy = e.gradient(y);
        const TensorId dx = e.activation("token_pool.dx", x.shape);
        e.emit("token_pool.backward", "token_pool_backward", {dx}, {dy}, 0,
               [=](Backend& b, const Frame& f) { b.token_pool_backward(f[dx], f[dy]); });
        e.set_gradient(x.key, dx);
    });
    return y;
}

TensorId encoder_layer(Emitter& e, TensorId x, const std::string& name, int heads, int64_t feed_forward,
                       float dropout) {
    const Shape shape = e.shape(x);
    const int64_t n = shape[0], tokens = shape[1], d = shape[2], rows = n * tokens;
    SCENE_CHECK(d % heads == 0, "the encoder's width is a multiple of its heads");
    const std::string attention = name + ".self_attn";
    const Linear in_proj = declare_linear(e, attention + ".in_proj_weight", attention + ".in_proj_bias", d, 3 * d,
                                          Init::xavier_uniform(d, 3 * d), Init::zeros());
    const Linear out_proj = declare_linear(e, attention + ".out_proj.weight", attention + ".out_proj.bias", d, d,
                                           Init::linear_uniform(d), Init::zeros());
    Linear linear1 = declare_linear(e, name + ".linear1.weight", name + ".linear1.bias", d, feed_forward,
                                    Init::linear_uniform(d), Init::linear_uniform(d));
    linear1.activation = Activation::Relu;
    const Linear linear2 = declare_linear(e, name + ".linear2.weight", name + ".linear2.bias", feed_forward, d,
                                          Init::linear_uniform(feed_forward), Init::linear_uniform(feed_forward));
    const Dropout attention_dropout = dropout_of(e, dropout);
    const Dropout branch1_dropout = dropout_of(e, dropout);
    linear1.dropout = dropout_of(e, dropout);
    const Dropout branch2_dropout = dropout_of(e, dropout);
    const TensorId control = e.control();

    const TensorId x_rows = e.alias(x, name + ".rows", {rows, d});
    const TensorId qkv_rows = emit_forward(e, in_proj, x_rows);
    const TensorId qkv = e.alias(qkv_rows, attention + ".qkv", {n, tokens, 3 * d});
    const TensorId attended = e.transient(attention + ".out", shape);
    const double attention_flops = 4.0 * static_cast<double>(rows * tokens * d);
    e.emit(attention + ".forward", "attention_forward", {attended}, {qkv, control}, attention_flops,
           [=](Backend& b, const Frame& f) {
               b.attention_forward(f[attended], f[qkv], heads, attention_dropout, f[control]);
           });
    const TensorId attended_rows = e.alias(attended, attention + ".out_rows", {rows, d});
    const TensorId projected = emit_forward(e, out_proj, attended_rows);
    const LayerNorm norm1 = emit_layer_norm(e, name + ".norm1", x_rows, projected, branch1_dropout);
    const TensorId hidden = emit_forward(e, linear1, norm1.y);
    const TensorId branch2 = emit_forward(e, linear2, hidden);
    const LayerNorm norm2 = emit_layer_norm(e, name + ".norm2", norm1.y, branch2, branch2_dropout);
    const TensorId y = e.alias(norm2.y, name + ".out", shape);

    e.on_backward([=, &e] {
        const TensorId dy = e.alias(e.gradient(y), name + ".dy", {rows, d});
        const auto [dnorm1, dbranch2] = emit_layer_norm_backward(e, norm2, dy);
        emit_weight_grad(e, linear2, dbranch2, hidden, name + ".linear2.weight", name + ".linear2.bias");
        const TensorId dhidden = emit_activation_backward(e, linear1, emit_data_grad(e, linear2, dbranch2), hidden);
        emit_weight_grad(e, linear1, dhidden, norm1.y, name + ".linear1.weight", name + ".linear1.bias");
        emit_data_grad_onto(e, linear1, dnorm1, dhidden);

        const auto [dx, dprojected] = emit_layer_norm_backward(e, norm1, dnorm1);
        emit_weight_grad(e, out_proj, dprojected, attended_rows, attention + ".out_proj.weight",
                         attention + ".out_proj.bias");
        const TensorId dattended = e.alias(emit_data_grad(e, out_proj, dprojected), attention + ".dout", shape);
        const TensorId dqkv = e.transient(attention + ".dqkv", {n, tokens, 3 * d});
        e.emit(attention + ".backward", "attention_backward", {dqkv}, {dattended, qkv, control}, 2.5 * attention_flops,
               [=](Backend& b, const Frame& f) {
                   b.attention_backward(f[dqkv], f[dattended], f[qkv], heads, attention_dropout, f[control]);
               });
        const TensorId dqkv_rows = e.alias(dqkv, attention + ".dqkv_rows", {rows, 3 * d});
        emit_weight_grad(e, in_proj, dqkv_rows, x_rows, attention + ".in_proj_weight", attention + ".in_proj_bias");
        emit_data_grad_onto(e, in_proj, dx, dqkv_rows);
        e.set_gradient(x, e.alias(dx, name + ".dx", shape));
    });
    return y;
}

TensorId token_max(Emitter& e, TensorId x) {
    const Shape shape = e.shape(x);
    const TensorId y = e.transient("embedding", {shape[0], shape[2]});
    const TensorId argmax = e.transient("embedding.argmax", {shape[0], shape[2]}, DType::I32);
    e.emit("token_max.forward", "token_max_forward", {y, argmax}, {x}, 0,
           [=](Backend& b, const Frame& f) { b.token_max_forward(f[y], f[argmax], f[x]); });
    e.on_backward([=, &e] {
        const TensorId dy = e.gradient(y);
        const TensorId dx = e.transient("token_max.dx", shape);
        e.emit("token_max.backward", "token_max_backward", {dx}, {dy, argmax}, 0,
               [=](Backend& b, const Frame& f) { b.token_max_backward(f[dx], f[dy], f[argmax]); });
        e.set_gradient(x, dx);
    });
    return y;
}

TensorId linear(Emitter& e, TensorId x, const std::string& name, int64_t out, Activation activation) {
    const int64_t in = e.shape(x)[1];
    Linear layer =
        declare_linear(e, name + ".weight", name + ".bias", in, out, Init::xavier_uniform(in, out), Init::zeros());
    layer.activation = activation;
    const TensorId y = emit_forward(e, layer, x);
    e.on_backward([=, &e] {
        const TensorId dpre = emit_activation_backward(e, layer, e.gradient(y), y);
        emit_weight_grad(e, layer, dpre, x, name + ".weight", name + ".bias");
        if (e.needs_gradient(x)) e.set_gradient(x, emit_data_grad(e, layer, dpre));
    });
    return y;
}

} // namespace scene
