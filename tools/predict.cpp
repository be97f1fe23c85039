// scene predict: the scene of audio files.

#include <algorithm>
#include <filesystem>
#include <memory>
#include <numeric>

#include "data/audio.h"
#include "data/audio_files.h"
#include "data/csv.h"
#include "data/record_time.h"
#include "tools/command.h"
#include "tools/json_value.h"
#include "tools/note.h"
#include "tools/options.h"
#include "train/predictor.h"

namespace scene {
namespace {

namespace fs = std::filesystem;

constexpr size_t chunk_files = 16; ///< decoded in parallel, then predicted together

struct PredictOptions {
    CommonOptions common;
    std::string checkpoint, format = "text", city, time;
    std::vector<std::string> files;
    int64_t top = 3;
};

struct Ranked {
    std::string label;
    double confidence = 0;
};

struct Decoded {
    std::vector<float> wave;
    std::string error; ///< empty: decoded
};

/// The files given, with every folder replaced by the audio files below it, sorted.
std::vector<std::string> expand(const PredictOptions& options) {
    std::vector<std::string> files;
    LeftOut left_out;
    for (const std::string& name : options.files) {
        std::error_code ignored;
        if (!fs::is_directory(name, ignored)) {
            files.push_back(name);
            continue;
        }
        const AudioFiles inside = audio_files_below(name);
        left_out.add(inside.left_out);
        if (inside.files.empty() && inside.left_out.unreadable.empty()) {
            const std::string others = inside.left_out.files_text();
            fail("{}: no audio files in this folder{}", name, others.empty() ? "" : " (" + others + ")");
        }
        for (const fs::path& file : inside.files) files.push_back(file.string());
    }
    if (!left_out.unreadable.empty()) fail("{}", left_out.folders_text());
    if (const std::string text = left_out.files_text(); !text.empty() && !options.common.quiet) note_later(text);
    return files;
}

std::vector<Decoded> decode(const std::vector<std::string>& files, size_t begin, size_t end, int sample_rate) {
    std::vector<Decoded> decoded(end - begin);
#pragma omp parallel for schedule(dynamic)
    for (size_t i = begin; i < end; ++i) {
        Decoded& one = decoded[i - begin];
        try {
            one.wave = read_mono(files[i], sample_rate);
        } catch (const std::exception& error) { one.error = error.what(); }
    }
    return decoded;
}

std::vector<Ranked> rank(const float* probabilities, const std::vector<std::string>& classes, size_t top) {
    std::vector<size_t> order(classes.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return probabilities[a] > probabilities[b]; });
    std::vector<Ranked> ranked;
    for (size_t i = 0; i < std::min(top, order.size()); ++i)
        ranked.push_back({classes[order[i]], static_cast<double>(probabilities[order[i]])});
    return ranked;
}

/// Writes results in one of the formats, as they come.
class Output {
public:
    Output(const PredictOptions& options, size_t top) : options_(options), top_(top) {
        if (options.common.json || options.format != "csv") return;
        fmt::print("file,label,confidence");
        for (size_t i = 2; i <= top_; ++i) fmt::print(",label_{},confidence_{}", i, i);
        fmt::print("\n");
    }

    void add(const std::string& file, const std::vector<Ranked>& ranked) {
        if (options_.common.json)
            all_.push(to_json(file, ranked));
        else if (options_.format == "jsonl")
            fmt::print("{}\n", to_json(file, ranked).line());
        else if (options_.format == "csv") {
            std::string row = csv_field(file);
            for (const Ranked& one : ranked) row += fmt::format(",{},{:.6f}", csv_field(one.label), one.confidence);
            fmt::print("{}\n", row);
        } else {
            std::string text = fmt::format("{}: {} {:.3f}", file, ranked.front().label, ranked.front().confidence);
            for (size_t i = 1; i < ranked.size(); ++i)
                text += fmt::format("{}{} {:.3f}", i == 1 ? "  (" : ", ", ranked[i].label, ranked[i].confidence);
            fmt::print("{}{}\n", text, ranked.size() > 1 ? ")" : "");
        }
    }
    void finish() {
        if (options_.common.json) fmt::print("{}\n", all_.text());
    }

private:
    static JsonValue to_json(const std::string& file, const std::vector<Ranked>& ranked) {
        JsonValue top = JsonValue::array();
        for (const Ranked& one : ranked)
            top.push(JsonValue::object().set("label", one.label).set("confidence", one.confidence));
        return JsonValue::object()
            .set("file", file)
            .set("label", ranked.front().label)
            .set("confidence", ranked.front().confidence)
            .set("top", top);
    }

