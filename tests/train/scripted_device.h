#pragma once

// A device for tests of the code around the network. Its networks compute nothing: a script supplies their predictions,
// so that no test depends on the course of a training. The device records the inputs of every step.
//
// A model is identified by its age: `adam` adds 1 to every parameter that is not 0, so that the classifier's weights,
// which start near 0, count the optimiser's steps. Loss, metrics, tables, hard-sample weights and the memory are the
// CPU's.

#include <cmath>
#include <functional>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "data/formats/record_time.h"
#include "tests/support/forwarding_device.h"

namespace scene::test {

constexpr int64_t scripted_classes = 3; ///< of the store; identifies the classifier: no other bias has this size

struct ScriptedModel {
    int64_t age = 0;
    bool se_trans = false; ///< System #1, the teacher
};

/// A prediction: the most probable class and its probability. The other classes share the rest equally.
struct Answer {
    int32_t label = 0;
    double confidence = 1;
};

using Script = std::function<Answer(const ScriptedModel& model, int32_t clip)>;

/// The inputs of one step.
struct StepSeen {
    bool training = false;
    ScriptedModel model;
    std::vector<int32_t> clips;          ///< without padding slots
    std::vector<float> targets, weights; ///< [clips, K], [clips]: inputs of the loss
    StepControl control;                 ///< at the start of the step
    float smoothing = 0;
    AdamSettings adam;
    float decoupled_decay = 0;
    std::optional<Augmentation> augmentation;
    std::set<float> conv_dropout, encoder_dropout;
    bool deltas = false;
    /// Gathered for each position of the batch: the first value of the features, the 8 numbers of the time, the city.
    std::vector<float> features, times;
    std::vector<int32_t> cities;
    std::vector<float> parameters; ///< sixteen of them, before the step
    bool fresh_moments = false;    ///< Adam's moments are 0
};

class ScriptedDevice final : public ForwardingDevice<ScriptedDevice> {
public:
    explicit ScriptedDevice(Script script) : script_(std::move(script)) {}

    std::vector<StepSeen> steps; ///< all, of training and of inference, in order

    // ---- recorded ops -----------------------------------------------------------------------------------------
    void intercept(const GatherRows<Tensor>& op) {
        inner().run(op);
        const auto& now = *static_cast<const StepControl*>(op.control.data);
        const auto* places = static_cast<const int32_t*>(op.order.data) + now.cursor;
        places_.assign(places, places + op.rows.shape[0]);
        seen_.control = now;
        const int64_t width = op.rows.elements() / op.rows.shape[0];
        if (op.rows.dtype == DType::I32) {
            const auto* values = static_cast<const int32_t*>(op.rows.data);
            seen_.cities.assign(values, values + op.rows.shape[0]);
            return;
        }
        const auto* values = static_cast<const float*>(op.rows.data);
        if (op.rows.shape.rank() == 3)
            for (int64_t place = 0; place < op.rows.shape[0]; ++place) seen_.features.push_back(values[place * width]);
        if (op.rows.shape.rank() == 2 && width == time_feature_count)
            seen_.times.assign(values, values + op.rows.elements());
    }
    void intercept(const LinearForward<Tensor>& op) {
        if (op.dropout.p > 0) seen_.encoder_dropout.insert(op.dropout.p);
        if (!op.bias || op.y.shape[1] != scripted_classes) return;
        seen_.model.age = std::llround(static_cast<const float*>(op.w.data)[0]);
        auto* logits = static_cast<float*>(op.y.data);
        for (const int32_t clip : places_) {
            const Answer answer = clip < 0 ? Answer{0, 0.5} : script_(seen_.model, clip);
            for (int32_t k = 0; k < scripted_classes; ++k)
                *logits++ = static_cast<float>(
                    std::log(k == answer.label ? answer.confidence : (1 - answer.confidence) / (scripted_classes - 1)));
        }
    }
    void intercept(const SoftmaxLoss<Tensor>& op) {
        inner().run(op);
        seen_.smoothing = op.smoothing;
        const auto* rows = static_cast<const float*>(op.target.data);
        const auto* weights = static_cast<const float*>(op.weight.data);
        for (size_t place = 0; place < places_.size(); ++place) {
            if (places_[place] < 0) continue;
            seen_.clips.push_back(places_[place]);
            seen_.weights.push_back(weights[place]);
            const auto* row = rows + place * scripted_classes;
            seen_.targets.insert(seen_.targets.end(), row, row + scripted_classes);
        }
    }
    void intercept(const Adam<Tensor>& op) {
        seen_.adam = op.settings;
        auto* values = static_cast<float*>(op.parameters.data);
        auto* first = static_cast<float*>(op.first_moment.data);
        auto* second = static_cast<float*>(op.second_moment.data);
        const int64_t count = op.parameters.elements();
        for (int64_t i = 0; i < 16; ++i) seen_.parameters.push_back(values[i * count / 16]);
        seen_.fresh_moments = true;
        for (int64_t i = 0; i < count; ++i) {
            if (values[i] == 0) continue; // padding between parameters, or an initial value of 0
            seen_.fresh_moments &= first[i] == 0 && second[i] == 0;
            values[i] += 1;
            first[i] = second[i] = 1;
        }
    }
    void intercept(const WeightDecay<Tensor>& op) { seen_.decoupled_decay = op.rate; }
    void intercept(const Advance<Tensor>& op) {
        inner().run(op);
        seen_.training = op.steps > 0;
        steps.push_back(std::exchange(seen_, {}));
    }
    void intercept(const DrawAugmentation<Tensor>& op) {
        inner().run(op);
        seen_.augmentation = op.sampler.settings;
    }
    void intercept(const BatchNormForward<Tensor>& op) {
        if (op.epilogue.dropout.p > 0) seen_.conv_dropout.insert(op.epilogue.dropout.p);
    }
    void intercept(const AttentionForward<Tensor>& op) {
        if (op.dropout.p > 0) seen_.encoder_dropout.insert(op.dropout.p);
    }
    void intercept(const LayerNormForward<Tensor>& op) {
        if (op.dropout.p > 0) seen_.encoder_dropout.insert(op.dropout.p);
    }
    void intercept(const SqueezeExciteSqueeze<Tensor>&) { seen_.model.se_trans = true; }
    void intercept(const Deltas<Tensor>&) { seen_.deltas = true; }

    // ---- ops that the CPU runs --------------------------------------------------------------------------------
    void intercept(const AccumulateMetrics<Tensor>& op) { inner().run(op); }
    void intercept(const ScatterRows<Tensor>& op) { inner().run(op); }
    void intercept(const BandMoments<Tensor>& op) { inner().run(op); }
    void intercept(const MixTargets<Tensor>& op) { inner().run(op); }
    void intercept(const HardSampleWeights<Tensor>& op) { inner().run(op); }
    void intercept(const FillZero<Tensor>& op) { inner().run(op); }
    void intercept(const NearestVotes<Tensor>& op) { inner().run(op); }
    void intercept(const LogMel<Tensor>& op) { inner().run(op); }

    /// All other ops of the network compute nothing.
    template <template <class> class Op> void intercept(const Op<Tensor>&) {}

private:
    Script script_;
    StepSeen seen_;
    std::vector<int32_t> places_; ///< clips of the batch; -1: padding slot
};

} // namespace scene::test
