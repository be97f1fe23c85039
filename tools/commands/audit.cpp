// scene audit: what a dataset's metadata reveal of the labels under a split, and which clips are defective.

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <memory>

#include "data/audit/audio_audit.h"
#include "data/audit/audit.h"
#include "data/formats/dataset.h"
#include "tools/cli/dataset_options.h"
#include "tools/cli/options.h"
#include "tools/cli/progress_display.h"
#include "tools/cli/split_options.h"
#include "tools/cli/stop.h"
#include "tools/commands/audit_report.h"
#include "tools/commands/command.h"
#include "train/run/stages.h"

namespace scene {
namespace {

namespace fs = std::filesystem;

struct AuditGiven {
    CommonOptions common;
    DatasetFlags layout;
    SplitFlags split;
    std::string source;
    int64_t seeds = 1;
    bool no_audio = false;
};

bool is_metadata(const fs::path& path) {
    std::string extension = path.extension().string();
    std::transform(extension.begin(), extension.end(), extension.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return fs::is_directory(path) || extension == ".csv" || extension == ".tsv" || extension == ".txt";
}

/// The audio folder of CAS2023 metadata without --audio: `audio` beside them, or the folder that was given. Empty if
/// there is neither.
fs::path audio_beside(const fs::path& source) {
    const fs::path folder = fs::is_directory(source) ? source : source.parent_path();
    if (fs::is_directory(folder / "audio")) return folder / "audio";
    return fs::is_directory(source) ? source : fs::path();
}

/// The dataset with the audio that is found. A clip without audio has no file.
Dataset read_with_or_without_audio(const AuditGiven& given) {
    DatasetOptions options = given.layout.options();
    options.require_audio = false;
    Dataset dataset = read_dataset(given.source, options);
    const fs::path audio = audio_beside(given.source);
    if (given.no_audio || dataset.format != "cas2023" || !options.audio.empty() || audio.empty()) return dataset;
    options.audio = audio;
    return read_dataset(given.source, options);
}

bool has_audio(const Dataset& dataset) {
    return std::any_of(dataset.clips.begin(), dataset.clips.end(), [](const Clip& clip) { return !clip.file.empty(); });
}

AudioAudit listen(const Dataset& dataset, const AuditGiven& given) {
    ProgressDisplay progress(given.common.quiet);
    const GracefulStop stop;
    AudioAuditOptions options;
    options.threads = static_cast<int>(given.common.runtime().threads);
    options.stop = &stop.flag();
    options.progress = [&](int64_t done, int64_t) { progress.advance(done); };
    progress.begin("audit", static_cast<int64_t>(dataset.clips.size()));
    AudioAudit audio = audit_audio(dataset, options);
    progress.end();
    if (!audio.complete) throw Interrupted("stopped; --no-audio does without the audio");
    return audio;
}

int run(const AuditGiven& given) {
    AuditReport report;
    report.source = given.source;
    StoreColumns columns;
    std::optional<Dataset> dataset;
    std::optional<FeatureStore> store;
    if (is_metadata(given.source)) {
        dataset = read_with_or_without_audio(given);
        note_about(*dataset, given.common.quiet);
        columns = columns_of(*dataset);
    } else {
        store.emplace(FeatureStore::open(given.source));
        columns = store->columns();
    }
    report.names = columns.names;
    SplitSettings settings = given.split.apply({});
    settings.seed = given.common.seed.value_or(settings.seed);
    for (int64_t i = 0; i < given.seeds; ++i, ++settings.seed) {
        report.seeds.push_back(settings.seed);
        report.splits.push_back(split_of(columns, settings));
        report.audits.push_back(audit(columns, report.splits.back()));
    }
    if (!given.no_audio && dataset && has_audio(*dataset)) report.audio = listen(*dataset, given);
    if (!given.no_audio && store) report.audio = audit_features(*store);
    fmt::print("{}{}", given.common.json ? audit_json(report) : audit_text(report), given.common.json ? "\n" : "");
    return 0;
}

} // namespace

void add_audit_command(CommandLine& line) {
    const auto given = std::make_shared<AuditGiven>();
    Arguments arguments = line.add_command(
        "audit", "What a dataset's metadata give away under a split: counts, leaks, the score without any audio.",
        "Examples:\n  scene audit cas.store --split simulation\n"
        "  scene audit CAS2023/metadata.csv --split session --seeds 20 --json\n"
        "A metadata file needs no audio beside it; where there is some, its clips are checked. --seed is the split's.",
        [given] { return run(*given); });
    arguments.add("source", given->source, "store, metadata file (.csv, .tsv, .txt), or folder of a dataset")
        .required();
    add_split_options(arguments, given->split);
    arguments.add("--seeds", given->seeds, "mean and deviation over so many splits, from --seed on").range(1, 10000);
    arguments.add_flag("--no-audio", given->no_audio, "look at the metadata only");
    add_dataset_options(arguments, given->layout);
    add_common_options(arguments, given->common);
}

} // namespace scene