    const PredictOptions& options_;
    size_t top_;
    JsonValue all_ = JsonValue::array();
};

void check_place_and_time(const PredictOptions& options, const CheckpointInfo& info) {
    if (options.city.empty() && options.time.empty()) return;
    if (!info.model.multimodal)
        fail("{}: this model hears audio only; leave --city and --time out", options.checkpoint);
    if (!options.time.empty() && !parse_record_time(options.time))
        fail("--time {}: expected YYYY-MM-DD HH:MM:SS", options.time);
    if (!options.city.empty() && std::find(info.cities.begin(), info.cities.end(), options.city) == info.cities.end())
        fail("--city {}: the model knows {}", options.city, fmt::join(info.cities, ", "));
}

int run(const PredictOptions& options) {
    const std::vector<std::string> files = expand(options);
    const auto backend = open_backend(options.common.runtime(), options.common.quiet);
    Predictor predictor(*backend, options.checkpoint, static_cast<int64_t>(std::min(files.size(), chunk_files)));
    const CheckpointInfo& info = predictor.info();
    check_place_and_time(options, info);
    const size_t top = std::min(static_cast<size_t>(options.top), info.classes.size());
    Output output(options, top);
    bool all_good = true;
    for (size_t begin = 0; begin < files.size(); begin += chunk_files) {
        const size_t end = std::min(files.size(), begin + chunk_files);
        std::vector<Decoded> decoded = decode(files, begin, end, info.features.sample_rate);
        std::vector<PredictorClip> clips;
        std::vector<size_t> origin;
        for (size_t i = 0; i < decoded.size(); ++i) {
            if (decoded[i].error.empty()) {
                clips.push_back({std::move(decoded[i].wave), options.city, options.time});
                origin.push_back(begin + i);
                continue;
            }
            fmt::print(stderr, "scene: {}\n", decoded[i].error);
            all_good = false;
        }
        if (clips.empty()) continue;
        const std::vector<float> probabilities = predictor.predict(clips);
        for (size_t i = 0; i < clips.size(); ++i)
            output.add(files[origin[i]], rank(probabilities.data() + i * info.classes.size(), info.classes, top));
    }
    output.finish();
    return all_good ? 0 : 1;
}

} // namespace

void add_predict_command(CommandLine& line) {
    const auto options = std::make_shared<PredictOptions>();
    Arguments arguments = line.add_command(
        "predict", "The scene of audio files: label, confidence and the next likely ones.",
        "Examples:\n  scene predict runs/s4/best_model_2.safetensors recording.wav\n"
        "  scene predict runs/s4/best_model_2.safetensors recordings/ --format csv > scenes.csv\n"
        "A file that cannot be read is one line on stderr; the others go on, and the exit status is 1.",
        [options] { return run(*options); });
    arguments.add("checkpoint", options->checkpoint, "a run's best_model_*.safetensors").required();
    arguments.add_list("files", options->files, "audio files, or folders of them").required();
    arguments.add("--format", options->format, "of the output").choices({"text", "csv", "jsonl"});
    arguments.add("--top", options->top, "how many labels per file").range(1, 1000);
    arguments.add("--city", options->city, "where it was recorded, for models that use it");
    arguments.add("--time", options->time, "when, as \"YYYY-MM-DD HH:MM:SS\", for models that use it");
    add_common_options(arguments, options->common);
}

} // namespace scene
