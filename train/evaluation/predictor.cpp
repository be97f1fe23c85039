#include "train/evaluation/predictor.h"

#include <algorithm>
#include <numeric>

#include "data/audio/audio.h"
#include "data/formats/record_time.h"
#include "kernels/device_buffer.h"
#include "model/step_runner.h"

namespace scene {

struct Predictor::State {
    Device& device;
    CheckpointInfo info;
    FitRule fit = FitRule::Loop;
    std::unique_ptr<StepRunner> runner;
    int64_t batch = 0;
    DeviceBuffer features; ///< [batch, frames, bands]
    DeviceBuffer wave;     ///< [samples]
    DeviceBuffer scratch;  ///< of log_mel

    explicit State(Device& device) : device(device) {}

    size_t clip_bytes() const {
        return static_cast<size_t>(info.features.frames) * static_cast<size_t>(info.features.bands) * sizeof(float);
    }

    void compute_features(int64_t row, const PredictorClip& clip) {
        const int64_t samples = info.features.samples;
        const std::vector<float> fitted = fit_length(clip.wave, samples, fit);
        device.upload(wave.data(), fitted.data(), fitted.size() * sizeof(float));
        const Tensor out{static_cast<std::byte*>(features.data()) + static_cast<size_t>(row) * clip_bytes(),
                         DType::F32,
                         {1, info.features.frames, info.features.bands}};
        const Tensor in = wave.tensor(DType::F32, {1, samples});
        run_alone(device, LogMel<Tensor>{.out = out, .wave = in, .spec = info.features}, scratch);
    }

    void upload_metadata(std::span<const PredictorClip> clips) {
        std::vector<int32_t> city(static_cast<size_t>(batch), -1);
        std::vector<float> time(static_cast<size_t>(batch * time_inputs));
        for (size_t i = 0; i < clips.size(); ++i) {
            const auto found = std::find(info.cities.begin(), info.cities.end(), clips[i].city);
            if (found != info.cities.end()) city[i] = static_cast<int32_t>(found - info.cities.begin());
            if (clips[i].time.empty()) continue;
            const auto parsed = parse_record_time(clips[i].time);
            if (!parsed) fail("time '{}' is not of the form YYYY-MM-DD HH:MM:SS", clips[i].time);
            const auto values = time_features(parsed);
            std::copy(values.begin(), values.end(), time.begin() + static_cast<std::ptrdiff_t>(i * values.size()));
        }
        runner->set_metadata(city, time);
    }
};

Predictor::Predictor(Device& device, const std::filesystem::path& checkpoint, int64_t batch)
    : state_(std::make_unique<State>(device)) {
    SCENE_CHECK(batch >= 1, "a batch has a clip");
    State& s = *state_;
    const SafetensorsFile file(checkpoint);
    s.info = read_checkpoint_info(file);
    require_finite_weights(file);
    s.fit = fit_rule_from_name(s.info.fit_rule);
    s.batch = batch;
    StepConfig config;
    config.model = s.info.model;
    config.rows = batch;
    s.runner = std::make_unique<StepRunner>(device, config, StepPrograms{.training = {}, .inference = batch});
    load_checkpoint(file, s.runner->executor());
    s.runner->prepare_inference();
    s.features = DeviceBuffer(device, static_cast<size_t>(batch) * s.clip_bytes());
    s.wave = DeviceBuffer(device, static_cast<size_t>(s.info.features.samples) * sizeof(float));
    s.runner->bind_features(s.features.tensor(DType::F32, {batch, s.info.features.frames, s.info.features.bands}));
}

Predictor::~Predictor() = default;

const CheckpointInfo& Predictor::info() const { return state_->info; }

int64_t Predictor::batch() const { return state_->batch; }

std::vector<float> Predictor::predict(std::span<const PredictorClip> clips) {
    State& s = *state_;
    SCENE_CHECK(static_cast<int64_t>(clips.size()) <= s.batch, "more clips than a batch");
    for (size_t i = 0; i < clips.size(); ++i) s.compute_features(static_cast<int64_t>(i), clips[i]);
    if (s.info.model.multimodal) s.upload_metadata(clips);
    std::vector<int32_t> order(clips.size());
    std::iota(order.begin(), order.end(), 0);
    s.runner->begin(order);
    s.runner->infer();
    std::vector<float> probabilities = s.runner->probabilities();
    probabilities.resize(clips.size() * static_cast<size_t>(s.info.model.classes));
    return probabilities;
}

} // namespace scene
