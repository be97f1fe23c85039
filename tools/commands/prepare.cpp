// scene prepare: a dataset's audio to one feature store.

#include <cmath>
#include <memory>

#include "data/audio/audio.h"
#include "data/formats/dataset.h"
#include "data/store/prepare.h"
#include "kernels/files/json.h"
#include "tools/cli/dataset_options.h"
#include "tools/cli/options.h"
#include "tools/cli/progress_display.h"
#include "tools/cli/stop.h"
#include "tools/commands/audio_notes.h"
#include "tools/commands/command.h"

namespace scene {
namespace {

using Json = nlohmann::ordered_json;

struct PrepareOptionsGiven {
    CommonOptions common;
    DatasetFlags layout;
    std::string dataset, out, fit = "loop";
    double seconds = 10;
    bool skip_bad = false;
};

Json to_json(const PrepareReport& report, const std::string& out) {
    const auto list = [](const std::vector<ClipProblem>& problems) {
        Json array = Json::array();
        for (const ClipProblem& problem : problems)
            array.push_back(Json{{"file", problem.file}, {"row", problem.row}, {"reason", problem.reason}});
        return array;
    };
    return {{"store", out},
            {"clips", report.clips},
            {"resumed", report.resumed},
            {"bad", list(report.bad)},
            {"silent", list(report.silent)},
            {"longer", report.longer.size()},
            {"ends_early", report.ends_early.size()},
            {"list", report.list.string()}};
}

/// The paper's features for clips of another length: as many whole hops as fit.
LogMelSpec features_of(double seconds) {
    LogMelSpec spec;
    spec.samples = static_cast<int32_t>(std::llround(seconds * spec.sample_rate));
    spec.frames = spec.samples / spec.hop;
    return spec;
}

FileCount counted(const std::vector<ClipProblem>& problems) {
    FileCount count;
    for (const ClipProblem& problem : problems) count.add(problem.file);
    return count;
}

int run(const PrepareOptionsGiven& given) {
    const RuntimeSettings runtime = given.common.runtime();
    DatasetOptions layout = given.layout.options();
    layout.keep_missing = given.skip_bad;
    const Dataset dataset = read_dataset(given.dataset, layout);
    note_about(dataset, given.common.quiet);
    const auto device = open_device(runtime, given.common.quiet);
    ProgressDisplay progress(given.common.quiet);
    const GracefulStop stop;
    PrepareOptions options;
    options.spec = features_of(given.seconds);
    options.fit = fit_rule_from_name(given.fit);
    options.threads = static_cast<int>(runtime.threads);
    options.skip_bad = given.skip_bad;
    options.stop = &stop.flag();
    options.notice = [&](const std::string& sentence) { progress.message(sentence); };
    bool begun = false;
    options.progress = [&](const PrepareProgress& state) {
        if (!begun) progress.begin("prepare", state.total);
        begun = true;
        progress.advance(state.done);
    };
    const PrepareReport report = prepare(dataset, given.out, *device, options);
    progress.end();
    if (!report.complete) throw Interrupted(fmt::format("{}: stopped; run the same command again to go on", given.out));
    const auto total = static_cast<int64_t>(dataset.clips.size());
    if (!given.common.quiet) {
        note_longer_files(counted(report.longer), total, given.seconds);
        note_files_that_end_early(counted(report.ends_early), total);
    }
    if (given.common.json) {
        fmt::print("{}\n", json_text(to_json(report, given.out)));
        return 0;
    }
    fmt::print("{}: {} clips, {} classes, format {}\n", given.out, report.clips, dataset.classes.size(),
               dataset.format);
    if (report.resumed > 0) fmt::print("{} clips were there from an earlier run\n", report.resumed);
    if (!report.bad.empty()) fmt::print("bad clips left out: {}, see {}\n", report.bad.size(), report.list.string());
    if (!report.silent.empty())
        fmt::print("{} silent clips kept, see {}\n", report.silent.size(), report.list.string());
    return 0;
}

} // namespace

void add_prepare_command(CommandLine& line) {
    const auto given = std::make_shared<PrepareOptionsGiven>();
    Arguments arguments = line.add_command(
        "prepare", "Decode a dataset and compute its log-mel features into one store. Resumes where it stopped.",
        "Examples:\n  scene prepare CAS2023/metadata.csv cas.store --audio CAS2023/audio\n"
        "  scene prepare ESC-50/meta/esc50.csv esc50.store --audio ESC-50/audio\n"
        "  scene prepare clips.csv own.store --format csv --column file=path --column label=scene\n"
        "  scene prepare folder_per_class own.store\n"
        "  scene prepare clips.csv own.store --audio folder --classes 'rain,\"bus, tram\",park'\n"
        "Columns are known by their usual names (filename, path, class, category ...). A path of another machine is\n"
        "found below --audio by its longest matching end; with no --audio, files are looked for beside the table, in\n"
        "audio/ there, and in the folder above.\n"
        "Shorter clips repeat until they are --seconds long (--fit zero: zeros follow), longer ones are cut there:\n"
        "no more of them is decoded. A file that ends before its header says, as streams do, is read to its end.",
        [given] { return run(*given); });
    arguments.add("dataset", given->dataset, "metadata file, or a folder with one or with one folder per class")
        .required();
    arguments.add("out", given->out, "the store to write").required();
    add_dataset_options(arguments, given->layout);
    arguments.add("--seconds", given->seconds, "length of every clip (default: 10)").range(1, 3600);
    arguments.add("--fit", given->fit, "how a short clip is filled").choices({"loop", "zero"});
    arguments.add_flag("--skip-bad", given->skip_bad,
                       "leave out clips that are missing or cannot be read, in place of exit 1");
    add_common_options(arguments, given->common);
}

} // namespace scene
