#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "train/progress.h"

namespace scene {

/// One line of metrics.jsonl, without a line end.
std::string epoch_json(const EpochRecord& record);
/// The inverse; fails naming `where`.
EpochRecord parse_epoch_json(const std::string& line, const std::string& where);

/// The epochs as a JSON array without the timings, which are not reproducible; it travels in last.safetensors.
std::string history_json(const std::vector<EpochRecord>& history);
std::vector<EpochRecord> parse_history_json(const std::string& json, const std::string& where);

/// Adds one line to metrics.jsonl.
void append_epoch(const std::filesystem::path& file, const EpochRecord& record);

/// Brings metrics.jsonl to exactly the epochs of `history`: lines of later epochs and unfinished lines go, kept lines
/// stay as they are, missing ones are written again without timings.
void rewrite_epochs(const std::filesystem::path& file, const std::vector<EpochRecord>& history);

} // namespace scene
