#include "model/import.h"
#include "model/networks/network.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace scene {
namespace {

/// A tensor of the file and the variable that it initialises.
struct Placed {
    const SafetensorsEntry* entry;
    const Variable* variable;
};

struct ImportPlan {
    ImportReport report;
    std::vector<Placed> placed;
    bool pytorch = false;
};

std::vector<int64_t> extents(const Shape& shape) {
    std::vector<int64_t> out;
    for (int axis = 0; axis < shape.rank(); ++axis) out.push_back(shape[axis]);
    return out;
}

/// The shape that the file must have: PyTorch's convolution weights are [K, C, R, S].
std::vector<int64_t> stored_shape(const Variable& variable, bool pytorch) {
    std::vector<int64_t> shape = extents(variable.shape);
    if (pytorch && shape.size() == 4) shape = {shape[0], shape[3], shape[1], shape[2]};
    return shape;
}

std::string network_text(const ModelConfig& model) {
    return fmt::format("{} of width {}{}", model.network->title, model.width, model.deltas ? " with deltas" : "");
}

void check_checkpoint(const SafetensorsFile& file, const CheckpointInfo& theirs, const CheckpointInfo& ours) {
    const ModelConfig &a = theirs.model, &b = ours.model;
    if (a.network != b.network || a.width != b.width || a.deltas != b.deltas)
        fail("{}: the checkpoint is of an {}, this run trains an {}; give a checkpoint of the same network",
             file.path().string(), network_text(a), network_text(b));
    LogMelSpec features = theirs.features;
    features.frames = ours.features.frames;
    features.samples = ours.features.samples;
    if (features != ours.features)
        fail("{}: the checkpoint's features ({} Hz, n_fft {}, window {}, hop {}, {} bands from {} Hz, top_db {}) are "
             "not this store's; prepare the store with the same settings",
             file.path().string(), features.sample_rate, features.n_fft, features.window, features.hop, features.bands,
             features.low_hz, features.top_db);
}

/// Training state of a checkpoint, or PyTorch's batch counter: no weights.
bool is_bookkeeping(const std::string& name) {
    return name.starts_with("optim/") || name.starts_with("state/") || name.ends_with(".num_batches_tracked");
}

const Variable* find(const Variables& variables, const std::string& name) {
    const Variable* parameter = variables.find(Segment::Parameters, name);
    return parameter ? parameter : variables.find(Segment::Statistics, name);
}

void check_tensor(const SafetensorsFile& file, const SafetensorsEntry& entry, const Variable& variable, bool pytorch) {
    if (entry.dtype != "F32" && entry.dtype != "F64")
        fail("{}: tensor '{}' is {}; save the weights as float32", file.path().string(), entry.name,
             entry.description());
    if (const auto shape = stored_shape(variable, pytorch); entry.shape != shape)
        fail("{}: tensor '{}' is {}, this model's is {}{}; give weights of the same network", file.path().string(),
             entry.name, entry.description(), SafetensorsEntry{entry.name, entry.dtype, shape, {}}.description(),
             pytorch && shape.size() == 4 ? " in PyTorch's layout" : "");
}

ImportPlan plan_import(const SafetensorsFile& file, const Variables& variables, const CheckpointInfo& ours) {
    ImportPlan plan;
    const auto format = file.metadata().find("format");
    const std::string format_name = format == file.metadata().end() ? "" : format->second;
    plan.pytorch = !format_name.starts_with("scene.cu");
    bool same_cities = true;
    if (!plan.pytorch) {
        const CheckpointInfo theirs = read_checkpoint_info(file);
        check_checkpoint(file, theirs, ours);
        same_cities = theirs.cities == ours.cities;
    }
    bool renamed = false;
    for (const SafetensorsEntry& entry : file.tensors()) {
        if (is_bookkeeping(entry.name)) continue;
        const std::string name = plan.pytorch ? imported_name(entry.name) : entry.name;
        renamed |= name != entry.name;
        const Variable* variable = find(variables, name);
        if (!variable) {
            plan.report.unused.push_back(entry.name);
            continue;
        }
        if (name.starts_with("head.classifier.") || (name == "head.city.weight" && !same_cities)) continue;
        check_tensor(file, entry, *variable, plan.pytorch);
        if (std::any_of(plan.placed.begin(), plan.placed.end(),
                        [&](const Placed& one) { return one.variable == variable; }))
            fail("{}: tensor '{}' gives '{}' a second time; remove one of the two", file.path().string(), entry.name,
                 name);
        plan.placed.push_back({&entry, variable});
        plan.report.loaded.push_back(name);
    }
    if (plan.placed.empty())
        fail("{}: none of its {} tensors has a place in this model; give a checkpoint of scene or weights under the "
             "names of docs/importing.md",
             file.path().string(), file.tensors().size());
    plan.report.source = !plan.pytorch ? "checkpoint of scene"
                         : renamed     ? "PyTorch weights of the baseline"
                                       : "PyTorch weights";
    for (Segment segment : {Segment::Parameters, Segment::Statistics}) {
        for (const Variable* variable : variables.all(segment)) {
            const bool is_loaded = std::any_of(plan.placed.begin(), plan.placed.end(),
                                               [&](const Placed& one) { return one.variable == variable; });
            if (!is_loaded) plan.report.fresh.push_back(variable->name);
            if (segment != Segment::Parameters) continue;
            plan.report.parameters += variable->shape.elements();
            if (is_loaded) plan.report.loaded_parameters += variable->shape.elements();
        }
    }
    return plan;
}

template <typename T> std::vector<float> converted(std::span<const std::byte> bytes) {
    std::vector<float> out(bytes.size() / sizeof(T));
    for (size_t i = 0; i < out.size(); ++i) {
        T value; // other writers may leave tensors unaligned
        std::memcpy(&value, bytes.data() + i * sizeof(T), sizeof(T));
        out[i] = static_cast<float>(value);
    }
    return out;
}

/// [K, C, R, S] as [K, R, S, C].
std::vector<float> channels_last(const std::vector<float>& from, const std::vector<int64_t>& shape) {
    const int64_t channels = shape[1], positions = shape[2] * shape[3];
    std::vector<float> to(from.size());
    for (size_t i = 0; i < from.size(); ++i) {
        const int64_t index = static_cast<int64_t>(i), position = index % positions;
        const int64_t channel = index / positions % channels, out_channel = index / positions / channels;
        to[static_cast<size_t>((out_channel * positions + position) * channels + channel)] = from[i];
    }
    return to;
}

std::string list(const std::vector<std::string>& names) {
    constexpr size_t most = 12;
    std::string out;
    for (size_t i = 0; i < std::min(names.size(), most); ++i) out += (i == 0 ? "" : ", ") + names[i];
    return names.size() > most ? fmt::format("{} and {} more", out, names.size() - most) : out;
}

} // namespace

