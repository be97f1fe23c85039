#include "model/step.h"

#include <algorithm>

#include <fmt/format.h>

namespace scene {
namespace {

/// A batch, gathered from the tables.
struct Batch {
    NetworkInputs inputs;
    TensorId target, weight, order;
};

TensorId gather(ProgramBuilder& b, const std::string& name, TensorId table, TensorId order, Shape rows, DType dtype) {
    const TensorId out = b.transient("batch." + name, rows, dtype);
    b.add("gather." + name, GatherRows<TensorId>{.rows = out, .table = table, .order = order, .control = b.control()});
    return out;
}

Batch gather_batch(ProgramBuilder& b, const StepConfig& config, int64_t max_batch) {
    const ModelConfig& model = config.model;
    const int64_t n = config.batch, rows = config.rows;
    Batch batch;
    batch.order = b.variable(Segment::State, tables::order, {rows + max_batch}, DType::I32);
    const TensorId features = b.external(tables::features, {rows, model.frames, model.bands}, DType::F32);
    const TensorId target = b.variable(Segment::State, tables::target, {rows, model.classes});
    const TensorId weight = b.variable(Segment::State, tables::weight, {rows});
    batch.inputs.features =
        gather(b, tables::features, features, batch.order, {n, model.frames, model.bands}, DType::F32);
    batch.target = gather(b, tables::target, target, batch.order, {n, model.classes}, DType::F32);
    batch.weight = gather(b, tables::weight, weight, batch.order, {n}, DType::F32);
    if (model.multimodal) {
        const TensorId city = b.variable(Segment::State, tables::city, {rows}, DType::I32);
        const TensorId time = b.variable(Segment::State, tables::time, {rows, time_inputs});
        batch.inputs.city = gather(b, tables::city, city, batch.order, {n}, DType::I32);
        batch.inputs.time = gather(b, tables::time, time, batch.order, {n, time_inputs}, DType::F32);
    }
    return batch;
}

/// Adds the augmentation ops, if there are any, and returns the augmented batch.
Batch augment_batch(ProgramBuilder& b, const StepConfig& config, Batch batch) {
    const Augmentation& settings = config.augmentation;
    if (!settings.any()) return batch;
    const int64_t n = config.batch, frames = config.model.frames, bands = config.model.bands;
    const TensorId x = batch.inputs.features;
    const TensorId draws = b.transient("augment.draws", {n, sizeof(ClipDraw)}, DType::U8);
    b.add("augment.draw", DrawAugmentation<TensorId>{.draws = draws,
                                                     .control = b.control(),
                                                     .sampler = AugmentationSampler(settings),
                                                     .frames = frames,
                                                     .bands = bands});
    TensorId mean, deviation, clip_mean;
    if (settings.needs_moments()) {
        mean = b.transient("augment.mean", {n, bands});
        deviation = b.transient("augment.deviation", {n, bands});
        clip_mean = b.transient("augment.clip_mean", {n});
        b.add("augment.moments",
              BandMoments<TensorId>{.mean = mean, .deviation = deviation, .clip_mean = clip_mean, .x = x});
    }
    const TensorId y = b.transient("augment.features", b.shape(x));
    b.add("augment.features",
          AugmentFeatures<TensorId>{
              .y = y, .x = x, .draws = draws, .mean = mean, .deviation = deviation, .clip_mean = clip_mean});
    batch.inputs.features = y;
    if (settings.mixes()) {
        const TensorId target = b.transient("augment.target", b.shape(batch.target));
        const TensorId weight = b.transient("augment.weight", b.shape(batch.weight));
        b.add("augment.targets", MixTargets<TensorId>{.mixed_target = target,
                                                      .mixed_weight = weight,
                                                      .target = batch.target,
                                                      .weight = batch.weight,
                                                      .draws = draws});
        batch.target = target;
        batch.weight = weight;
    }
    return batch;
}

struct Loss {
    TensorId dlogits, per_clip, probabilities;
};

Loss add_loss(ProgramBuilder& b, const StepConfig& config, const Batch& batch, TensorId logits) {
    const Shape shape = b.shape(logits);
    Loss loss;
    if (b.training()) loss.dlogits = b.transient("dlogits", shape);
    loss.per_clip = b.transient("loss", {config.batch});
    loss.probabilities = b.transient("batch.probabilities", shape);
    b.add("loss", SoftmaxLoss<TensorId>{.dlogits = loss.dlogits,
                                        .loss = loss.per_clip,
                                        .probabilities = loss.probabilities,
                                        .logits = logits,
                                        .target = batch.target,
                                        .weight = batch.weight,
                                        .control = b.control(),
                                        .smoothing = config.label_smoothing});
    return loss;
}

void add_metrics(ProgramBuilder& b, const StepConfig& config, const Batch& batch, const Loss& loss) {
    const int64_t classes = config.model.classes;
    b.add("metrics", AccumulateMetrics<TensorId>{
                         .loss_sum = b.variable(Segment::State, tables::loss_sum, {1}, DType::F64),
                         .confusion = b.variable(Segment::State, tables::confusion, {classes, classes}, DType::I32),
                         .loss = loss.per_clip,
                         .probabilities = loss.probabilities,
                         .target = batch.target});
}

/// Writes the rows of a batch to the rows of their clips in the table `name`.
void scatter(ProgramBuilder& b, const StepConfig& config, const std::string& name, TensorId rows, TensorId order) {
    const TensorId table = b.variable(Segment::State, name, {config.rows, b.shape(rows)[1]});
    b.add("scatter." + name,
          ScatterRows<TensorId>{.table = table, .rows = rows, .order = order, .control = b.control()});
}

void add_advance(ProgramBuilder& b, int64_t batch, uint32_t steps) {
    b.add("advance", Advance<TensorId>{.control = b.control(), .batch = static_cast<uint32_t>(batch), .steps = steps});
}

void add_adam(ProgramBuilder& b, const AdamSettings& settings) {
    b.add("adam", Adam<TensorId>{.parameters = b.flat(Segment::Parameters),
                                 .first_moment = b.flat(Segment::FirstMoment),
                                 .second_moment = b.flat(Segment::SecondMoment),
                                 .parameters_half = b.half_width() ? b.flat(Segment::HalfParameters) : TensorId{},
                                 .gradients = b.flat(Segment::Gradients),
                                 .control = b.control(),
                                 .settings = settings});
}

/// Comes after Adam, which decides whether the step is skipped.
void add_decoupled_decay(ProgramBuilder& b, const Variables& variables, float rate) {
    if (rate == 0) return;
    for (const Variable* weight : variables.all(Segment::Parameters)) {
        if (weight->shape.rank() < 2) continue;
        b.add(
            "weight_decay." + weight->name,
            WeightDecay<TensorId>{.parameters = b.variable(Segment::Parameters, weight->name, weight->shape),
                                  .parameters_half = b.half_width() ? b.activation_parameter(weight->name) : TensorId{},
                                  .control = b.control(),
                                  .rate = rate});
    }
}

/// Setup of a program in F16 or BF16: copies the parameters.
void add_half_parameters(ProgramBuilder& b) {
    if (!b.half_width()) return;
    b.phase(Phase::Setup);
    b.add("half_parameters", Convert<TensorId>{.y = b.flat(Segment::HalfParameters), .x = b.flat(Segment::Parameters)});
}

/// Only F16 needs it: BF16 has the range of float.
void add_loss_scale(ProgramBuilder& b) {
    if (b.planner().activation_type() == DType::F16)
        b.add("loss_scale", AdjustLossScale<TensorId>{.control = b.control()});
}

std::string program_name(const StepConfig& config, const char* what) {
    return fmt::format("{} {} batch {}", config.model.network->title, what, config.batch);
}

/// A planner without a device: everything in F32, nothing fused. It collects the convolutions that it is asked about.
class NoDevice final : public Planner {
public:
    NoDevice() : Planner(scratch_table<NoScratch>) {}
    DType activation_type() const override { return DType::F32; }
    ConvFusion conv2d_fusion(const Conv2dShape& shape) const override {
        if (std::find(asked.begin(), asked.end(), shape) == asked.end()) asked.push_back(shape);
        return {};
    }

