#include "model/checkpoint.h"

#include <algorithm>
#include <cmath>

namespace scene {
namespace {

/// A tensor of the file and the variable that it stores.
struct StoredVariable {
    std::string stored_name;
    const Variable* variable;
};

std::vector<StoredVariable> stored_variables(const Variables& variables, CheckpointContent content) {
    std::vector<StoredVariable> out;
    const auto append = [&](Segment segment, const std::string& prefix) {
        for (const Variable* variable : variables.all(segment)) out.push_back({prefix + variable->name, variable});
    };
    append(Segment::Parameters, "");
    append(Segment::Statistics, "");
    if (content == CheckpointContent::Model) return out;
    append(Segment::FirstMoment, "optim/exp_avg/");
    append(Segment::SecondMoment, "optim/exp_avg_sq/");
    for (const char* name : {"target", "weight", "control"}) { // U8 last, so that the floats stay aligned
        const Variable* variable = variables.find(Segment::State, name);
        SCENE_CHECK(variable != nullptr, std::string("a training program has a variable ") + name);
        out.push_back({std::string("state/") + name, variable});
    }
    return out;
}

std::vector<int64_t> extents(const Shape& shape) {
    std::vector<int64_t> out;
    for (int axis = 0; axis < shape.rank(); ++axis) out.push_back(shape[axis]);
    return out;
}

} // namespace

void save_checkpoint(const std::filesystem::path& file, const CheckpointInfo& info, const Executor& executor,
                     CheckpointContent content) {
    const std::vector<StoredVariable> stored = stored_variables(executor.variables(), content);
    SafetensorsWriter writer(file, checkpoint_metadata(info));
    for (const auto& [name, variable] : stored)
        writer.declare(name, scene::name_of(variable->dtype), extents(variable->shape));
    std::vector<std::byte> bytes;
    for (const auto& [name, variable] : stored) {
        bytes.resize(static_cast<size_t>(variable->shape.elements()) * size_of(variable->dtype));
        executor.download(variable->segment, variable->name, bytes.data(), bytes.size());
        writer.write(bytes.data(), bytes.size());
    }
    writer.commit();
}

void load_checkpoint(const SafetensorsFile& file, Executor& executor, CheckpointContent content) {
    const std::string path = file.path().string();
    const std::vector<StoredVariable> stored = stored_variables(executor.variables(), content);
    for (const auto& [name, variable] : stored) {
        if (!file.contains(name))
            fail("{}: tensor '{}' {} is missing; it is a checkpoint of another model or was changed", path, name,
                 variable->shape.text());
        const SafetensorsEntry& entry = file.tensor(name);
        if (entry.shape != extents(variable->shape) || entry.dtype != scene::name_of(variable->dtype))
            fail("{}: tensor '{}' is {}, this model has {} {}; it is a checkpoint of another model", path, name,
                 entry.description(), scene::name_of(variable->dtype), variable->shape.text());
    }
    for (const SafetensorsEntry& entry : file.tensors()) {
        const bool resume_only = entry.name.starts_with("optim/") || entry.name.starts_with("state/");
        if (content == CheckpointContent::Model && resume_only) continue;
        const bool known = std::any_of(stored.begin(), stored.end(),
                                       [&](const StoredVariable& one) { return one.stored_name == entry.name; });
        if (!known)
            fail("{}: tensor '{}' has no place in this model; it is a checkpoint of another model", path, entry.name);
    }
    for (const auto& [name, variable] : stored) {
        const auto bytes = file.tensor(name).bytes;
        executor.upload(variable->segment, variable->name, bytes.data(), bytes.size());
    }
}

void require_finite_weights(const SafetensorsFile& file) {
    for (const SafetensorsEntry& entry : file.tensors()) {
        if (entry.dtype != "F32") continue;
        for (float value : entry.as<float>())
            if (!std::isfinite(value))
                fail("{}: '{}' holds NaN or infinite values, so this model says nothing; train it again with a smaller "
                     "training.learning_rate",
                     file.path().string(), entry.name);
    }
}

} // namespace scene
