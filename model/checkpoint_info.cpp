#include "model/checkpoint_info.h"

#include <charconv>
#include <cmath>

#include "kernels/files/json.h"
#include "model/networks/network.h"

namespace scene {
namespace {

constexpr const char* format_name = "scene.cu checkpoint";
constexpr int64_t format_version = 1;

/// Visits every numeric setting with its metadata key. Writing and reading share this list.
template <typename Visitor, typename Info> void visit_numbers(Info& info, Visitor&& visit) {
    visit("model.width", info.model.width);
    visit("model.classes", info.model.classes);
    visit("model.frames", info.model.frames);
    visit("model.bands", info.model.bands);
    visit("model.deltas", info.model.deltas);
    visit("model.multimodal", info.model.multimodal);
    visit("model.cities", info.model.cities);
    visit("model.conv_dropout", info.model.conv_dropout);
    visit("model.encoder_dropout", info.model.encoder_dropout);
    visit("features.sample_rate", info.features.sample_rate);
    visit("features.n_fft", info.features.n_fft);
    visit("features.window", info.features.window);
    visit("features.hop", info.features.hop);
    visit("features.bands", info.features.bands);
    visit("features.low_hz", info.features.low_hz);
    visit("features.top_db", info.features.top_db);
    visit("features.frames", info.features.frames);
    visit("features.samples", info.features.samples);
}

std::string text_of(bool value) { return value ? "1" : "0"; }
template <typename T> std::string text_of(T value) { return fmt::format("{}", value); }

template <typename T> bool parse(const std::string& text, T& value) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && end == text.data() + text.size();
}
bool parse(const std::string& text, bool& value) {
    value = text == "1";
    return text == "1" || text == "0";
}

[[noreturn]] void fail_setting(const SafetensorsFile& file, const std::string& key, const std::string& value) {
    fail("{}: the checkpoint's setting '{}' is \"{}\", which cannot be; the file was made or changed by something else",
         file.path().string(), key, value);
}

std::vector<std::string> parse_names(const SafetensorsFile& file, const std::string& key) {
    const std::string& text = file.metadata(key);
    try {
        return parse_json(text).get<std::vector<std::string>>();
    } catch (const nlohmann::json::exception&) { fail_setting(file, key, text); }
}

/// Refuses values with which the reader would allocate or index out of range.
void check_sane(const SafetensorsFile& file, const CheckpointInfo& info) {
    const ModelConfig& model = info.model;
    const LogMelSpec& features = info.features;
    const auto require = [&](bool sane, const std::string& key) {
        if (!sane) fail_setting(file, key, file.metadata(key));
    };
    require(model.width > 0 && model.width <= 64, "model.width");
    require(model.classes >= 2 && model.classes == static_cast<int64_t>(info.classes.size()), "model.classes");
    require(model.frames >= 1 && model.frames == features.frames, "model.frames");
    require(model.bands >= 1 && model.bands == features.bands, "model.bands");
    require(model.cities >= 1 && model.cities <= 1'000'000 && model.cities >= static_cast<int64_t>(info.cities.size()),
            "model.cities");
    require(model.conv_dropout >= 0 && model.conv_dropout < 1, "model.conv_dropout");
    require(model.encoder_dropout >= 0 && model.encoder_dropout < 1, "model.encoder_dropout");
    require(features.sample_rate >= 1, "features.sample_rate");
    require(features.n_fft >= 32 && features.n_fft <= 8192 && (features.n_fft & (features.n_fft - 1)) == 0,
            "features.n_fft");
    require(features.window >= 1 && features.window <= features.n_fft, "features.window");
    require(features.hop >= 1, "features.hop");
    require(features.low_hz >= 0 && 2 * features.low_hz < static_cast<float>(features.sample_rate), "features.low_hz");
    require(features.top_db > 0 && std::isfinite(features.top_db), "features.top_db");
    require(features.samples >= 1 && features.frames - 1 <= features.samples / features.hop, "features.samples");
}

} // namespace

Metadata checkpoint_metadata(const CheckpointInfo& info) {
    Metadata out{{"format", format_name},
                 {"version", std::to_string(format_version)},
                 {"system", info.system},
                 {"fit_rule", info.fit_rule},
                 {"classes", json_line(nlohmann::json(info.classes))},
                 {"cities", json_line(nlohmann::json(info.cities))},
                 {"model.architecture", std::string(info.model.network->name)}};
    visit_numbers(info, [&](const char* key, const auto& value) { out[key] = text_of(value); });
    for (const auto& [key, value] : info.training) out["training." + key] = value;
    return out;
}

CheckpointInfo read_checkpoint_info(const SafetensorsFile& file) {
    const std::string path = file.path().string();
    const auto format = file.metadata().find("format");
    if (format == file.metadata().end() || format->second != format_name)
        fail("{}: not a checkpoint of scene; give a best_model_*.safetensors of a run folder", path);
    int64_t version = 0;
    if (!parse(file.metadata("version"), version) || version < 1)
        fail_setting(file, "version", file.metadata("version"));
    if (version > format_version)
        fail("{}: checkpoint version {}, this program reads version {}; use a newer scene", path, version,
             format_version);

    CheckpointInfo info;
    info.system = file.metadata("system");
    info.fit_rule = file.metadata("fit_rule");
    info.classes = parse_names(file, "classes");
    info.cities = parse_names(file, "cities");
    info.model.network = network_named(file.metadata("model.architecture"));
    if (!info.model.network) fail_setting(file, "model.architecture", file.metadata("model.architecture"));
    visit_numbers(info, [&](const char* key, auto& value) {
        if (!parse(file.metadata(key), value)) fail_setting(file, key, file.metadata(key));
    });
    for (const auto& [key, value] : file.metadata())
        if (key.starts_with("training.")) info.training[key.substr(9)] = value;
    check_sane(file, info);
    return info;
}

} // namespace scene
