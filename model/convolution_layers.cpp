#include "model/layers.h"

#include <algorithm>
#include <memory>

namespace scene {
namespace {

constexpr float norm_momentum = 0.1f;
constexpr float norm_epsilon = 1e-5f;
constexpr int64_t se_reduction = 16;

/// Parameters, statistics and affine form of one batch norm.
struct Norm {
    std::string name;
    TensorId gamma, beta, running_mean, running_variance;
    TensorId mean, variance, inv_std; ///< training only
    TensorId scale, shift;
};

Norm declare_norm(Emitter& e, const std::string& name, int64_t channels) {
    Norm norm{name, {}, {}, {}, {}, {}, {}, {}, {}, {}};
    norm.gamma = e.parameter(name + ".weight", {channels}, Init::ones());
    norm.beta = e.parameter(name + ".bias", {channels}, Init::zeros());
    norm.running_mean = e.variable(Segment::Statistics, name + ".running_mean", {channels});
    norm.running_variance = e.variable(Segment::Statistics, name + ".running_var", {channels});
    if (e.training()) {
        norm.mean = e.transient(name + ".mean", {channels});
        norm.variance = e.transient(name + ".variance", {channels});
        norm.inv_std = e.transient(name + ".inv_std", {channels});
        norm.scale = e.transient(name + ".scale", {channels});
        norm.shift = e.transient(name + ".shift", {channels});
    } else {
        norm.scale = e.variable(Segment::State, name + ".folded_scale", {channels});
        norm.shift = e.variable(Segment::State, name + ".folded_shift", {channels});
    }
    return norm;
}

/// Training: scale and shift from this batch's statistics, which must be there.
void finalize_norm(Emitter& e, const Norm& norm, int64_t rows) {
    e.emit(norm.name + ".finalize", "batch_norm_finalize",
           {norm.scale, norm.shift, norm.inv_std, norm.running_mean, norm.running_variance},
           {norm.mean, norm.variance, norm.gamma, norm.beta, norm.running_mean, norm.running_variance}, 0,
           [norm, rows](Backend& b, const Frame& f) {
               b.batch_norm_finalize(f[norm.scale], f[norm.shift], f[norm.inv_std], f[norm.running_mean],
                                     f[norm.running_variance], f[norm.mean], f[norm.variance], f[norm.gamma],
                                     f[norm.beta], rows, norm_momentum, norm_epsilon);
           });
}

void emit_statistics(Emitter& e, const Norm& norm, TensorId x) {
    e.emit(norm.name + ".statistics", "batch_norm_statistics", {norm.mean, norm.variance}, {x}, 0,
           [norm, x](Backend& b, const Frame& f) { b.batch_norm_statistics(f[norm.mean], f[norm.variance], f[x]); });
}

/// Inference: scale and shift from the running statistics, once per set of parameters.
void fold_norm(Emitter& e, const Norm& norm) {
    e.phase(Phase::Setup);
    e.emit(norm.name + ".fold", "batch_norm_fold", {norm.scale, norm.shift},
           {norm.running_mean, norm.running_variance, norm.gamma, norm.beta}, 0, [norm](Backend& b, const Frame& f) {
               b.batch_norm_fold(f[norm.scale], f[norm.shift], f[norm.running_mean], f[norm.running_variance],
                                 f[norm.gamma], f[norm.beta], norm_epsilon);
           });
    e.phase(Phase::Forward);
}

void emit_norm_forward(Emitter& e, const Norm& norm, const std::string& suffix, TensorId y, TensorId x,
                       const NormEpilogue& epilogue) {
    const TensorId control = e.control();
    e.emit(norm.name + suffix, "batch_norm_forward", {y}, {x, norm.scale, norm.shift, control}, 0,
           [=](Backend& b, const Frame& f) {
               b.batch_norm_forward(f[y], f[x], f[norm.scale], f[norm.shift], epilogue, f[control]);
           });
}

/// dx absent: only the parameters' gradients.
void emit_norm_backward(Emitter& e, const Norm& norm, TensorId dx, TensorId dy, TensorId x,
                        const NormEpilogue& epilogue) {
    const TensorId control = e.control();
    const TensorId dgamma = e.parameter_gradient(norm.name + ".weight");
    const TensorId dbeta = e.parameter_gradient(norm.name + ".bias");
    const TensorId scratch = e.scratch(norm.name + ".scratch", e.backend().batch_norm_scratch_bytes(e.shape(x)));
    // One pass for the sums and, where dx is wanted, one that writes it.
    const TensorId dy_again = dx ? dy : TensorId{}, x_again = dx ? x : TensorId{};
    e.emit(norm.name + ".backward", "batch_norm_backward", {dx, dgamma, dbeta, scratch},
           {dy, x, dy_again, x_again, norm.mean, norm.inv_std, norm.scale, norm.shift, control}, 0,
           [=](Backend& b, const Frame& f) {
               b.batch_norm_backward(f[dx], f[dgamma], f[dbeta], f[dy], f[x], f[norm.mean], f[norm.inv_std],
                                     f[norm.scale], f[norm.shift], f[scratch], epilogue, f[control]);
           });
}

/// dx from dz, the masked gradient of the norm's output, whose sums are there.
void emit_apply_gradient(Emitter& e, const Norm& norm, TensorId dx, TensorId dz, TensorId x) {
    const TensorId dgamma = e.parameter_gradient(norm.name + ".weight");
    const TensorId dbeta = e.parameter_gradient(norm.name + ".bias");
    e.emit(norm.name + ".apply_gradient", "batch_norm_apply_gradient", {dx},
           {dz, x, norm.mean, norm.inv_std, norm.scale, dgamma, dbeta}, 0, [=](Backend& b, const Frame& f) {
               b.batch_norm_apply_gradient(f[dx], f[dz], f[x], f[norm.mean], f[norm.inv_std], f[norm.scale], f[dgamma],
                                           f[dbeta]);
           });
}

/// x in another type; x itself where it has that type.
TensorId converted(Emitter& e, TensorId x, const std::string& name, DType dtype) {
    if (e.dtype(x) == dtype) return x;
    const TensorId y = e.transient(name, e.shape(x), dtype);
    e.emit(name, "convert", {y}, {x}, 0, [=](Backend& b, const Frame& f) { b.convert(f[y], f[x]); });
    return y;
}

/// A convolution between an activation and its raw output.
struct Convolution {
    std::string name;
    Conv2dShape shape;
    ConvFusion fusion;
    FeatureMap x;
    TensorId parameter; ///< the weights, f32
    TensorId w;         ///< the same in the activation type
    TensorId y;

