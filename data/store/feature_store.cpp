#include "data/store/feature_store.h"

#include <algorithm>
#include <bit>

#include "kernels/error.h"
#include "kernels/files/crc32c.h"
#include "kernels/files/json.h"

namespace scene {
namespace {

using nlohmann::json;

constexpr std::string_view store_format = "scene.cu feature store";
constexpr std::string_view store_version = "1";

std::string list_json(const std::vector<std::string>& list) { return json_line(json(list)); }

template <typename T> void append_bytes(std::string& out, const std::vector<T>& values) {
    out.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
}

struct Layout {
    Metadata metadata;
    std::vector<SafetensorsDeclaration> tensors;
    std::string tail; ///< the bytes of every tensor after the first
};

Layout layout_of(const StoreColumns& columns) {
    const int64_t clips = columns.clips();
    const auto size = static_cast<size_t>(clips);
    SCENE_CHECK(columns.sessions.size() == size && columns.devices.size() == size && columns.label.size() == size &&
                    columns.city.size() == size && columns.fold.size() == size && columns.has_time.size() == size &&
                    columns.time.size() == size * time_feature_count &&
                    (columns.recorded.empty() || columns.recorded.size() == size),
                "the columns of a store have one entry per clip");
    const std::string names = list_json(columns.names), sessions = list_json(columns.sessions),
                      devices = list_json(columns.devices);
    const std::string recorded =
        list_json(columns.recorded.empty() ? std::vector<std::string>(size) : columns.recorded);
    const auto blob = [](const std::string& text) { return std::vector<int64_t>{static_cast<int64_t>(text.size())}; };
    Layout layout;
    layout.metadata = {{"format", std::string(store_format)},
                       {"version", std::string(store_version)},
                       {"dataset", columns.dataset},
                       {"source", columns.source},
                       {"fit", columns.fit},
                       {"log_mel", log_mel_spec_json(columns.spec)},
                       {"classes", list_json(columns.classes)},
                       {"cities", list_json(columns.cities)}};
    layout.tensors = {{"logmel", "F32", {clips, columns.spec.frames, columns.spec.bands}},
                      {"time", "F32", {clips, time_feature_count}},
                      {"label", "I32", {clips}},
                      {"city", "I32", {clips}},
                      {"fold", "I32", {clips}},
                      {"has_time", "U8", {clips}},
                      {"names", "U8", blob(names)},
                      {"sessions", "U8", blob(sessions)},
                      {"devices", "U8", blob(devices)},
                      {"recorded", "U8", blob(recorded)}};
    append_bytes(layout.tail, columns.time);
    append_bytes(layout.tail, columns.label);
    append_bytes(layout.tail, columns.city);
    append_bytes(layout.tail, columns.fold);
    append_bytes(layout.tail, columns.has_time);
    layout.tail += names + sessions + devices + recorded;
    return layout;
}

/// Whether no value is NaN or infinite. It tests the exponent's bits, so that the compiler vectorises the loop.
bool are_numbers(std::span<const float> values) {
    constexpr uint32_t exponent = 0x7f800000;
    uint32_t found = 0;
#pragma omp simd reduction(| : found)
    for (size_t i = 0; i < values.size(); ++i)
        found |= (std::bit_cast<uint32_t>(values[i]) & exponent) == exponent ? 1u : 0u;
    return found == 0;
}

/// Reads the parts of a store. Errors name the part that is wrong.
class StoreReader {
public:
    explicit StoreReader(const SafetensorsFile& file) : file_(file), name_(file.path().string()) {
        const auto format = file.metadata().find("format"), version = file.metadata().find("version");
        if (format == file.metadata().end() || format->second != store_format)
            fail("{}: not a feature store; make one with `scene prepare`", name_);
        if (version == file.metadata().end() || version->second != store_version)
            fail("{}: a feature store of version {}, this program reads {}; make it again with `scene prepare`", name_,
                 version == file.metadata().end() ? "?" : version->second, store_version);
    }

