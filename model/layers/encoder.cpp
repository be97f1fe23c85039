#include "model/layers/layers.h"
#include "model/layers/linear.h"

namespace scene {
namespace {

constexpr float layer_norm_epsilon = 1e-5f;

/// layer_norm(x + dropout(branch)).
struct LayerNorm {
    std::string name;
    TensorId gamma, beta, x, branch, y, moments;
    Dropout dropout;
};

LayerNorm add_layer_norm(ProgramBuilder& b, const std::string& name, TensorId x, TensorId branch, Dropout dropout) {
    const Shape shape = b.shape(x);
    LayerNorm norm{name, {}, {}, x, branch, {}, {}, dropout};
    norm.gamma = b.parameter(name + ".weight", {shape[1]}, Init::ones());
    norm.beta = b.parameter(name + ".bias", {shape[1]}, Init::zeros());
    norm.y = b.transient(name + ".out", shape);
    norm.moments = b.transient(name + ".moments", {shape[0], 2});
    b.add(name + ".forward", LayerNormForward<TensorId>{.y = norm.y,
                                                        .moments = norm.moments,
                                                        .x = x,
                                                        .branch = branch,
                                                        .gamma = norm.gamma,
                                                        .beta = norm.beta,
                                                        .control = b.control(),
                                                        .epsilon = layer_norm_epsilon,
                                                        .dropout = dropout});
    return norm;
}

struct LayerNormGradients {
    TensorId dx, dbranch;
};

LayerNormGradients add_layer_norm_backward(ProgramBuilder& b, const LayerNorm& norm, TensorId dy) {
    const Shape shape = b.shape(norm.x);
    const LayerNormGradients out{b.transient(norm.name + ".dx", shape), b.transient(norm.name + ".dbranch", shape)};
    b.add(norm.name + ".backward", LayerNormBackward<TensorId>{.dx = out.dx,
                                                               .dbranch = out.dbranch,
                                                               .dgamma = b.parameter_gradient(norm.name + ".weight"),
                                                               .dbeta = b.parameter_gradient(norm.name + ".bias"),
                                                               .dy = dy,
                                                               .moments = norm.moments,
                                                               .x = norm.x,
                                                               .branch = norm.branch,
                                                               .gamma = norm.gamma,
                                                               .control = b.control(),
                                                               .dropout = norm.dropout});
    return out;
}

Dropout dropout_of(ProgramBuilder& b, float p) {
    if (!b.training() || p == 0) return {};
    return {p, b.next_random_stream()};
}

Linear declare_linear(ProgramBuilder& b, const std::string& name, const std::string& weight, const std::string& bias,
                      int64_t in, int64_t out, Init weight_init, Init bias_init) {
    Linear layer{name, weight, bias, {}, {}, Activation::None, {}};
    layer.w = b.parameter(weight, {out, in}, weight_init);
    layer.b = b.parameter(bias, {out}, bias_init);
    return layer;
}

} // namespace

TensorId encoder_layer(ProgramBuilder& b, TensorId x, const std::string& name, int heads, int64_t feed_forward,
                       float dropout) {
    const Shape shape = b.shape(x);
    const int64_t n = shape[0], tokens = shape[1], d = shape[2], rows = n * tokens;
    SCENE_CHECK(d % heads == 0, "the encoder's width is a multiple of its heads");
    const std::string attention = name + ".self_attn", first = name + ".linear1", second = name + ".linear2";
    const Linear in_proj =
        declare_linear(b, attention + ".in_proj", attention + ".in_proj_weight", attention + ".in_proj_bias", d, 3 * d,
                       Init::xavier_uniform(d, 3 * d), Init::zeros());
    const Linear out_proj = declare_linear(b, attention + ".out_proj", attention + ".out_proj.weight",
                                           attention + ".out_proj.bias", d, d, Init::linear_uniform(d), Init::zeros());
    Linear linear1 = declare_linear(b, first, first + ".weight", first + ".bias", d, feed_forward,
                                    Init::linear_uniform(d), Init::linear_uniform(d));
    linear1.activation = Activation::Relu;
    const Linear linear2 = declare_linear(b, second, second + ".weight", second + ".bias", feed_forward, d,
                                          Init::linear_uniform(feed_forward), Init::linear_uniform(feed_forward));
    const Dropout attention_dropout = dropout_of(b, dropout);
    const Dropout branch1_dropout = dropout_of(b, dropout);
    linear1.dropout = dropout_of(b, dropout);
    const Dropout branch2_dropout = dropout_of(b, dropout);

    const TensorId x_rows = b.alias(x, name + ".rows", {rows, d});
    const TensorId qkv_rows = add_linear_forward(b, in_proj, x_rows);
    const TensorId qkv = b.alias(qkv_rows, attention + ".qkv", {n, tokens, 3 * d});
    const TensorId attended = b.transient(attention + ".out", shape);
    b.add(attention + ".forward",
          AttentionForward<TensorId>{
              .y = attended, .qkv = qkv, .control = b.control(), .heads = heads, .dropout = attention_dropout});
    const TensorId attended_rows = b.alias(attended, attention + ".out_rows", {rows, d});
    const TensorId projected = add_linear_forward(b, out_proj, attended_rows);
    const LayerNorm norm1 = add_layer_norm(b, name + ".norm1", x_rows, projected, branch1_dropout);
    const TensorId hidden = add_linear_forward(b, linear1, norm1.y);
    const TensorId branch2 = add_linear_forward(b, linear2, hidden);
    const LayerNorm norm2 = add_layer_norm(b, name + ".norm2", norm1.y, branch2, branch2_dropout);
    const TensorId y = b.alias(norm2.y, name + ".out", shape);

    b.on_backward([=, &b] {
        const TensorId dy = b.alias(b.gradient(y), name + ".dy", {rows, d});
        const auto [dnorm1, dbranch2] = add_layer_norm_backward(b, norm2, dy);
        add_weight_grad(b, linear2, dbranch2, hidden);
        const TensorId dhidden = add_activation_backward(b, linear1, add_data_grad(b, linear2, dbranch2), hidden);
        add_weight_grad(b, linear1, dhidden, norm1.y);
        add_data_grad_onto(b, linear1, dnorm1, dhidden);

        const auto [dx, dprojected] = add_layer_norm_backward(b, norm1, dnorm1);
        add_weight_grad(b, out_proj, dprojected, attended_rows);
        const TensorId dattended = b.alias(add_data_grad(b, out_proj, dprojected), attention + ".dout", shape);
        const TensorId dqkv = b.transient(attention + ".dqkv", {n, tokens, 3 * d});
        b.add(attention + ".backward", AttentionBackward<TensorId>{.dqkv = dqkv,
                                                                   .dy = dattended,
                                                                   .qkv = qkv,
                                                                   .control = b.control(),
                                                                   .heads = heads,
                                                                   .dropout = attention_dropout});
        const TensorId dqkv_rows = b.alias(dqkv, attention + ".dqkv_rows", {rows, 3 * d});
        add_weight_grad(b, in_proj, dqkv_rows, x_rows);
        add_data_grad_onto(b, in_proj, dx, dqkv_rows);
        b.set_gradient(x, b.alias(dx, name + ".dx", shape));
    });
    return y;
}

} // namespace scene