    bool normalizes_on_load() const { return fusion.normalize_input && static_cast<bool>(x.raw); }
};

Convolution declare_convolution(Emitter& e, const FeatureMap& x, const ConvNormSpec& spec) {
    Convolution conv;
    conv.name = spec.conv;
    conv.shape = {x.shape[0],  x.shape[1],  x.shape[2],   x.shape[3],    spec.channels,
                  spec.kernel, spec.stride, spec.padding, e.full_batch()};
    conv.fusion = e.backend().conv2d_fusion(conv.shape);
    conv.x = x;
    if (conv.normalizes_on_load()) { // cast once: forward and backward see the same rounded values
        const DType type = e.backend().activation_type();
        conv.x.scale = converted(e, x.scale, conv.name + ".input_scale", type);
        conv.x.shift = converted(e, x.shift, conv.name + ".input_shift", type);
    }
    const int64_t window = spec.kernel * spec.kernel;
    const Init init = spec.init == Init::Kind::HeNormal
                          ? Init::he_normal(x.shape[3] * window)
                          : Init::xavier_uniform(x.shape[3] * window, spec.channels * window);
    conv.parameter = e.parameter(spec.conv + ".weight", conv.shape.w(), init);
    conv.w = e.activation_parameter(spec.conv + ".weight");
    conv.y = e.activation(spec.conv + ".out", conv.shape.y());
    return conv;
}

/// What a convolution multiplies with: w, or what the backend made of it once.
struct Weights {
    TensorId w, prepared;
    size_t scratch_bytes; ///< of the forward pass
};

Weights weights_of(const Emitter& e, const Convolution& conv, TensorId w) {
    return {w, {}, e.backend().conv2d_scratch_bytes(conv.shape, ConvPass::Forward)};
}

/// Inference: `w` in the form that the backend makes of it in setup, if it makes one.
Weights inference_weights(Emitter& e, const Convolution& conv, TensorId w) {
    const PreparedWeights form = e.backend().conv2d_prepared_weights(conv.shape);
    if (form.floats == 0) return weights_of(e, conv, w);
    const TensorId prepared = e.variable(Segment::State, conv.name + ".prepared_weight", {form.floats});
    e.phase(Phase::Setup);
    e.emit(conv.name + ".prepare", "conv2d_prepare_weights", {prepared}, {w}, 0,
           [=, shape = conv.shape](Backend& b, const Frame& f) { b.conv2d_prepare_weights(f[prepared], f[w], shape); });
    e.phase(Phase::Forward);
    return {{}, prepared, form.scratch_bytes};
}

/// Emits y = conv(x); statistics of y come with it when `norm` is given and the backend can.
void emit_convolution(Emitter& e, const Convolution& conv, const Weights& weights, const Norm* statistics,
                      TensorId bias) {
    const bool on_load = conv.normalizes_on_load();
    const TensorId x = on_load ? conv.x.raw : conv.x.write("");
    const TensorId scale = on_load ? conv.x.scale : TensorId{};
    const TensorId shift = on_load ? conv.x.shift : TensorId{};
    const TensorId mean = statistics && conv.fusion.statistics ? statistics->mean : TensorId{};
    const TensorId variance = mean ? statistics->variance : TensorId{};
    const TensorId scratch = e.scratch(conv.name + ".forward.scratch", weights.scratch_bytes);
    const TensorId y = conv.y, w = weights.w, prepared = weights.prepared;
    e.emit(conv.name + ".forward", "conv2d_forward", {y, mean, variance, scratch}, {x, w, prepared, scale, shift, bias},
           conv.shape.flops(), [=, shape = conv.shape](Backend& b, const Frame& f) {
               ConvExtras extras;
               extras.input_scale = f[scale];
               extras.input_shift = f[shift];
               extras.mean = f[mean];
               extras.variance = f[variance];
               extras.bias = f[bias];
               extras.relu = static_cast<bool>(bias);
               extras.prepared_weights = f[prepared];
               b.conv2d_forward(f[y], f[x], f[w], f[scratch], shape, extras);
           });
    if (statistics && !mean) emit_statistics(e, *statistics, y);
}

/// Emits the gradients of weights and, if anyone needs it, of the input, from dy, the gradient of the raw output.
void emit_convolution_backward(Emitter& e, const Convolution& conv, TensorId dy) {
    const bool on_load = conv.normalizes_on_load();
    const TensorId x = on_load ? conv.x.raw : conv.x.stored ? conv.x.stored : conv.x.write(".again");
    const TensorId scale = on_load ? conv.x.scale : TensorId{};
    const TensorId shift = on_load ? conv.x.shift : TensorId{};
    const TensorId dw = e.parameter_gradient(conv.name + ".weight");
    const TensorId w_scratch = e.scratch(conv.name + ".weight_grad.scratch",
                                         e.backend().conv2d_scratch_bytes(conv.shape, ConvPass::WeightGrad));
    e.emit(conv.name + ".weight_grad", "conv2d_weight_grad", {dw, w_scratch}, {dy, x, scale, shift}, conv.shape.flops(),
           [=, shape = conv.shape](Backend& b, const Frame& f) {
               b.conv2d_weight_grad(f[dw], f[dy], f[x], f[w_scratch], shape, f[scale], f[shift]);
           });
    if (!e.needs_gradient(conv.x.key)) return;
    const TensorId dx = e.activation(conv.name + ".dx", conv.shape.x());
    const TensorId w = conv.w;
    const TensorId x_scratch =
        e.scratch(conv.name + ".data_grad.scratch", e.backend().conv2d_scratch_bytes(conv.shape, ConvPass::DataGrad));
    e.set_gradient(conv.x.key, dx);
    if (conv.fusion.norm_gradient && conv.x.norm) {
        conv.x.norm->gradient_is_summed = true;
        const NormOfMap norm = *conv.x.norm;
        const TensorId raw = conv.x.raw;
        const TensorId dgamma = e.parameter_gradient(norm.name + ".weight");
        const TensorId dbeta = e.parameter_gradient(norm.name + ".bias");
        e.emit(conv.name + ".data_grad", "conv2d_data_grad_norm", {dx, dgamma, dbeta, x_scratch},
               {dy, w, raw, norm.mean, norm.inv_std, norm.gamma, norm.beta}, conv.shape.flops(),
               [=, shape = conv.shape](Backend& b, const Frame& f) {
                   b.conv2d_data_grad_norm(f[dx], f[dgamma], f[dbeta], f[dy], f[w], f[raw], f[norm.mean],
                                           f[norm.inv_std], f[norm.gamma], f[norm.beta], f[x_scratch], shape);
               });
        return;
    }
    e.emit(conv.name + ".data_grad", "conv2d_data_grad", {dx, x_scratch}, {dy, w}, conv.shape.flops(),
           [=, shape = conv.shape](Backend& b, const Frame& f) {
               b.conv2d_data_grad(f[dx], f[dy], f[w], f[x_scratch], shape);
           });
}

Shape pooled(const Shape& shape) { return {shape[0], shape[1] / 2, shape[2] / 2, shape[3]}; }

void emit_fold(Emitter& e, const Convolution& conv, TensorId folded, TensorId scale) {
    const TensorId w = conv.parameter;
    e.emit(conv.name + ".fold", "fold_conv_weights", {folded}, {w, scale}, 0,
           [=](Backend& b, const Frame& f) { b.fold_conv_weights(f[folded], f[w], f[scale]); });
}

/// Inference of convolution + batch norm + relu as one convolution with folded weights and a bias.
FeatureMap folded_convolution(Emitter& e, const Convolution& conv, const Norm& norm) {
    // What is made of them in setup is all that the step reads.
    const bool prepared = e.backend().conv2d_prepared_weights(conv.shape).floats > 0;
    const std::string name = conv.name + ".folded_weight";
    const TensorId folded = prepared ? e.activation(name, conv.shape.w())
                                     : e.variable(Segment::State, name, conv.shape.w(), e.backend().activation_type());
    e.phase(Phase::Setup);
    emit_fold(e, conv, folded, norm.scale);
    e.phase(Phase::Forward);
    emit_convolution(e, conv, inference_weights(e, conv, folded), nullptr, norm.shift);
    return stored_map(e, conv.y);
}

/// Training of convolution + batch norm + relu where the backend needs no output of the convolution for it.
FeatureMap conv_norm_of_windows(Emitter& e, const Convolution& conv, const Norm& norm) {
    const Backend& backend = e.backend();
    const int64_t taps = conv.shape.kernel * conv.shape.kernel * conv.shape.in_channels;
    const TensorId x = conv.x.stored, w = conv.parameter, y = conv.y;
    const TensorId moments = e.transient(conv.name + ".moments", {1 + taps, taps});
    const TensorId scratch =
        e.scratch(conv.name + ".statistics.scratch", backend.conv2d_norm_statistics_scratch_bytes(conv.shape));
    e.emit(norm.name + ".statistics", "conv2d_norm_statistics", {norm.mean, norm.variance, moments, scratch}, {x, w}, 0,
           [=, shape = conv.shape](Backend& b, const Frame& f) {
               b.conv2d_norm_statistics(f[norm.mean], f[norm.variance], f[moments], f[x], f[w], f[scratch], shape);
           });
    finalize_norm(e, norm, conv.shape.y().elements() / conv.shape.out_channels);
    const TensorId folded = e.activation(conv.name + ".folded_weight", conv.shape.w());
    emit_fold(e, conv, folded, norm.scale);
    emit_convolution(e, conv, weights_of(e, conv, folded), nullptr, norm.shift);

    e.on_backward([=, &e] {
        const bool wanted = e.needs_gradient(conv.x.key);
        const TensorId dx = wanted ? e.activation(conv.name + ".dx", conv.shape.x()) : TensorId{};
        const TensorId dw = e.parameter_gradient(conv.name + ".weight");
        const TensorId dgamma = e.parameter_gradient(norm.name + ".weight");
        const TensorId dbeta = e.parameter_gradient(norm.name + ".bias");
        const TensorId dy = e.gradient(y);
        const TensorId memory =
            e.scratch(conv.name + ".backward.scratch", e.backend().conv2d_norm_backward_scratch_bytes(conv.shape));
        e.emit(conv.name + ".backward", "conv2d_norm_backward", {dx, dw, dgamma, dbeta, memory},
               {dy, y, x, w, moments, norm.mean, norm.inv_std, norm.scale}, (wanted ? 2 : 1) * conv.shape.flops(),
               [=, shape = conv.shape](Backend& b, const Frame& f) {
                   b.conv2d_norm_backward(f[dx], f[dw], f[dgamma], f[dbeta], f[dy], f[y], f[x], f[w], f[moments],
                                          f[norm.mean], f[norm.inv_std], f[norm.scale], f[memory], shape);
               });
        if (wanted) e.set_gradient(conv.x.key, dx);
    });
    return stored_map(e, y);
}

TensorId emit_linear_forward(Emitter& e, const std::string& name, TensorId x, TensorId w, int64_t out,
                             Activation activation) {
    const int64_t rows = e.shape(x)[0], in = e.shape(x)[1];
    const TensorId control = e.control();
    const TensorId y = e.transient(name + ".out", {rows, out});
    e.emit(name + ".forward", "linear_forward", {y}, {x, w, control}, 2.0 * static_cast<double>(rows * in * out),
           [=](Backend& b, const Frame& f) { b.linear_forward(f[y], f[x], f[w], {}, activation, {}, f[control]); });
    return y;
}

/// Gradients of one gate layer of a squeeze-excitation block, without bias; returns dx.
TensorId emit_gate_backward(Emitter& e, const std::string& name, TensorId dy, TensorId y, TensorId x, TensorId w,
                            Activation activation) {
    const TensorId control = e.control();
    const double flops = 2.0 * static_cast<double>(e.shape(x)[0] * e.shape(w)[0] * e.shape(w)[1]);
    const TensorId dpre = e.alias(dy, name + ".dpre", e.shape(dy));
    e.emit(name + ".activation_backward", "linear_activation_backward", {dpre}, {dy, y, control}, 0,
           [=](Backend& b, const Frame& f) {
               b.linear_activation_backward(f[dpre], f[dy], f[y], activation, {}, f[control]);
           });
    const TensorId dw = e.parameter_gradient(name + ".weight");
    e.emit(name + ".weight_grad", "linear_weight_grad", {dw}, {dpre, x}, flops,
           [=](Backend& b, const Frame& f) { b.linear_weight_grad(f[dw], {}, f[dpre], f[x]); });
    const TensorId dx = e.transient(name + ".dx", e.shape(x));
    e.emit(name + ".data_grad", "linear_data_grad", {dx}, {dpre, w}, flops,
           [=](Backend& b, const Frame& f) { b.linear_data_grad(f[dx], f[dpre], f[w], false); });
    return dx;
}

} // namespace

FeatureMap stored_map(const Emitter& emitter, TensorId values) {
    return {values, emitter.shape(values), {}, {}, {}, {}, values, [values](const std::string&) { return values; }};
}

FeatureMap input_norm(Emitter& e, TensorId x) {
    const Shape shape = e.shape(x);
    const int64_t rows = shape[0] * shape[1], columns = shape[2] * shape[3];
    const TensorId matrix = e.alias(x, "features.columns", {rows, columns});
    const Norm norm = declare_norm(e, "input_norm", columns);
    if (e.training()) {
        emit_statistics(e, norm, matrix);
        finalize_norm(e, norm, rows);
    } else {
        fold_norm(e, norm);
    }
    const NormEpilogue epilogue{.relu = false, .dropout = {}, .max_pool = false};
    const TensorId normed = e.transient("input_norm.out", {rows, columns});
    emit_norm_forward(e, norm, ".forward", normed, matrix, epilogue);
    const TensorId map = e.alias(normed, "input_norm.map", shape);
    const TensorId y = converted(e, map, "input_norm.half", e.backend().activation_type());
    e.on_backward([=, &e] {
        const TensorId dmap = converted(e, e.gradient(y), "input_norm.dmap", DType::F32);
        const TensorId dy = e.alias(dmap, "input_norm.dy", {rows, columns});
        emit_norm_backward(e, norm, {}, dy, matrix, epilogue);
    });
    return stored_map(e, y);
}

FeatureMap conv_norm(Emitter& e, const FeatureMap& x, const ConvNormSpec& spec) {
    const Convolution conv = declare_convolution(e, x, spec);
    const Norm norm = declare_norm(e, spec.norm, spec.channels);
    NormEpilogue epilogue = spec.epilogue;
    if (!e.training()) {
        epilogue.dropout = {};
        fold_norm(e, norm);
        if (epilogue.relu && !epilogue.max_pool && conv.fusion.bias_relu) return folded_convolution(e, conv, norm);
        emit_convolution(e, conv, inference_weights(e, conv, conv.w), nullptr, {});
    } else {
        const bool only_relu = epilogue.relu && !epilogue.max_pool && epilogue.dropout.p == 0;
        if (only_relu && conv.x.stored && conv.fusion.norm_of_windows) return conv_norm_of_windows(e, conv, norm);
        if (epilogue.dropout.p > 0) epilogue.dropout.stream = e.next_random_stream();
        emit_convolution(e, conv, weights_of(e, conv, conv.w), &norm, {});
        finalize_norm(e, norm, conv.shape.y().elements() / spec.channels);
    }

    FeatureMap out;
    out.key = conv.y;
    out.shape = epilogue.max_pool ? pooled(conv.shape.y()) : conv.shape.y();
    out.write = [=, &e, shape = out.shape](const std::string& suffix) {
        const TensorId y = e.activation(norm.name + ".out" + suffix, shape);
        emit_norm_forward(e, norm, ".forward" + suffix, y, conv.y, epilogue);
        return y;
    };
    if (epilogue.max_pool) { // a quarter of the size: cheaper to keep than to write again
        out.stored = out.write("");
        out.write = [y = out.stored](const std::string&) { return y; };
    } else if (epilogue.relu && epilogue.dropout.p == 0) {
        out.raw = conv.y;
        out.scale = norm.scale;
        out.shift = norm.shift;
        if (e.training())
            out.norm =
                std::make_shared<NormOfMap>(NormOfMap{norm.name, norm.mean, norm.inv_std, norm.gamma, norm.beta});
    }
    e.on_backward([=, &e, of_map = out.norm] {
        const TensorId gradient = e.gradient(conv.y);
        const TensorId dy = e.alias(conv.y, conv.name + ".dy", conv.shape.y());
        if (of_map && of_map->gradient_is_summed) {
            emit_apply_gradient(e, norm, dy, gradient, conv.y);
        } else {
            emit_norm_backward(e, norm, dy, gradient, conv.y, epilogue);
        }
        emit_convolution_backward(e, conv, dy);
    });
    return out;
}

FeatureMap conv_norm_se(Emitter& e, const FeatureMap& x, const ConvNormSpec& spec, const std::string& se,
                        bool avg_pool) {
    const Convolution conv = declare_convolution(e, x, spec);
    const Norm norm = declare_norm(e, spec.norm, spec.channels);
    const int64_t n = conv.shape.batch, channels = spec.channels;
    const int64_t hidden = std::max<int64_t>(1, channels / se_reduction);
    emit_convolution(e, conv, e.training() ? weights_of(e, conv, conv.w) : inference_weights(e, conv, conv.w),
                     e.training() ? &norm : nullptr, {});
    if (e.training()) {
        finalize_norm(e, norm, conv.shape.y().elements() / channels);
    } else {
        fold_norm(e, norm);
    }

    const TensorId raw = conv.y, scale = norm.scale, shift = norm.shift;
    const TensorId squeezed = e.transient(se + ".squeezed", {n, channels});
    e.emit(se + ".squeeze", "se_squeeze", {squeezed}, {raw, scale, shift}, 0,
           [=](Backend& b, const Frame& f) { b.se_squeeze(f[squeezed], f[raw], f[scale], f[shift]); });
    const TensorId reduce =
        e.parameter(se + ".reduce.weight", {hidden, channels}, Init::xavier_uniform(channels, hidden));
    const TensorId expand =
        e.parameter(se + ".expand.weight", {channels, hidden}, Init::xavier_uniform(hidden, channels));
    const TensorId reduced = emit_linear_forward(e, se + ".reduce", squeezed, reduce, hidden, Activation::Relu);
    const TensorId gate = emit_linear_forward(e, se + ".expand", reduced, expand, channels, Activation::Sigmoid);

    FeatureMap out;
    out.key = raw;
    out.shape = avg_pool ? pooled(conv.shape.y()) : conv.shape.y();
    out.write = [=, &e, shape = out.shape](const std::string& suffix) {
        const TensorId y = e.activation(se + ".out" + suffix, shape);
        e.emit(se + ".excite" + suffix, "se_excite_forward", {y}, {raw, scale, shift, gate}, 0,
               [=](Backend& b, const Frame& f) {
                   b.se_excite_forward(f[y], f[raw], f[scale], f[shift], f[gate], avg_pool);
               });
        return y;
    };
    if (avg_pool) {
        out.stored = out.write("");
        out.write = [y = out.stored](const std::string&) { return y; };
    }
    e.on_backward([=, &e] {
        const TensorId dout = e.gradient(raw);
        const TensorId dgate = e.transient(se + ".dgate", {n, channels});
        e.emit(se + ".excite.backward_gate", "se_excite_backward_gate", {dgate}, {dout, raw, scale, shift, gate}, 0,
               [=](Backend& b, const Frame& f) {
                   b.se_excite_backward_gate(f[dgate], f[dout], f[raw], f[scale], f[shift], f[gate], avg_pool);
               });
        const TensorId dreduced =
            emit_gate_backward(e, se + ".expand", dgate, gate, reduced, expand, Activation::Sigmoid);
        const TensorId dsqueezed =
            emit_gate_backward(e, se + ".reduce", dreduced, reduced, squeezed, reduce, Activation::Relu);
        const TensorId dz = e.activation(se + ".dz", conv.shape.y());
        e.emit(se + ".excite.backward", "se_excite_backward", {dz}, {dout, raw, scale, shift, gate, dsqueezed}, 0,
               [=](Backend& b, const Frame& f) {
                   b.se_excite_backward(f[dz], f[dout], f[raw], f[scale], f[shift], f[gate], f[dsqueezed], avg_pool);
               });
        const TensorId dy = e.alias(raw, conv.name + ".dy", conv.shape.y());
        emit_norm_backward(e, norm, dy, dz, raw, {.relu = false, .dropout = {}, .max_pool = false});
        emit_convolution_backward(e, conv, dy);
    });
    return out;
}

} // namespace scene
