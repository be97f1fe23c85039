#pragma once

#include <vector>

#include "kernels/files/json.h"
#include "tools/bench/measurement.h"

namespace scene {

/// The measured ops in the Trace Event Format, for ui.perfetto.dev and chrome://tracing. A benchmark with ops is a
/// process. Its ops follow one another without gaps, each as long as its median time; the phases contain them. The
/// counter "arena" has two values in bytes, set where an op begins: `live` is in use, `end` is behind the last byte in
/// use. Times are whole nanoseconds, and events are in their order, so that slices nest exactly.
nlohmann::ordered_json chrome_trace(const std::vector<Measurement>& measurements);

} // namespace scene
