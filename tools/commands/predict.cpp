// scene predict: the scene of audio files.

#include <algorithm>
#include <atomic>
#include <cmath>
#include <filesystem>
#include <memory>
#include <numeric>
#include <span>

#include "data/audio/audio.h"
#include "data/audio/audio_files.h"
#include "data/formats/csv.h"
#include "data/formats/record_time.h"
#include "kernels/files/json.h"
#include "tools/cli/note.h"
#include "tools/cli/options.h"
#include "tools/cli/standard_streams.h"
#include "tools/cli/stop.h"
#include "tools/commands/audio_notes.h"
#include "tools/commands/command.h"
#include "train/evaluation/evaluate.h"
#include "train/evaluation/predictor.h"

namespace scene {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

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
    Recording heard;
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

/// Decodes in parallel. Once `stop` is set, the files that have not begun are skipped.
std::vector<Decoded> decode(std::span<const std::string> files, const LogMelSpec& spec, const std::atomic<bool>& stop) {
    std::vector<Decoded> decoded(files.size());
#pragma omp parallel for schedule(dynamic)
    for (size_t i = 0; i < files.size(); ++i) {
        if (stop) continue;
        try {
            decoded[i].heard = read_recording(files[i], spec.sample_rate, spec.samples);
        } catch (const std::exception& error) { decoded[i].error = error.what(); }
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

/// Writes results in one of the formats: as they come, but --json at the end.
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
            all_.push_back(to_json(file, ranked));
        else if (options_.format == "jsonl")
            fmt::print("{}\n", json_line(to_json(file, ranked)));
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
    /// A file that cannot be read: text and csv leave it out.
    void add_error(const std::string& file, const std::string& error) {
        const Json item = {{"file", file}, {"error", error}};
        if (options_.common.json)
            all_.push_back(item);
        else if (options_.format == "jsonl")
            fmt::print("{}\n", json_line(item));
    }
    void finish() {
        if (options_.common.json) fmt::print("{}\n", json_text(all_));
    }

private:
    static Json to_json(const std::string& file, const std::vector<Ranked>& ranked) {
        Json top = Json::array();
        for (const Ranked& one : ranked) top.push_back(Json{{"label", one.label}, {"confidence", one.confidence}});
        return {
            {"file", file}, {"label", ranked.front().label}, {"confidence", ranked.front().confidence}, {"top", top}};
    }

    const PredictOptions& options_;
    size_t top_;
    Json all_ = Json::array();
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

/// What is reported once for all files.
struct Remarks {
    FileCount longer, ends_early;
    bool any_bad = false;
};

/// Predicts one chunk of files and writes its rows.
void predict_chunk(Predictor& predictor, const PredictOptions& options, std::span<const std::string> files,
                   std::vector<Decoded> decoded, Output& output, size_t top, Remarks& remarks) {
    const std::vector<std::string>& classes = predictor.info().classes;
    std::vector<PredictorClip> clips;
    for (size_t i = 0; i < files.size(); ++i) {
        if (!decoded[i].error.empty()) continue;
        clips.push_back({std::move(decoded[i].heard.wave), options.city, options.time});
        if (decoded[i].heard.longer) remarks.longer.add(files[i]);
        if (decoded[i].heard.ends_early) remarks.ends_early.add(files[i]);
    }
    const std::vector<float> probabilities = clips.empty() ? std::vector<float>() : predictor.predict(clips);
    if (!std::all_of(probabilities.begin(), probabilities.end(), [](float p) { return std::isfinite(p); }))
        fail("{}: the model answers NaN: its weights are damaged; train it again", options.checkpoint);
    const float* next = probabilities.data();
    for (size_t i = 0; i < files.size(); ++i) {
        if (decoded[i].error.empty()) {
            output.add(files[i], rank(next, classes, top));
            next += classes.size();
            continue;
        }
        output.add_error(files[i], decoded[i].error);
        say(fmt::format("scene: {}\n", decoded[i].error));
        remarks.any_bad = true;
    }
}

int run(const PredictOptions& options) {
    const std::vector<std::string> files = expand(options);
    const GracefulStop stop;
    const auto device = open_device(options.common.runtime(), options.common.quiet);
    const fs::path checkpoint = find_checkpoint(options.checkpoint);
    Predictor predictor(*device, checkpoint, static_cast<int64_t>(std::min(files.size(), chunk_files)));
    const CheckpointInfo& info = predictor.info();
    check_place_and_time(options, info);
    const size_t top = std::min(static_cast<size_t>(options.top), info.classes.size());
    Output output(options, top);
    Remarks remarks;
    size_t done = 0;
    while (done < files.size() && !stop.flag()) {
        const auto chunk = std::span(files).subspan(done, std::min(files.size() - done, chunk_files));
        std::vector<Decoded> decoded = decode(chunk, info.features, stop.flag());
        if (stop.flag()) break;
        predict_chunk(predictor, options, chunk, std::move(decoded), output, top, remarks);
        done += chunk.size();
    }
    output.finish();
    if (done < files.size()) throw Interrupted(fmt::format("stopped after {} of {} files", done, files.size()));
    if (!options.common.quiet) {
        const auto total = static_cast<int64_t>(files.size());
        note_longer_files(remarks.longer, total,
                          static_cast<double>(info.features.samples) / info.features.sample_rate);
        note_files_that_end_early(remarks.ends_early, total);
        if (info.model.multimodal && options.city.empty() && options.time.empty())
            note_later("this model also knows where and when; it was told neither --city nor --time");
    }
    return remarks.any_bad ? 1 : 0;
}

} // namespace

void add_predict_command(CommandLine& line) {
    const auto options = std::make_shared<PredictOptions>();
    Arguments arguments = line.add_command(
        "predict", "The scene of audio files: label, confidence and the next likely ones.",
        "Examples:\n  scene predict runs/s4/best_model_2.safetensors recording.wav\n"
        "  scene predict runs/s4 recordings/ --format csv > scenes.csv\n"
        "A file that cannot be read is one line on stderr, and an item with \"error\" in --json and jsonl (csv leaves "
        "it\n"
        "out); the others go on, and the exit status is 1. After Ctrl-C what was written is whole; the status is 130.",
        [options] { return run(*options); });
    arguments.add("checkpoint", options->checkpoint, "run folder (its last stage's best model) or checkpoint file")
        .required();
    arguments.add_list("files", options->files, "audio files, or folders of them").required();
    arguments.add("--format", options->format, "of the output").choices({"text", "csv", "jsonl"});
    arguments.add("--top", options->top, "how many labels per file").range(1, 1000);
    arguments.add("--city", options->city, "where it was recorded, for models that use it");
    arguments.add("--time", options->time, "when, as \"YYYY-MM-DD HH:MM:SS\", for models that use it");
    add_common_options(arguments, options->common);
}

} // namespace scene
