#include "model/step.h"

#include <fmt/format.h>

namespace scene {
namespace {

/// A batch, gathered from the tables.
struct Batch {
    NetworkInputs inputs;
    TensorId target, weight, order;
};

TensorId gather(Emitter& e, const std::string& name, TensorId table, TensorId order, Shape rows, DType dtype) {
    const TensorId out = e.transient("batch." + name, rows, dtype);
    const TensorId control = e.control();
    e.emit("gather." + name, "gather_rows", {out}, {table, order, control}, 0,
           [=](Backend& b, const Frame& f) { b.gather_rows(f[out], f[table], f[order], f[control]); });
    return out;
}

Batch gather_batch(Emitter& e, const StepConfig& config, int64_t max_batch) {
    const ModelConfig& model = config.model;
    const int64_t n = config.batch, rows = config.rows;
    Batch batch;
    batch.order = e.variable(Segment::State, "order", {rows + max_batch}, DType::I32);
    const TensorId features = e.external("features", {rows, model.frames, model.bands}, DType::F32);
    const TensorId target = e.variable(Segment::State, "target", {rows, model.classes});
    const TensorId weight = e.variable(Segment::State, "weight", {rows});
    batch.inputs.features = gather(e, "features", features, batch.order, {n, model.frames, model.bands}, DType::F32);
    batch.target = gather(e, "target", target, batch.order, {n, model.classes}, DType::F32);
    batch.weight = gather(e, "weight", weight, batch.order, {n}, DType::F32);
    if (model.multimodal) {
        const TensorId city = e.variable(Segment::State, "city", {rows}, DType::I32);
        const TensorId time = e.variable(Segment::State, "time", {rows, time_inputs});
        batch.inputs.city = gather(e, "city", city, batch.order, {n}, DType::I32);
        batch.inputs.time = gather(e, "time", time, batch.order, {n, time_inputs}, DType::F32);
    }
    return batch;
}

/// The batch as the network is trained on it.
Batch augment_batch(Emitter& e, const StepConfig& config, Batch batch) {
    const Augmentation& settings = config.augmentation;
    if (!settings.any()) return batch;
    const int64_t n = config.batch, frames = config.model.frames, bands = config.model.bands;
    const TensorId control = e.control(), x = batch.inputs.features;
    const TensorId draws = e.transient("augment.draws", {n, sizeof(ClipDraw)}, DType::U8);
    e.emit("augment.draw", "draw_augmentation", {draws}, {control}, 0,
           [=, sampler = AugmentationSampler(settings)](Backend& b, const Frame& f) {
               b.draw_augmentation(f[draws], f[control], sampler, frames, bands);
           });
    TensorId mean, deviation, clip_mean;
    if (settings.needs_moments()) {
        mean = e.transient("augment.mean", {n, bands});
        deviation = e.transient("augment.deviation", {n, bands});
        clip_mean = e.transient("augment.clip_mean", {n});
        e.emit("augment.moments", "band_moments", {mean, deviation, clip_mean}, {x}, 0,
               [=](Backend& b, const Frame& f) { b.band_moments(f[mean], f[deviation], f[clip_mean], f[x]); });
    }
    const TensorId y = e.transient("augment.features", e.shape(x));
    e.emit("augment.features", "augment_features", {y}, {x, draws, mean, deviation, clip_mean}, 0,
           [=](Backend& b, const Frame& f) {
               b.augment_features(f[y], f[x], f[draws], f[mean], f[deviation], f[clip_mean]);
           });
    batch.inputs.features = y;
    if (settings.mixes()) {
        const TensorId target = batch.target, weight = batch.weight;
        const TensorId mixed_target = e.transient("augment.target", e.shape(target));
        const TensorId mixed_weight = e.transient("augment.weight", e.shape(weight));
        e.emit("augment.targets", "mix_targets", {mixed_target, mixed_weight}, {target, weight, draws}, 0,
               [=](Backend& b, const Frame& f) {
                   b.mix_targets(f[mixed_target], f[mixed_weight], f[target], f[weight], f[draws]);
               });
        batch.target = mixed_target;
        batch.weight = mixed_weight;
    }
    return batch;
}

struct Loss {
    TensorId dlogits, per_clip, probabilities;
};

Loss emit_loss(Emitter& e, const StepConfig& config, const Batch& batch, TensorId logits) {
    const Shape shape = e.shape(logits);
    Loss loss;
    if (e.training()) loss.dlogits = e.transient("dlogits", shape);
    loss.per_clip = e.transient("loss", {config.batch});
    loss.probabilities = e.transient("batch.probabilities", shape);
    const TensorId control = e.control();
    const float smoothing = config.label_smoothing;
    e.emit("loss", "softmax_loss", {loss.dlogits, loss.per_clip, loss.probabilities},
           {logits, batch.target, batch.weight, control}, 0, [=](Backend& b, const Frame& f) {
               b.softmax_loss(f[loss.dlogits], f[loss.per_clip], f[loss.probabilities], f[logits], f[batch.target],
                              f[batch.weight], smoothing, f[control]);
           });
    return loss;
}

void emit_metrics(Emitter& e, const StepConfig& config, const Batch& batch, const Loss& loss) {
    const int64_t classes = config.model.classes;
    const TensorId loss_sum = e.variable(Segment::State, "loss_sum", {1}, DType::F64);
    const TensorId confusion = e.variable(Segment::State, "confusion", {classes, classes}, DType::I32);
    e.emit("metrics", "accumulate_metrics", {loss_sum, confusion},
           {loss_sum, confusion, loss.per_clip, loss.probabilities, batch.target}, 0, [=](Backend& b, const Frame& f) {
               b.accumulate_metrics(f[loss_sum], f[confusion], f[loss.per_clip], f[loss.probabilities],
                                    f[batch.target]);
           });
}

/// Puts the rows of a batch into their clips' places of a table.
void scatter(Emitter& e, const StepConfig& config, const std::string& name, TensorId rows, TensorId order) {
    const TensorId table = e.variable(Segment::State, name, {config.rows, e.shape(rows)[1]});
    const TensorId control = e.control();
    e.emit("scatter." + name, "scatter_rows", {table}, {rows, order, control}, 0,
           [=](Backend& b, const Frame& f) { b.scatter_rows(f[table], f[rows], f[order], f[control]); });
}

void emit_advance(Emitter& e, int64_t batch, uint32_t steps) {
    const TensorId control = e.control();
    e.emit("advance", "advance", {control}, {control}, 0,
           [=](Backend& b, const Frame& f) { b.advance(f[control], static_cast<uint32_t>(batch), steps); });
}

void emit_adam(Emitter& e, const AdamSettings& settings) {
    const TensorId parameters = e.flat(Segment::Parameters), gradients = e.flat(Segment::Gradients);
    const TensorId first = e.flat(Segment::FirstMoment), second = e.flat(Segment::SecondMoment);
    const TensorId half = e.half_precision() ? e.flat(Segment::HalfParameters) : TensorId{};
    const TensorId control = e.control();
    e.emit("adam", "adam", {parameters, first, second, half, control},
           {parameters, first, second, gradients, gradients, control}, 0, [=](Backend& b, const Frame& f) {
               b.adam(f[parameters], f[first], f[second], f[half], f[gradients], f[control], settings);
           });
}

/// Setup of a program that works in F16: the parameters' copy.
void emit_half_parameters(Emitter& e) {
    if (!e.half_precision()) return;
    const TensorId half = e.flat(Segment::HalfParameters), parameters = e.flat(Segment::Parameters);
    e.phase(Phase::Setup);
    e.emit("half_parameters", "convert", {half}, {parameters}, 0,
           [=](Backend& b, const Frame& f) { b.convert(f[half], f[parameters]); });
}

void emit_loss_scale(Emitter& e) {
    if (!e.half_precision()) return;
    const TensorId control = e.control();
    e.emit("loss_scale", "adjust_loss_scale", {control}, {control}, 0,
           [=](Backend& b, const Frame& f) { b.adjust_loss_scale(f[control], LossScaling{}); });
}

std::string program_name(const StepConfig& config, const char* what) {
    return fmt::format("{} {} batch {}", config.model.architecture == Architecture::Fcnn ? "FCNN" : "SE-Trans", what,
                       config.batch);
}

} // namespace

Program emit_training_step(const Backend& backend, Variables& variables, const StepConfig& config, int64_t max_batch) {
    Emitter e(program_name(config, "training"), backend, variables, Mode::Training, config.batch,
              config.batch < max_batch ? max_batch : 0);
    const Batch batch = augment_batch(e, config, gather_batch(e, config, max_batch));
    const TensorId logits = emit_network(e, config.model, batch.inputs).logits;
    const Loss loss = emit_loss(e, config, batch, logits);
    emit_metrics(e, config, batch, loss);
    e.set_gradient(logits, loss.dlogits);
    e.play_backward();
    e.phase(Phase::Update);
    emit_adam(e, config.adam);
    emit_advance(e, config.batch, 1);
    emit_loss_scale(e);
    emit_half_parameters(e);
    return e.finish();
}

Program emit_inference_step(const Backend& backend, Variables& variables, const StepConfig& config, int64_t max_batch) {
    Emitter e(program_name(config, "inference"), backend, variables, Mode::Inference, config.batch);
    const Batch batch = gather_batch(e, config, max_batch);
    const NetworkOutputs outputs = emit_network(e, config.model, batch.inputs);
    const Loss loss = emit_loss(e, config, batch, outputs.logits);
    emit_metrics(e, config, batch, loss);
    scatter(e, config, "probabilities", loss.probabilities, batch.order);
    if (config.embeddings) scatter(e, config, "embedding", outputs.embedding, batch.order);
    emit_advance(e, config.batch, 0);
    emit_half_parameters(e);
    return e.finish();
}

} // namespace scene