    [[noreturn]] void corrupted(const std::string& detail) const {
        fail("{}: corrupted ({}); make it again with `scene prepare`", name_, detail);
    }
    std::vector<std::string> strings(const std::string& what, std::string_view text) const {
        const json value = try_parse_json(text);
        if (!value.is_array() || !std::all_of(value.begin(), value.end(), [](const json& v) { return v.is_string(); }))
            corrupted("'" + what + "' is not a list of texts");
        return value.get<std::vector<std::string>>();
    }
    std::vector<std::string> string_column(const std::string& tensor, int64_t clips) const {
        const std::span<const uint8_t> bytes = file_.tensor(tensor).as<uint8_t>();
        auto out = strings(tensor, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
        if (static_cast<int64_t>(out.size()) != clips)
            corrupted(fmt::format("'{}' has {} entries for {} clips", tensor, out.size(), clips));
        return out;
    }
    template <typename T> std::span<const T> tensor(const std::string& name, const std::vector<int64_t>& shape) const {
        const SafetensorsEntry& entry = file_.tensor(name);
        if (entry.shape != shape) corrupted(fmt::format("'{}' is {}", name, entry.description()));
        return entry.as<T>();
    }
    template <typename T> std::vector<T> column(const std::string& name, const std::vector<int64_t>& shape) const {
        const std::span<const T> values = tensor<T>(name, shape);
        return {values.begin(), values.end()};
    }
    std::vector<int32_t> indices(const std::string& name, int64_t clips, size_t below) const {
        std::vector<int32_t> values = column<int32_t>(name, {clips});
        for (int32_t value : values)
            if (value < -1 || value >= static_cast<int64_t>(below))
                corrupted(fmt::format("'{}' holds {}, below {} expected", name, value, below));
        return values;
    }

private:
    const SafetensorsFile& file_;
    std::string name_;
};

StoreColumns read_columns(const SafetensorsFile& file) {
    const StoreReader reader(file);
    StoreColumns columns;
    columns.dataset = file.metadata("dataset");
    columns.source = file.metadata("source");
    columns.fit = file.metadata("fit");
    columns.spec = parse_log_mel_spec(file.metadata("log_mel"), file.path().string());
    columns.classes = reader.strings("classes", file.metadata("classes"));
    columns.cities = reader.strings("cities", file.metadata("cities"));
    const SafetensorsEntry& logmel = file.tensor("logmel");
    if (logmel.shape.size() != 3 || logmel.shape[1] != columns.spec.frames || logmel.shape[2] != columns.spec.bands)
        reader.corrupted("'logmel' is " + logmel.description());
    const int64_t clips = logmel.shape[0];
    columns.names = reader.string_column("names", clips);
    columns.sessions = reader.string_column("sessions", clips);
    columns.devices = reader.string_column("devices", clips);
    if (file.contains("recorded")) columns.recorded = reader.string_column("recorded", clips);
    columns.label = reader.indices("label", clips, columns.classes.size());
    columns.city = reader.indices("city", clips, columns.cities.size());
    columns.fold = reader.indices("fold", clips, INT32_MAX);
    columns.has_time = reader.column<uint8_t>("has_time", {clips});
    columns.time = reader.column<float>("time", {clips, time_feature_count});
    return columns;
}

} // namespace

StoreColumns store_columns(const Dataset& dataset, const LogMelSpec& spec, const std::string& fit) {
    StoreColumns columns;
    columns.dataset = dataset.format;
    const std::filesystem::path source = dataset.source.lexically_normal();
    columns.source = (source.has_filename() ? source : source.parent_path()).filename().string();
    columns.fit = fit;
    columns.spec = spec;
    columns.classes = dataset.classes;
    columns.cities = dataset.cities;
    return columns;
}

void append_clip(StoreColumns& columns, const Dataset& dataset, const Clip& clip) {
    columns.names.push_back(clip.name);
    columns.sessions.push_back(clip.session);
    columns.devices.push_back(clip.device);
    columns.label.push_back(clip.label);
    columns.city.push_back(dataset.city_index(clip.city));
    columns.fold.push_back(clip.fold);
    columns.has_time.push_back(clip.time ? 1 : 0);
    columns.recorded.push_back(clip.time ? text_of(*clip.time) : "");
    const auto features = time_features(clip.time);
    columns.time.insert(columns.time.end(), features.begin(), features.end());
}

StoreFrame store_frame(const StoreColumns& columns, size_t minimum_head) {
    Layout layout = layout_of(columns);
    return {safetensors_header(layout.metadata, layout.tensors, minimum_head), std::move(layout.tail)};
}

void write_feature_store(const std::filesystem::path& file, const StoreColumns& columns,
                         std::span<const float> logmel) {
    SCENE_CHECK(static_cast<int64_t>(logmel.size()) == columns.clips() * columns.spec.frames * columns.spec.bands,
                "features [clips, frames, bands]");
    StoreFrame frame = store_frame(columns);
    uint32_t checksum = crc32c(frame.head.data(), frame.head.size());
    checksum = crc32c(logmel.data(), logmel.size_bytes(), checksum);
    set_safetensors_checksum(frame.head, crc32c(frame.tail.data(), frame.tail.size(), checksum));
    AtomicFile out(file);
    out.write(frame.head);
    out.write(logmel.data(), logmel.size_bytes());
    out.write(frame.tail);
    out.commit();
}

FeatureStore::FeatureStore(SafetensorsFile file, StoreColumns columns)
    : file_(std::move(file)), columns_(std::move(columns)), logmel_(file_.tensor("logmel").as<float>()) {}

FeatureStore FeatureStore::open(const std::filesystem::path& path) {
    SafetensorsFile file(path);
    StoreColumns columns = read_columns(file);
    return FeatureStore(std::move(file), std::move(columns));
}

std::span<const float> FeatureStore::logmel(int64_t clip) const {
    SCENE_CHECK(clip >= 0 && clip < clips(), "clip out of range");
    const size_t size = static_cast<size_t>(spec().frames) * static_cast<size_t>(spec().bands);
    return logmel_.subspan(static_cast<size_t>(clip) * size, size);
}

std::vector<int64_t> FeatureStore::clips_without_numbers() const {
    std::vector<char> bad(static_cast<size_t>(clips()));
    const std::span<const float> times(columns_.time);
#pragma omp parallel for schedule(static)
    for (int64_t clip = 0; clip < clips(); ++clip)
        bad[static_cast<size_t>(clip)] =
            !are_numbers(logmel(clip)) ||
            !are_numbers(times.subspan(static_cast<size_t>(clip) * time_feature_count, time_feature_count));
    std::vector<int64_t> out;
    for (int64_t clip = 0; clip < clips(); ++clip)
        if (bad[static_cast<size_t>(clip)]) out.push_back(clip);
    return out;
}

void FeatureStore::require_numbers() const {
    constexpr size_t shown = 3;
    const std::vector<int64_t> bad = clips_without_numbers();
    if (bad.empty()) return;
    std::string names;
    for (size_t i = 0; i < std::min(shown, bad.size()); ++i)
        names += (i ? ", " : "") + columns_.names[static_cast<size_t>(bad[i])];
    fail("{}: {} of {} clips have NaN or infinite features ({}{}); mend or remove their audio and make the store again "
         "with `scene prepare`",
         path().string(), bad.size(), clips(), names, bad.size() > shown ? ", ..." : "");
}

std::string log_mel_spec_json(const LogMelSpec& spec) {
    return json_line(json{{"sample_rate", spec.sample_rate},
                          {"n_fft", spec.n_fft},
                          {"window", spec.window},
                          {"hop", spec.hop},
                          {"bands", spec.bands},
                          {"low_hz", spec.low_hz},
                          {"top_db", spec.top_db},
                          {"frames", spec.frames},
                          {"samples", spec.samples}});
}

LogMelSpec parse_log_mel_spec(const std::string& text, const std::string& where) {
    const json value = try_parse_json(text);
    LogMelSpec spec;
    try {
        spec.sample_rate = whole_number<int32_t>(value.at("sample_rate"));
        spec.n_fft = whole_number<int32_t>(value.at("n_fft"));
        spec.window = whole_number<int32_t>(value.at("window"));
        spec.hop = whole_number<int32_t>(value.at("hop"));
        spec.bands = whole_number<int32_t>(value.at("bands"));
        spec.low_hz = value.at("low_hz").get<float>();
        spec.top_db = value.at("top_db").get<float>();
        spec.frames = whole_number<int32_t>(value.at("frames"));
        spec.samples = whole_number<int32_t>(value.at("samples"));
    } catch (const std::exception&) { fail("{}: damaged feature settings; make the file again", where); }
    if (!spec.is_possible()) fail("{}: impossible feature settings {}; make the file again", where, text);
    return spec;
}

} // namespace scene
