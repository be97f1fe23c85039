#pragma once

// The counters of a step as JSON (docs/counters.md has the form), and back.

#include <filesystem>

#include "kernels/files/json.h"
#include "tests/counters/kernel_counters.h"

namespace scene::counters {

using Json = nlohmann::ordered_json;

Json to_json(const StepCounters& step);
/// Throws std::exception if a member is missing or of another type.
StepCounters step_from_json(const Json& json);

/// Through AtomicFile. Throws Error if it cannot be written.
void write_step_counters(const StepCounters& step, const std::filesystem::path& path);
/// Throws Error with the file's name if it cannot be read or is no such file.
StepCounters read_step_counters(const std::filesystem::path& path);

} // namespace scene::counters
