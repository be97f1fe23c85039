#pragma once

#include <string>

#include "train/run/repeats.h"

namespace scene {

/// The runs, then mean and deviation per score, class, city and device, as tables for a terminal.
std::string summary_text(const Summary& summary);

} // namespace scene