    mutable std::vector<Conv2dShape> asked;

private:
    struct NoScratch {
        template <template <class> class Op> static size_t bytes(const Planner&, const Op<TensorSpec>&) { return 0; }
    };
};

} // namespace

Program build_training_step(const Planner& planner, Variables& variables, const StepConfig& config, int64_t max_batch) {
    ProgramBuilder b(program_name(config, "training"), planner, variables, Mode::Training, config.batch,
                     config.batch < max_batch ? max_batch : 0);
    const Batch batch = augment_batch(b, config, gather_batch(b, config, max_batch));
    const TensorId logits = build_network(b, config.model, batch.inputs).logits;
    const Loss loss = add_loss(b, config, batch, logits);
    add_metrics(b, config, batch, loss);
    b.set_gradient(logits, loss.dlogits);
    b.build_backward();
    b.phase(Phase::Update);
    add_adam(b, config.adam);
    add_decoupled_decay(b, variables, config.decoupled_decay);
    add_advance(b, config.batch, 1);
    add_loss_scale(b);
    add_half_parameters(b);
    return b.finish();
}

Program build_inference_step(const Planner& planner, Variables& variables, const StepConfig& config,
                             int64_t max_batch) {
    ProgramBuilder b(program_name(config, "inference"), planner, variables, Mode::Inference, config.batch);
    const Batch batch = gather_batch(b, config, max_batch);
    const NetworkOutputs outputs = build_network(b, config.model, batch.inputs);
    const Loss loss = add_loss(b, config, batch, outputs.logits);
    add_metrics(b, config, batch, loss);
    scatter(b, config, tables::probabilities, loss.probabilities, batch.order);
    if (config.embeddings) scatter(b, config, tables::embedding, outputs.embedding, batch.order);
    add_advance(b, config.batch, 0);
    add_half_parameters(b);
    return b.finish();
}

Variables declared_variables(StepConfig config) {
    Variables variables;
    config.batch = 1;
    build_inference_step(NoDevice(), variables, config, config.batch);
    return variables;
}

std::vector<Conv2dShape> convolution_shapes(const StepConfig& config, Mode mode, int64_t max_batch) {
    const NoDevice planner;
    Variables variables;
    if (mode == Mode::Training)
        build_training_step(planner, variables, config, max_batch);
    else
        build_inference_step(planner, variables, config, max_batch);
    return planner.asked;
}

} // namespace scene
