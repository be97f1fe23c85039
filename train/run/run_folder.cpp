#include "train/run/run_folder.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <fstream>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernels/files/atomic_file.h"
#include "kernels/files/fnv1a.h"
#include "kernels/files/json.h"
#include "model/checkpoint.h"
#include "train/config/schedule.h"
#include "train/run/history.h"

namespace scene {
namespace {

using Json = nlohmann::ordered_json;

class Fingerprint {
public:
    void add(const void* data, size_t bytes) { hash_.add_bytes(data, bytes); }
    template <typename T> void add(const std::vector<T>& values) { add(values.data(), values.size() * sizeof(T)); }
    void add(const std::vector<std::string>& texts) {
        for (const std::string& text : texts) add(text.c_str(), text.size() + 1);
    }
    std::string text() const { return fmt::format("{:016x}", hash_.hash); }

private:
    Fnv1a hash_;
};

std::string read_text(const std::filesystem::path& file) {
    std::ifstream stream(file, std::ios::binary);
    std::string text((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
    if (!stream) fail("{}: cannot be read", file.string());
    return text;
}

/// An array of rows of counts.
Json confusion_json(const Confusion& confusion) {
    Json rows = Json::array();
    for (int64_t truth = 0; truth < confusion.classes(); ++truth) {
        Json row = Json::array();
        for (int64_t predicted = 0; predicted < confusion.classes(); ++predicted)
            row.push_back(confusion.count(truth, predicted));
        rows.push_back(row);
    }
    return rows;
}

Confusion parse_confusion(const Json& rows) {
    std::vector<int64_t> counts;
    for (const Json& row : rows) {
        if (!row.is_array() || row.size() != rows.size()) throw std::domain_error("a confusion matrix is square");
        for (const Json& count : row) counts.push_back(whole_number<int64_t>(count));
    }
    return Confusion(static_cast<int64_t>(rows.size()), std::move(counts));
}

Json parts_json(const std::vector<PartScore>& parts) {
    Json out = Json::object();
    for (const PartScore& part : parts)
        out[part.name] = {{"clips", part.confusion.total()},
                          {"balanced_accuracy", part.confusion.balanced_accuracy()},
                          {"accuracy", part.confusion.accuracy()},
                          {"confusion", confusion_json(part.confusion)}};
    return out;
}

std::vector<PartScore> parse_parts(const Json& parts) {
    std::vector<PartScore> out;
    for (const auto& [name, part] : parts.items()) out.push_back({name, parse_confusion(part.at("confusion"))});
    return out;
}

constexpr const char* store_identity_format = "scene.cu store identity";

Json store_identity(const FeatureStore& store) {
    return {{"format", store_identity_format},
            {"version", 1},
            {"clips", store.clips()},
            {"classes", store.columns().classes},
            {"frames", store.spec().frames},
            {"bands", store.spec().bands},
            {"fingerprint", store_fingerprint(store)}};
}

void check_store(const RunFolder& run, const Json& now) {
    Json before;
    try {
        before = parse_ordered_json(read_text(run.store()));
    } catch (const nlohmann::json::exception&) {} // reported below, like any JSON that is no object
    if (!before.is_object()) fail("{}: corrupted; start a new run folder", run.store().string());
    if (before == now) return;
    for (const auto& [key, value] : now.items()) {
        if (key == "fingerprint" || (before.contains(key) && before[key] == value)) continue;
        fail("{}: this run was started with another store ({} was {}, now {}); give the same store or another run "
             "folder",
             run.folder.string(), key, json_line(before.value(key, Json())), json_line(value));
    }
    fail("{}: this run was started with another store (clips or features differ); give the same store or another run "
         "folder",
         run.folder.string());
}

/// Whether the difference concerns the length of a stage, which may change.
bool is_length(const std::string& difference) {
    return difference.starts_with("training.epochs = ") || difference.starts_with("training.early_stop = ");
}

/// Fails if the new settings would have ended the current stage before its last epoch: continuing it must give the same
/// run as starting with them.
void check_length(const RunFolder& run, const RunConfig& config, const std::vector<EpochRecord>& history) {
    const int64_t stage = history.back().stage;
    for (size_t epochs = 1; epochs < history.size(); ++epochs) {
        const std::span<const EpochRecord> before(history.data(), epochs);
        if (before.back().stage != stage || !stage_state(before, stage, config.training).finished) continue;
        fail(
            "{}: stage {} has {} epochs already, training.epochs = {} and training.early_stop = {} would have ended it "
            "after {}; give larger ones or another run folder",
            run.folder.string(), stage, history.back().epoch, config.training.epochs, config.training.early_stop,
            before.back().epoch);
    }
}

std::vector<EpochRecord> read_run_history(const RunFolder& run) {
    if (!std::filesystem::exists(run.last())) return {};
    const CheckpointInfo info = read_checkpoint_info(SafetensorsFile(run.last()));
    const auto history = info.training.find("history");
    return history == info.training.end() ? std::vector<EpochRecord>()
                                          : parse_history_json(history->second, run.last().string());
}

/// Accepts other values of training.epochs and training.early_stop.
void change_length(const RunFolder& run, const RunConfig& config) {
    if (differences(load_config(run.config()), config).empty()) return;
    const std::vector<EpochRecord> history = read_run_history(run);
    if (!history.empty()) {
        check_length(run, config, history);
        const int64_t stage = history.back().stage;
        const bool finished = stage == config.training.stages && stage_state(history, stage, config.training).finished;
        if (!finished) std::filesystem::remove(run.result());
    } else if (std::filesystem::exists(run.result())) {
        fail("{}: there is no such file to go on from; give the settings of before or another run folder",
             run.last().string());
    }
    write_file(run.config(), to_toml(config)); // last, so that a kill before it leaves the old settings
}

void check_config(const RunFolder& run, const RunConfig& config) {
    std::string list;
    for (const std::string& one : differences(load_config(run.config()), config)) {
        if (is_length(one)) continue;
        list += (list.empty() ? "" : ", ") + one;
    }
    if (list.empty()) return;
    fail("{}: this run was started with other settings: {}; give the same settings or another run folder",
         run.folder.string(), list);
}

/// Whether the run was killed in its first epoch, after best_model_1 and before last.safetensors. That epoch is
/// repeated.
bool is_left_by_a_killed_first_epoch(const RunFolder& run) {
    if (!std::filesystem::is_regular_file(run.best_model(1))) return false;
    const CheckpointInfo info = read_checkpoint_info(SafetensorsFile(run.best_model(1)));
    const auto epoch = info.training.find("epoch");
    if (epoch == info.training.end() || epoch->second != "1") return false;
    if (!std::filesystem::exists(run.metrics())) return true;
    const std::string lines = read_text(run.metrics());
    return std::count(lines.begin(), lines.end(), '\n') <= 1;
}

/// The files of a run that may be removed: all but the lock, the teacher's folder and the models, of which only one
/// that a killed first epoch left is included.
std::vector<std::filesystem::path> files_of(const RunFolder& run) {
    std::vector<std::filesystem::path> files = {run.config(),
                                                run.split(),
                                                run.metrics(),
                                                run.last(),
                                                run.pseudo_labels(),
                                                run.hard_samples(),
                                                run.predictions(),
                                                run.report(),
                                                run.result(),
                                                run.folder / "confusion.txt",
                                                run.folder / "confusion.csv",
                                                run.folder / "confusion.svg",
                                                run.store()};
    if (is_left_by_a_killed_first_epoch(run)) files.insert(files.begin(), run.best_model(1));
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(run.folder, ignored))
        if (entry.path().filename().string().starts_with("events.out.tfevents.")) files.push_back(entry.path());
    std::erase_if(files, [&](const auto& file) { return !std::filesystem::is_regular_file(file, ignored); });
    return files;
}

/// Whether scene started a run in this folder: it writes store.json before any other file.
bool is_begun_by_a_run(const RunFolder& run) {
    if (!std::filesystem::is_regular_file(run.store())) return false;
    const Json store = try_parse_json(read_text(run.store()));
    return store.is_object() && store.value("format", Json()) == store_identity_format;
}

/// Fails if clearing a folder without a complete epoch would remove files of another program, or models other than one
/// of a killed first epoch.
void check_clearable(const RunFolder& run) {
    for (int64_t stage = is_left_by_a_killed_first_epoch(run) ? 2 : 1; stage <= most_stages; ++stage)
        if (std::filesystem::is_regular_file(run.best_model(stage)))
            fail("{}: holds {} and no last.safetensors to go on from; give another run folder, or remove the model",
                 run.folder.string(), run.best_model(stage).filename().string());
    const std::vector<std::filesystem::path> files = files_of(run);
    if (!files.empty() && !is_begun_by_a_run(run))
        fail("{}: its {} is not of a run of scene, which would write a file of this name; give another run folder",
             run.folder.string(), files.front().filename().string());
    if (std::filesystem::is_directory(run.teacher())) check_clearable({run.teacher()});
}

/// Removes the files that a run without a complete epoch left.
void clear_files(const RunFolder& run) {
    std::error_code ignored;
    if (is_begun_by_a_run(run))
        for (const std::filesystem::path& file : files_of(run)) std::filesystem::remove(file, ignored);
    const RunFolder teacher{run.teacher()};
    if (!std::filesystem::is_directory(teacher.folder)) return;
    clear_files(teacher);
    std::filesystem::remove(teacher.lock(), ignored);
    std::filesystem::remove(teacher.folder, ignored); // only if it is empty
}

} // namespace

std::string store_fingerprint(const FeatureStore& store) {
    const StoreColumns& columns = store.columns();
    Fingerprint fingerprint;
    fingerprint.add(columns.classes);
    fingerprint.add(columns.cities);
    fingerprint.add(columns.names);
    fingerprint.add(columns.label);
    fingerprint.add(columns.city);
    fingerprint.add(columns.has_time);
    fingerprint.add(columns.time);
    const auto frames = static_cast<size_t>(store.spec().frames), bands = static_cast<size_t>(store.spec().bands);
    for (int64_t clip = 0; clip < store.clips(); ++clip) {
        const auto features = store.logmel(clip);
        for (size_t frame : {size_t{0}, frames / 2, frames - 1})
            fingerprint.add(features.data() + frame * bands, bands * sizeof(float));
    }
    return fingerprint.text();
}

RunLock::RunLock(const RunFolder& run) {
    std::error_code error;
    struct stat file = {};
    do { // again if the previous holder removed the lock file, with the folder
        if (descriptor_ >= 0) ::close(descriptor_);
        std::filesystem::create_directories(run.folder, error);
        if (error) fail("{}: cannot create the run folder: {}", run.folder.string(), error.message());
        const std::filesystem::path lock = run.lock();
        descriptor_ = ::open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (descriptor_ < 0) fail_write(lock, errno);
        if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
            ::close(descriptor_);
            fail("{}: another process is training in this folder; wait for it or give another run folder",
                 run.folder.string());
        }
    } while (::fstat(descriptor_, &file) == 0 && file.st_nlink == 0);
    for (const auto& entry : std::filesystem::directory_iterator(run.folder, error))
        if (entry.path().filename().string().find(".tmp-") != std::string::npos)
            std::filesystem::remove(entry.path(), error);
}

RunLock::~RunLock() { ::close(descriptor_); }

bool has_epochs(const RunFolder& run) {
    const RunFolder teacher{run.teacher()};
    return std::filesystem::exists(run.last()) || std::filesystem::exists(run.result()) ||
           std::filesystem::exists(teacher.last()) || std::filesystem::exists(teacher.result());
}

void clear_run_folder(const RunFolder& run) {
    clear_files(run);
    std::error_code ignored;
    std::filesystem::remove(run.lock(), ignored);
    std::filesystem::remove(run.folder, ignored); // only if it is empty
}

void open_run_folder(const RunFolder& run, const RunConfig& config, const FeatureStore& store, const Split& split) {
    if (!has_epochs(run)) {
        check_clearable(run);
        clear_files(run);
    }
    const bool goes_on = std::filesystem::exists(run.config());
    if (goes_on) check_config(run, config);
    const Json identity = store_identity(store);
    if (std::filesystem::exists(run.store()))
        check_store(run, identity);
    else
        write_file(run.store(), json_text(identity) + "\n");
    if (!std::filesystem::exists(run.split()))
        save_split(run.split(), split, store.clips());
    else if (load_split(run.split(), store.clips()) != split)
        fail("{}: this run was started with another split; give the same store and split or another run folder",
             run.folder.string());
    if (goes_on)
        change_length(run, config);
    else
        write_file(run.config(), to_toml(config));
}

void save_result(const RunFolder& run, const RunResult& result, const std::vector<std::string>& classes) {
    const auto or_null = [](const std::optional<double>& value) {
        return value && std::isfinite(*value) ? Json(*value) : Json();
    };
    Json json = {
        {"format", "scene.cu result"},
        {"version", 1},
        {"system", result.system},
        {"split", result.split},
        {"leaked_share", or_null(result.leak.labelled)},
        {"leaked_share_with_unlabelled", or_null(result.leak.any)},
        {"session_known_share", or_null(result.leak.known)},
        {"train_balanced_accuracy", result.train_score},
        {"pseudo_balanced_accuracy", or_null(result.pseudo_score)},
        {"labelled_validation_balanced_accuracy", or_null(result.labelled_score)},
        {"test_balanced_accuracy", result.test ? Json(result.test->balanced_accuracy()) : Json()},
        {"test_accuracy", result.test ? Json(result.test->accuracy()) : Json()},
        {"classes", classes},
        {"test_confusion", Json()},
        {"cities", parts_json(result.cities)},
        {"devices", parts_json(result.devices)},
        {"hard_clips", result.hard_clips},
        {"checkpoint", result.checkpoint.filename().string()},
    };
    if (result.test) json["test_confusion"] = confusion_json(*result.test);
    write_file(run.result(), json_text(json) + "\n");
}

std::optional<RunResult> load_result(const RunFolder& run) {
    if (!std::filesystem::exists(run.result())) return std::nullopt;
    try {
        const Json json = parse_ordered_json(read_text(run.result()));
        const auto optional = [&](const char* key) {
            return json.at(key).is_null() ? std::nullopt : std::optional(json.at(key).get<double>());
        };
        RunResult result;
        result.system = json.at("system").get<std::string>();
        result.train_score = json.at("train_balanced_accuracy").get<double>();
        result.pseudo_score = optional("pseudo_balanced_accuracy");
        result.labelled_score = optional("labelled_validation_balanced_accuracy");
        result.hard_clips = whole_number<int64_t>(json.at("hard_clips"));
        result.checkpoint = run.folder / json.at("checkpoint").get<std::string>();
        result.was_complete = true;
        if (!json.at("test_confusion").is_null()) result.test = parse_confusion(json.at("test_confusion"));
        result.cities = parse_parts(json.value("cities", Json::object()));
        result.devices = parse_parts(json.value("devices", Json::object()));
        return result;
    } catch (const std::exception&) {
        fail("{}: corrupted; delete it and run the same command again", run.result().string());
    }
}

} // namespace scene
