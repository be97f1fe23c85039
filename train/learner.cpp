#include "train/learner.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "kernels/device_buffer.h"
#include "model/initialize.h"

namespace scene {
namespace {

/// Steps between two looks at the device: often enough to end a broken epoch and to answer Ctrl-C, seldom enough that a
/// device with a queue stays busy.
constexpr int64_t steps_per_look = 8;

} // namespace

struct Learner::State {
    StepConfig settings;
    Variables variables;
    std::map<int64_t, Program> training; ///< by batch size
    Program inference;
    std::unique_ptr<Executor> executor;
    std::vector<int32_t> order;

    template <typename T> void upload(const char* name, std::span<const T> values) {
        executor->upload(Segment::State, name, values.data(), values.size_bytes());
    }
    template <typename T> std::vector<T> download(const char* name, int64_t count) const {
        std::vector<T> out(static_cast<size_t>(count));
        executor->download(Segment::State, name, out.data(), out.size() * sizeof(T));
        return out;
    }
    StepControl control() const {
        StepControl out;
        executor->download(Segment::State, "control", &out, sizeof out);
        return out;
    }
    void set_control(const StepControl& control) {
        executor->upload(Segment::State, "control", &control, sizeof control);
    }

    /// Fills the order table, empty places behind the clips, and puts the cursor at its start.
    void begin_pass(std::span<const int32_t> clips) {
        SCENE_CHECK(static_cast<int64_t>(clips.size()) <= settings.rows, "more clips than the store has");
        std::fill(order.begin(), order.end(), -1);
        std::copy(clips.begin(), clips.end(), order.begin());
        upload<int32_t>("order", order);
        const double no_loss = 0;
        executor->upload(Segment::State, "loss_sum", &no_loss, sizeof no_loss);
        const std::vector<int32_t> no_counts(static_cast<size_t>(settings.model.classes * settings.model.classes));
        upload<int32_t>("confusion", no_counts);
        StepControl start = control();
        start.cursor = 0;
        start.nonfinite = 0;
        set_control(start);
    }

    /// False once a gradient was not finite although it was not scaled, or the loss sum is not finite.
    bool finite() const {
        const StepControl now = control();
        const bool broken_gradient = now.nonfinite != 0 && now.loss_scale <= 1;
        return !broken_gradient && std::isfinite(download<double>("loss_sum", 1)[0]);
    }

