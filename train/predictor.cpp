#include "train/predictor.h"

#include <algorithm>

#include "data/audio.h"
#include "data/record_time.h"
#include "kernels/device_buffer.h"
#include "model/executor.h"
#include "model/step.h"

namespace scene {

struct Predictor::State {
    Device& device;
    CheckpointInfo info;
    FitRule fit = FitRule::Loop;
    StepConfig settings;
    Variables variables;
    Program inference;
    std::unique_ptr<Executor> executor;
    DeviceBuffer features; ///< [batch, frames, bands]
    DeviceBuffer wave;     ///< [samples]
    DeviceBuffer scratch;  ///< of log_mel

    explicit State(Device& device) : device(device) {}

    size_t clip_bytes() const {
        return static_cast<size_t>(info.features.frames) * static_cast<size_t>(info.features.bands) * sizeof(float);
    }

    template <typename T> void upload(const char* name, const std::vector<T>& values) {
        executor->upload(Segment::State, name, values.data(), values.size() * sizeof(T));
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
        std::vector<int32_t> city(static_cast<size_t>(settings.rows), -1);
        std::vector<float> time(static_cast<size_t>(settings.rows * time_inputs));
        for (size_t i = 0; i < clips.size(); ++i) {
            const auto found = std::find(info.cities.begin(), info.cities.end(), clips[i].city);
            if (found != info.cities.end()) city[i] = static_cast<int32_t>(found - info.cities.begin());
            if (clips[i].time.empty()) continue;
            const auto parsed = parse_record_time(clips[i].time);
            if (!parsed) fail("time '{}' is not of the form YYYY-MM-DD HH:MM:SS", clips[i].time);
            const auto values = time_features(parsed);
            std::copy(values.begin(), values.end(), time.begin() + static_cast<std::ptrdiff_t>(i * values.size()));
        }
        upload("city", city);
        upload("time", time);
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
    s.settings.model = s.info.model;
    s.settings.batch = s.settings.rows = batch;
    s.inference = build_inference_step(device.planner(), s.variables, s.settings, batch);
    s.executor = std::make_unique<Executor>(device, s.variables, std::vector<const Program*>{&s.inference});
    load_checkpoint(file, *s.executor);
    s.executor->setup(s.inference);
    s.features = DeviceBuffer(device, static_cast<size_t>(batch) * s.clip_bytes());
    s.wave = DeviceBuffer(device, static_cast<size_t>(s.info.features.samples) * sizeof(float));
    s.executor->bind_external("features",
                              s.features.tensor(DType::F32, {batch, s.info.features.frames, s.info.features.bands}));
}

Predictor::~Predictor() = default;

const CheckpointInfo& Predictor::info() const { return state_->info; }

int64_t Predictor::batch() const { return state_->settings.batch; }

std::vector<float> Predictor::predict(std::span<const PredictorClip> clips) {
    State& s = *state_;
    SCENE_CHECK(static_cast<int64_t>(clips.size()) <= s.settings.batch, "more clips than a batch");
    for (size_t i = 0; i < clips.size(); ++i) s.compute_features(static_cast<int64_t>(i), clips[i]);
    if (s.info.model.multimodal) s.upload_metadata(clips);
    std::vector<int32_t> order(static_cast<size_t>(2 * s.settings.batch), -1);
    for (size_t i = 0; i < clips.size(); ++i) order[i] = static_cast<int32_t>(i);
    s.upload("order", order);
    const StepControl control;
    s.executor->upload(Segment::State, "control", &control, sizeof control);
    s.executor->run(s.inference);

    std::vector<float> probabilities(static_cast<size_t>(s.settings.rows * s.info.model.classes));
    s.executor->download(Segment::State, "probabilities", probabilities.data(), probabilities.size() * sizeof(float));
    probabilities.resize(clips.size() * static_cast<size_t>(s.info.model.classes));
    return probabilities;
}

} // namespace scene
