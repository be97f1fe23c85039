#include "train/run/history.h"

#include <cerrno>
#include <cmath>
#include <fstream>
#include <limits>
#include <map>

#include <fcntl.h>
#include <unistd.h>

#include "kernels/files/atomic_file.h"
#include "kernels/files/json.h"

namespace scene {
namespace {

using Json = nlohmann::ordered_json;

Json to_json(const EpochRecord& record, bool with_timings) {
    Json json = {
        {"stage", record.stage},
        {"epoch", record.epoch},
        {"learning_rate", record.learning_rate},
        {"train_loss", record.train_loss},
        {"train_balanced_accuracy", record.train_balanced_accuracy},
        {"validation_loss", record.validation_loss},
        {"validation_balanced_accuracy", record.validation_balanced_accuracy},
        {"validation_labelled_balanced_accuracy", record.validation_labelled},
        {"best", record.best},
    };
    if (with_timings) {
        json["seconds"] = std::round(record.seconds * 1e4) / 1e4;
        json["clips_per_second"] = std::round(record.clips_per_second * 10) / 10;
    }
    return json;
}

/// JSON has no NaN and no infinity: the score of no clips and an infinite speed are written as null.
double number(const Json& json) {
    return json.is_null() ? std::numeric_limits<double>::quiet_NaN() : json.get<double>();
}

EpochRecord from_json(const Json& json) {
    EpochRecord record;
    record.stage = whole_number<int64_t>(json.at("stage"));
    record.epoch = whole_number<int64_t>(json.at("epoch"));
    record.learning_rate = number(json.at("learning_rate"));
    record.train_loss = number(json.at("train_loss"));
    record.train_balanced_accuracy = number(json.at("train_balanced_accuracy"));
    record.validation_loss = number(json.at("validation_loss"));
    record.validation_balanced_accuracy = number(json.at("validation_balanced_accuracy"));
    record.validation_labelled = number(json.at("validation_labelled_balanced_accuracy"));
    record.best = json.at("best").get<bool>();
    record.seconds = json.contains("seconds") ? number(json["seconds"]) : 0;
    record.clips_per_second = json.contains("clips_per_second") ? number(json["clips_per_second"]) : 0;
    return record;
}

} // namespace

std::string epoch_json(const EpochRecord& record) { return json_line(to_json(record, true)); }

EpochRecord parse_epoch_json(const std::string& line, const std::string& where) {
    try {
        return from_json(parse_ordered_json(line));
    } catch (const std::exception&) {
        fail("{}: not a line of metrics.jsonl; delete the line or start a new run folder", where);
    }
}

std::string history_json(const std::vector<EpochRecord>& history) {
    Json list = Json::array();
    for (const EpochRecord& record : history) list.push_back(to_json(record, false));
    return json_line(list);
}

std::vector<EpochRecord> parse_history_json(const std::string& json, const std::string& where) {
    try {
        const Json list = parse_ordered_json(json);
        if (!list.is_array()) throw std::domain_error("not a list");
        std::vector<EpochRecord> history;
        for (const Json& entry : list) history.push_back(from_json(entry));
        return history;
    } catch (const std::exception&) { fail("{}: its training history cannot be read; start a new run folder", where); }
}

void append_epoch(const std::filesystem::path& file, const EpochRecord& record) {
    const std::string line = epoch_json(record) + "\n";
    const int descriptor = ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (descriptor < 0) fail_write(file, errno);
    const ssize_t written = ::write(descriptor, line.data(), line.size());
    const int error = written < 0 ? errno : ENOSPC;
    ::close(descriptor);
    if (written != static_cast<ssize_t>(line.size())) fail_write(file, error);
}

void rewrite_epochs(const std::filesystem::path& file, const std::vector<EpochRecord>& history) {
    std::map<std::pair<int64_t, int64_t>, std::string> known;
    std::ifstream stream(file);
    for (std::string line; std::getline(stream, line);) {
        try {
            const EpochRecord record = parse_epoch_json(line, file.string());
            known.emplace(std::pair(record.stage, record.epoch), line);
        } catch (const Error&) { // a line that was truncated by the kill
        }
    }
    std::string content;
    for (const EpochRecord& record : history) {
        const auto found = known.find({record.stage, record.epoch});
        content += (found == known.end() ? epoch_json(record) : found->second) + "\n";
    }
    write_file(file, content);
}

} // namespace scene