    PassResult end_pass(int64_t clips) const {
        const int64_t classes = settings.model.classes;
        const auto counts = download<int32_t>("confusion", classes * classes);
        return {download<double>("loss_sum", 1)[0], Confusion(classes, {counts.begin(), counts.end()}), finite(),
                clips};
    }
};

Learner::Learner(Device& device, const FeatureStore& store, const StepConfig& settings,
                 const std::vector<int64_t>& training_batches, std::span<const int32_t> city)
    : state_(std::make_unique<State>()) {
    State& s = *state_;
    s.settings = settings;
    s.settings.rows = store.clips();
    s.order.assign(static_cast<size_t>(s.settings.rows + settings.batch), -1);
    for (int64_t batch : training_batches) {
        SCENE_CHECK(batch >= 1 && batch <= settings.batch, "a remainder is smaller than a batch");
        StepConfig sized = s.settings;
        sized.batch = batch;
        if (!s.training.contains(batch))
            s.training.emplace(batch, build_training_step(device.planner(), s.variables, sized, settings.batch));
    }
    s.inference = build_inference_step(device.planner(), s.variables, s.settings, settings.batch);
    std::vector<const Program*> programs{&s.inference};
    for (const auto& [batch, program] : s.training) programs.push_back(&program);
    s.executor = std::make_unique<Executor>(device, s.variables, programs);
    s.executor->bind_external("features", store.logmel().data(), store.logmel().size_bytes());
    if (settings.model.multimodal) {
        SCENE_CHECK(static_cast<int64_t>(city.size()) == s.settings.rows, "one city per clip");
        s.upload<int32_t>("city", city);
        s.upload<float>("time", store.columns().time);
    }
    s.set_control({});
    s.upload<float>("weight", std::vector<float>(static_cast<size_t>(s.settings.rows), 1.0f));
}

Learner::~Learner() = default;

Executor& Learner::executor() { return *state_->executor; }
const Executor& Learner::executor() const { return *state_->executor; }
int64_t Learner::rows() const { return state_->settings.rows; }
int64_t Learner::classes() const { return state_->settings.model.classes; }

bool Learner::trains(const std::vector<int64_t>& batches) const {
    return std::all_of(batches.begin(), batches.end(), [&](int64_t batch) { return state_->training.contains(batch); });
}

void Learner::initialize(uint64_t seed) { initialize_parameters(*state_->executor, seed); }

void Learner::restart_optimizer(uint64_t seed) {
    for (Segment segment : {Segment::FirstMoment, Segment::SecondMoment}) {
        for (const Variable* moment : state_->variables.all(segment))
            executor().device().run(FillZero<Tensor>{.x = executor().tensor(segment, moment->name)});
    }
    StepControl control;
    control.seed = seed;
    if (executor().device().planner().activation_type() == DType::F16) control.loss_scale = LossScaling{}.first;
    state_->set_control(control);
}

void Learner::set_targets(std::span<const float> targets) { state_->upload("target", targets); }

void Learner::set_weights(std::span<const float> weights) { state_->upload("weight", weights); }

void Learner::set_hard_weights(std::span<const float> probabilities, std::span<const int32_t> members,
                               Confidence measure) {
    SCENE_CHECK(static_cast<int64_t>(probabilities.size()) == rows() * classes(), "one row per clip");
    std::vector<int32_t> member(static_cast<size_t>(rows()));
    for (int32_t clip : members) member[static_cast<size_t>(clip)] = 1;
    Device& device = executor().device();
    const DeviceBuffer device_member(device, member.data(), member.size() * sizeof(int32_t));
    const DeviceBuffer device_probabilities(device, probabilities.data(), probabilities.size_bytes());
    DeviceBuffer scratch;
    run_alone(device,
              HardSampleWeights<Tensor>{.weight = executor().tensor(Segment::State, "weight"),
                                        .probabilities = device_probabilities.tensor(DType::F32, {rows(), classes()}),
                                        .member = device_member.tensor(DType::I32, {rows()}),
                                        .measure = measure},
              scratch);
    device.synchronize();
}

std::vector<float> Learner::weights() const { return state_->download<float>("weight", rows()); }

PassResult Learner::train(std::span<const int32_t> order, double learning_rate, const PassProgress& progress) {
    State& s = *state_;
    s.begin_pass(order);
    StepControl start = s.control();
    start.learning_rate = static_cast<float>(learning_rate);
    s.set_control(start);
    const auto clips = static_cast<int64_t>(order.size());
    if (!s.training.empty()) s.executor->setup(s.training.begin()->second); // a copy that all batch sizes share
    int64_t done = 0;
    for (int64_t step = 1; done < clips; ++step) {
        const int64_t batch = std::min(s.settings.batch, clips - done);
        const auto program = s.training.find(batch);
        SCENE_CHECK(program != s.training.end(), "no training program of batch " + std::to_string(batch));
        s.executor->run(program->second);
        done += batch;
        if (step % steps_per_look == 0 && !s.finite()) break;
        progress(done);
    }
    return s.end_pass(done);
}

void Learner::prepare_inference() { state_->executor->setup(state_->inference); }

PassResult Learner::infer(std::span<const int32_t> clips, const PassProgress& progress) {
    State& s = *state_;
    s.begin_pass(clips);
    const auto count = static_cast<int64_t>(clips.size());
    for (int64_t done = 0; done < count;) {
        s.executor->run(s.inference);
        done = std::min(done + s.settings.batch, count);
        progress(done);
    }
    return s.end_pass(count);
}

std::vector<float> Learner::probabilities() const {
    return state_->download<float>("probabilities", rows() * classes());
}

std::vector<float> Learner::embeddings() const {
    return state_->download<float>("embedding", executor().tensor(Segment::State, "embedding").elements());
}

} // namespace scene
