#include "train/evaluation/adaptation.h"

#include <algorithm>
#include <cmath>

#include "kernels/device_buffer.h"
#include "kernels/error.h"

namespace scene {
namespace {

/// A tensor in device memory.
class DeviceTensor {
public:
    DeviceTensor(Device& device, DType dtype, const Shape& shape)
        : device_(device), view_{nullptr, dtype, shape}, memory_(device, view_.bytes()) {
        view_.data = memory_.data();
    }

    const Tensor& view() const { return view_; }
    /// Elements [first, first + values.size()).
    template <typename T> void write(int64_t first, std::span<const T> values) {
        device_.upload(static_cast<T*>(view_.data) + first, values.data(), values.size_bytes());
    }

private:
    Device& device_;
    Tensor view_;
    DeviceBuffer memory_;
};

/// The rows scaled to length 1; a row of zeros stays zero.
std::vector<float> normalised(std::span<const float> features, int64_t width) {
    std::vector<float> out(features.begin(), features.end());
    for (size_t begin = 0; begin < out.size(); begin += static_cast<size_t>(width)) {
        const std::span<float> row(out.data() + begin, static_cast<size_t>(width));
        double squares = 0;
        for (float value : row) squares += static_cast<double>(value) * static_cast<double>(value);
        if (squares == 0) continue;
        for (float& value : row) value = static_cast<float>(static_cast<double>(value) / std::sqrt(squares));
    }
    return out;
}

} // namespace

struct MemoryBank::State {
    Device& device;
    AdaptationSettings settings;
    int64_t width, classes, source, joined = 0;
    DeviceTensor memory, label, query, similarity, votes; ///< of fixed shapes: each op has only one
    DeviceBuffer scratch;

    State(Device& on, int64_t clips, int64_t row_width, int64_t class_count, const AdaptationSettings& chosen)
        : device(on), settings(chosen), width(row_width), classes(class_count), source(clips),
          memory(device, DType::F32, {clips + chosen.growth, row_width}),
          label(device, DType::I32, {clips + chosen.growth}), query(device, DType::F32, {chosen.batch, row_width}),
          similarity(device, DType::F32, {chosen.batch, clips + chosen.growth}),
          votes(device, DType::F32, {chosen.batch, class_count}) {}

    /// The shares [M, classes] of the votes for M rows of features, M <= settings.batch.
    std::vector<float> vote(std::span<const float> rows) {
        query.write<float>(0, rows);
        run_alone(device, LinearForward<Tensor>{.y = similarity.view(), .x = query.view(), .w = memory.view()},
                  scratch);
        run_alone(device,
                  NearestVotes<Tensor>{.votes = votes.view(),
                                       .similarity = similarity.view(),
                                       .label = label.view(),
                                       .neighbours = settings.neighbours,
                                       .temperature = static_cast<float>(settings.temperature)},
                  scratch);
        std::vector<float> shares(rows.size() / static_cast<size_t>(width) * static_cast<size_t>(classes));
        device.download(shares.data(), votes.view().data, shares.size() * sizeof(float));
        return shares;
    }

    bool join(std::span<const float> row, const Vote& vote) {
        if (joined == settings.growth || static_cast<double>(vote.share) < settings.confidence) return false;
        const int64_t place = source + joined++;
        memory.write<float>(place * width, row);
        label.write<int32_t>(place, std::span(&vote.label, 1));
        return true;
    }
};

MemoryBank::MemoryBank(Device& device, std::span<const float> features, std::span<const int32_t> labels, int64_t width,
                       int64_t classes, const AdaptationSettings& settings) {
    const auto clips = static_cast<int64_t>(labels.size());
    SCENE_CHECK(clips >= 1 && static_cast<int64_t>(features.size()) == clips * width, "one row of features per label");
    SCENE_CHECK(settings.neighbours >= 1 && settings.temperature > 0 && settings.growth >= 0 && settings.batch >= 1,
                "the settings of a memory are out of range");
    state_ = std::make_unique<State>(device, clips, width, classes, settings);
    state_->memory.write<float>(0, normalised(features, width));
    state_->label.write<int32_t>(0, labels);
    reset();
}

MemoryBank::~MemoryBank() = default;

std::vector<Vote> MemoryBank::classify(std::span<const float> features) {
    State& s = *state_;
    const std::vector<float> rows = normalised(features, s.width);
    const size_t width = static_cast<size_t>(s.width), classes = static_cast<size_t>(s.classes);
    const size_t clips = rows.size() / width;
    std::vector<Vote> out;
    for (size_t first = 0; first < clips; first += static_cast<size_t>(s.settings.batch)) {
        const size_t count = std::min(static_cast<size_t>(s.settings.batch), clips - first);
        const std::span<const float> batch(rows.data() + first * width, count * width);
        const std::vector<float> shares = s.vote(batch);
        for (size_t i = 0; i < count; ++i) {
            const auto row = std::span(shares).subspan(i * classes, classes);
            const auto largest = std::max_element(row.begin(), row.end());
            Vote vote{static_cast<int32_t>(largest - row.begin()), *largest};
            vote.joined = s.join(batch.subspan(i * width, width), vote);
            out.push_back(vote);
        }
    }
    return out;
}

void MemoryBank::reset() {
    State& s = *state_;
    s.joined = 0;
    s.label.write<int32_t>(s.source, std::vector<int32_t>(static_cast<size_t>(s.settings.growth), -1));
}

int64_t MemoryBank::size() const { return state_->source + state_->joined; }

int64_t MemoryBank::joined() const { return state_->joined; }

} // namespace scene
