#include "train/training_session.h"

#include <algorithm>
#include <cmath>

#include "kernels/device_buffer.h"

namespace scene {
namespace {

/// Steps between two checks for non-finite values, which wait for the device: few enough to end a diverged epoch early
/// and, with a short queue, to answer Ctrl-C at once; enough to keep a GPU busy.
constexpr int64_t steps_per_look = 8;

StepConfig over_the_store(StepConfig settings, const FeatureStore& store) {
    settings.rows = store.clips();
    return settings;
}

} // namespace

TrainingSession::TrainingSession(Device& device, const FeatureStore& store, const StepConfig& settings,
                                 const std::vector<int64_t>& training_batches, std::span<const int32_t> city)
    : runner_(device, over_the_store(settings, store),
              {.training = training_batches, .inference = settings.batch, .max_batch = settings.batch}),
      batch_(settings.batch) {
    for (int64_t batch : training_batches)
        SCENE_CHECK(batch >= 1 && batch <= batch_, "a remainder is smaller than a batch");
    runner_.bind_features(store.logmel());
    if (!settings.model.multimodal) return;
    SCENE_CHECK(static_cast<int64_t>(city.size()) == rows(), "one city per clip");
    runner_.set_metadata(city, store.columns().time);
}

bool TrainingSession::trains(const std::vector<int64_t>& batches) const {
    return std::all_of(batches.begin(), batches.end(), [&](int64_t batch) { return runner_.trains(batch); });
}

void TrainingSession::restart_optimizer(uint64_t seed) {
    for (Segment segment : {Segment::FirstMoment, Segment::SecondMoment}) {
        for (const Variable* moment : runner_.variables().all(segment))
            runner_.device().run(FillZero<Tensor>{.x = executor().tensor(segment, moment->name)});
    }
    StepControl control;
    control.seed = seed;
    if (runner_.device().planner().activation_type() == DType::F16) control.loss_scale = LossScaling{}.first;
    runner_.set_control(control);
}

void TrainingSession::set_hard_weights(std::span<const float> probabilities, std::span<const int32_t> members,
                                       Confidence measure) {
    SCENE_CHECK(static_cast<int64_t>(probabilities.size()) == rows() * classes(), "one row per clip");
    std::vector<int32_t> member(static_cast<size_t>(rows()));
    for (int32_t clip : members) member[static_cast<size_t>(clip)] = 1;
    Device& device = runner_.device();
    const DeviceBuffer device_member(device, member.data(), member.size() * sizeof(int32_t));
    const DeviceBuffer device_probabilities(device, probabilities.data(), probabilities.size_bytes());
    DeviceBuffer scratch;
    run_alone(device,
              HardSampleWeights<Tensor>{.weight = runner_.weight_table(),
                                        .probabilities = device_probabilities.tensor(DType::F32, {rows(), classes()}),
                                        .member = device_member.tensor(DType::I32, {rows()}),
                                        .measure = measure},
              scratch);
    device.synchronize();
}

void TrainingSession::begin_pass(std::span<const int32_t> clips) {
    SCENE_CHECK(static_cast<int64_t>(clips.size()) <= rows(), "more clips than the store has");
    runner_.begin(clips);
    runner_.clear_metrics();
    StepControl start = runner_.control();
    start.nonfinite = 0;
    runner_.set_control(start);
}

/// False if the loss sum is not finite, or a gradient was not finite at loss scale 1.
bool TrainingSession::finite() const {
    const StepControl now = runner_.control();
    const bool broken_gradient = now.nonfinite != 0 && now.loss_scale <= LossScaling{}.least;
    return !broken_gradient && std::isfinite(runner_.loss_sum());
}

PassResult TrainingSession::end_pass(int64_t clips) const {
    const std::vector<int32_t> counts = runner_.confusion();
    return {runner_.loss_sum(), Confusion(classes(), {counts.begin(), counts.end()}), finite(), clips};
}

PassResult TrainingSession::train(std::span<const int32_t> order, double learning_rate, const PassProgress& progress) {
    begin_pass(order);
    StepControl start = runner_.control();
    start.learning_rate = static_cast<float>(learning_rate);
    runner_.set_control(start);
    runner_.prepare_training();
    const auto clips = static_cast<int64_t>(order.size());
    int64_t done = 0;
    for (int64_t step = 1; done < clips; ++step) {
        const int64_t batch = std::min(batch_, clips - done);
        runner_.train(batch);
        done += batch;
        if (step % steps_per_look == 0 && !finite()) break;
        progress(done);
    }
    return end_pass(done);
}

PassResult TrainingSession::infer(std::span<const int32_t> clips, const PassProgress& progress) {
    begin_pass(clips);
    const auto count = static_cast<int64_t>(clips.size());
    for (int64_t done = 0; done < count;) {
        runner_.infer();
        done = std::min(done + batch_, count);
        progress(done);
    }
    return end_pass(count);
}

} // namespace scene
