#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "train/metrics.h"

namespace scene {

/// The matrix as a picture: one square per true and predicted class with its count, the darker the larger the share of
/// the true class. SVG that needs nothing from elsewhere.
std::string confusion_svg(const Confusion& confusion, std::span<const std::string> class_names,
                          const std::string& title);

/// confusion.txt, confusion.csv and confusion.svg in the existing `folder`. `title` is one line; the text begins with
/// it.
void write_confusion(const std::filesystem::path& folder, const Confusion& confusion,
                     std::span<const std::string> class_names, const std::string& title);

/// `text` with &, <, > and " written for HTML and SVG.
std::string escaped_markup(const std::string& text);

} // namespace scene
