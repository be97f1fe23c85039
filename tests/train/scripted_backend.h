#pragma once

// A backend for tests of what is around the network: its networks compute nothing and answer what the test's script
// says, so that no test depends on the course of a training, and it keeps what reached every step.
//
// A model here is its age: `adam` adds 1 to every parameter that is not 0, so that the classifier's weights, which
// begin near 0, count the optimiser's steps. Loss, metrics, tables, weights of hard samples and the memory are
// the CPU backend's.

#include <cmath>
#include <functional>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "data/record_time.h"
#include "tests/support/forwarding_backend.h"

namespace scene::test {

constexpr int64_t scripted_classes = 3; ///< of the store; no other layer with a bias is that narrow

struct ScriptedModel {
    int64_t age = 0;
    bool se_trans = false; ///< System #1, the teacher
};

/// The most probable class, and its probability; the rest is shared out evenly.
struct Answer {
    int32_t label = 0;
    double confidence = 1;
};

using Script = std::function<Answer(const ScriptedModel& model, int32_t clip)>;

/// One step as it reached the backend.
struct StepSeen {
    bool training = false;
    ScriptedModel model;
    std::vector<int32_t> clips;          ///< without the empty places
    std::vector<float> targets, weights; ///< [clips, K], [clips]: what the loss was given
    StepControl control;                 ///< before it moved on
    float smoothing = 0;
    AdamSettings adam;
    std::optional<Augmentation> augmentation;
    std::set<float> conv_dropout, encoder_dropout;
    bool deltas = false;
    /// What was gathered for each place of the batch: the features' first value, the city, the 8 numbers of the time.
    std::vector<float> features, times;
    std::vector<int32_t> cities;
    std::vector<float> parameters; ///< sixteen of them, before the step
    bool fresh_moments = false;    ///< Adam's are 0
};

class ScriptedBackend final : public ForwardingBackend {
public:
    explicit ScriptedBackend(Script script) : ForwardingBackend(), script_(std::move(script)) {}

    std::vector<StepSeen> steps; ///< all, of training and of inference, in order

    // ---- what is looked at ------------------------------------------------------------------------------------
    void gather_rows(Tensor rows, Tensor table, Tensor order, Tensor control) override {
        ForwardingBackend::gather_rows(rows, table, order, control);
        const auto& now = *static_cast<const StepControl*>(control.data);
        const auto* places = static_cast<const int32_t*>(order.data) + now.cursor;
        places_.assign(places, places + rows.shape[0]);
        seen_.control = now;
        const int64_t width = rows.elements() / rows.shape[0];
        if (rows.dtype == DType::I32) {
            const auto* values = static_cast<const int32_t*>(rows.data);
            seen_.cities.assign(values, values + rows.shape[0]);
            return;
        }
        const auto* values = static_cast<const float*>(rows.data);
        if (rows.shape.rank() == 3)
            for (int64_t place = 0; place < rows.shape[0]; ++place) seen_.features.push_back(values[place * width]);
        if (rows.shape.rank() == 2 && width == time_feature_count) seen_.times.assign(values, values + rows.elements());
    }
    void linear_forward(Tensor y, Tensor x, Tensor w, Tensor bias, Activation activation, Dropout dropout,
                        Tensor control) override {
        if (dropout.p > 0) seen_.encoder_dropout.insert(dropout.p);
        if (!bias || y.shape[1] != scripted_classes) return;
        (void)x, (void)activation, (void)control;
        seen_.model.age = std::llround(static_cast<const float*>(w.data)[0]);
        auto* logits = static_cast<float*>(y.data);
        for (const int32_t clip : places_) {
            const Answer answer = clip < 0 ? Answer{0, 0.5} : script_(seen_.model, clip);
            for (int32_t k = 0; k < scripted_classes; ++k)
                *logits++ = static_cast<float>(
                    std::log(k == answer.label ? answer.confidence : (1 - answer.confidence) / (scripted_classes - 1)));
        }
    }
    void softmax_loss(Tensor dlogits, Tensor loss, Tensor probabilities, Tensor logits, Tensor target, Tensor weight,
                      float smoothing, Tensor control) override {
        ForwardingBackend::softmax_loss(dlogits, loss, probabilities, logits, target, weight, smoothing, control);
        seen_.smoothing = smoothing;
        const auto* rows = static_cast<const float*>(target.data);
        const auto* weights = static_cast<const float*>(weight.data);
        for (size_t place = 0; place < places_.size(); ++place) {
            if (places_[place] < 0) continue;
            seen_.clips.push_back(places_[place]);
            seen_.weights.push_back(weights[place]);
            const auto* row = rows + place * scripted_classes;
            seen_.targets.insert(seen_.targets.end(), row, row + scripted_classes);
        }
    }
    void adam(Tensor parameters, Tensor first_moment, Tensor second_moment, Tensor, Tensor, Tensor,
              const AdamSettings& settings) override {
        seen_.adam = settings;
        auto* values = static_cast<float*>(parameters.data);
        auto* first = static_cast<float*>(first_moment.data);
        auto* second = static_cast<float*>(second_moment.data);
        const int64_t count = parameters.elements();
        for (int64_t i = 0; i < 16; ++i) seen_.parameters.push_back(values[i * count / 16]);
        seen_.fresh_moments = true;
        for (int64_t i = 0; i < count; ++i) {
            if (values[i] == 0) continue; // room between parameters, or one that begins with 0
            seen_.fresh_moments &= first[i] == 0 && second[i] == 0;
            values[i] += 1;
            first[i] = second[i] = 1;
        }
    }
    void advance(Tensor control, uint32_t batch, uint32_t step_count) override {
        ForwardingBackend::advance(control, batch, step_count);
        seen_.training = step_count > 0;
        steps.push_back(std::exchange(seen_, {}));
    }
    void draw_augmentation(Tensor draws, Tensor control, const AugmentationSampler& sampler, int64_t frames,
                           int64_t bands) override {
        ForwardingBackend::draw_augmentation(draws, control, sampler, frames, bands);
        seen_.augmentation = sampler.settings;
    }
    void batch_norm_forward(Tensor, Tensor, Tensor, Tensor, const NormEpilogue& epilogue, Tensor) override {
        if (epilogue.dropout.p > 0) seen_.conv_dropout.insert(epilogue.dropout.p);
    }
    void attention_forward(Tensor, Tensor, int, Dropout dropout, Tensor) override {
        if (dropout.p > 0) seen_.encoder_dropout.insert(dropout.p);
    }
    void layer_norm_forward(Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, float, Dropout dropout, Tensor) override {
        if (dropout.p > 0) seen_.encoder_dropout.insert(dropout.p);
    }
    void se_squeeze(Tensor, Tensor, Tensor, Tensor) override { seen_.model.se_trans = true; }
    void deltas(Tensor, Tensor) override { seen_.deltas = true; }

