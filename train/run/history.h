#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "train/progress.h"

namespace scene {

/// One line of metrics.jsonl, without the newline. Numbers that are not finite become null.
std::string epoch_json(const EpochRecord& record);
/// The inverse; null becomes NaN. Throws Error that names `where`.
EpochRecord parse_epoch_json(const std::string& line, const std::string& where);

/// The epochs as a JSON array, for last.safetensors. Without the timings, which are not reproducible.
std::string history_json(const std::vector<EpochRecord>& history);
/// The inverse. Throws Error that names `where`.
std::vector<EpochRecord> parse_history_json(const std::string& json, const std::string& where);

/// Appends one line to metrics.jsonl.
void append_epoch(const std::filesystem::path& file, const EpochRecord& record);

/// Rewrites metrics.jsonl so that it has exactly the epochs of `history`. Lines of these epochs are kept unchanged,
/// missing ones are written with timings of 0, all other lines are dropped.
void rewrite_epochs(const std::filesystem::path& file, const std::vector<EpochRecord>& history);

} // namespace scene