std::string imported_name(const std::string& name) {
    // Modules of the baseline's SE_Trans (ICME 2024, APSIPA ASC 2025), and ours.
    static constexpr std::array<std::array<std::string_view, 2>, 8> modules{{{"bn0.", "input_norm."},
                                                                             {"SE_block1.", "block1."},
                                                                             {"SE_block2.", "block2."},
                                                                             {"encoder.layers.0.", "encoder."},
                                                                             {"location_embedding.", "head.city."},
                                                                             {"time_mapping.", "head.time."},
                                                                             {"fusion_layer.", "head.fuse."},
                                                                             {"fc.", "head.classifier."}}};
    static constexpr std::array<std::array<std::string_view, 2>, 6> in_blocks{{{"bn1.", "norm1."},
                                                                               {"bn2.", "norm2."},
                                                                               {"se1.fc.0.", "se1.reduce."},
                                                                               {"se1.fc.2.", "se1.expand."},
                                                                               {"se2.fc.0.", "se2.reduce."},
                                                                               {"se2.fc.2.", "se2.expand."}}};
    for (const auto& [theirs, ours] : modules) {
        if (!name.starts_with(theirs)) continue;
        std::string rest = name.substr(theirs.size());
        if (theirs.starts_with("SE_block"))
            for (const auto& [inner, our_inner] : in_blocks)
                if (rest.starts_with(inner)) rest.replace(0, inner.size(), our_inner);
        return std::string(ours) + rest;
    }
    return name;
}

ImportReport check_import(const SafetensorsFile& file, const Variables& variables, const CheckpointInfo& ours) {
    return plan_import(file, variables, ours).report;
}

ImportReport import_weights(const SafetensorsFile& file, Executor& executor, const CheckpointInfo& ours) {
    ImportPlan plan = plan_import(file, executor.variables(), ours);
    for (const auto& [entry, variable] : plan.placed) {
        std::vector<float> values =
            entry->dtype == "F32" ? converted<float>(entry->bytes) : converted<double>(entry->bytes);
        if (plan.pytorch && entry->shape.size() == 4) values = channels_last(values, entry->shape);
        executor.upload(variable->segment, variable->name, values.data(), values.size() * sizeof(float));
    }
    return std::move(plan.report);
}

std::vector<std::string> describe(const ImportReport& report, const std::string& file) {
    std::vector<std::string> lines{fmt::format("init: {} ({}): {} tensors loaded, {} of {} parameters", file,
                                               report.source, report.loaded.size(), report.loaded_parameters,
                                               report.parameters)};
    if (!report.fresh.empty())
        lines.push_back(fmt::format("init: not loaded, first values instead: {}", list(report.fresh)));
    if (!report.unused.empty())
        lines.push_back(fmt::format("init: in the file, without a place in this model: {}", list(report.unused)));
    return lines;
}

} // namespace scene