    // ---- what is left out -------------------------------------------------------------------------------------
    void conv2d_prepare_weights(Tensor, Tensor, const Conv2dShape&) override {}
    void conv2d_forward(Tensor, Tensor, Tensor, Tensor, const Conv2dShape&, const ConvExtras&) override {}
    void conv2d_data_grad(Tensor, Tensor, Tensor, Tensor, const Conv2dShape&) override {}
    void conv2d_weight_grad(Tensor, Tensor, Tensor, Tensor, const Conv2dShape&, Tensor, Tensor) override {}
    void conv2d_data_grad_norm(Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor,
                               const Conv2dShape&) override {}
    void conv2d_norm_statistics(Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, const Conv2dShape&) override {}
    void conv2d_norm_backward(Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor,
                              Tensor, Tensor, const Conv2dShape&) override {}
    void batch_norm_statistics(Tensor, Tensor, Tensor) override {}
    void batch_norm_finalize(Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, int64_t, float,
                             float) override {}
    void batch_norm_fold(Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, float) override {}
    void fold_conv_weights(Tensor, Tensor, Tensor) override {}
    void batch_norm_backward(Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor,
                             const NormEpilogue&, Tensor) override {}
    void batch_norm_apply_gradient(Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor) override {}
    void se_excite_forward(Tensor, Tensor, Tensor, Tensor, Tensor, bool) override {}
    void se_excite_backward_gate(Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, bool) override {}
    void se_excite_backward(Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, bool) override {}
    void token_pool_forward(Tensor, Tensor) override {}
    void token_pool_backward(Tensor, Tensor) override {}
    void token_max_forward(Tensor, Tensor, Tensor) override {}
    void token_max_backward(Tensor, Tensor, Tensor) override {}
    void linear_activation_backward(Tensor, Tensor, Tensor, Activation, Dropout, Tensor) override {}
    void linear_data_grad(Tensor, Tensor, Tensor, bool) override {}
    void linear_weight_grad(Tensor, Tensor, Tensor, Tensor) override {}
    void attention_backward(Tensor, Tensor, Tensor, int, Dropout, Tensor) override {}
    void layer_norm_backward(Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Dropout,
                             Tensor) override {}
    void embedding_forward(Tensor, Tensor, Tensor) override {}
    void embedding_backward(Tensor, Tensor, Tensor) override {}
    void concat_columns(Tensor, const std::vector<Tensor>&) override {}
    void split_columns(const std::vector<Tensor>&, Tensor) override {}
    void augment_features(Tensor, Tensor, Tensor, Tensor, Tensor, Tensor) override {}

private:
    Script script_;
    StepSeen seen_;
    std::vector<int32_t> places_; ///< clips of the batch, -1: none
};

} // namespace scene::test
