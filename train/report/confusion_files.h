#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "train/metrics.h"

namespace scene {

/// The matrix as a self-contained SVG: one square per true and predicted class, with its count. The larger the share of
/// the true class, the darker the square.
std::string confusion_svg(const Confusion& confusion, std::span<const std::string> class_names,
                          const std::string& title);

/// Writes confusion.txt, confusion.csv and confusion.svg to the existing `folder`. `title` is one line; confusion.txt
/// begins with it.
void write_confusion(const std::filesystem::path& folder, const Confusion& confusion,
                     std::span<const std::string> class_names, const std::string& title);

/// `text` with &, <, > and " escaped for HTML and SVG.
std::string escaped_markup(const std::string& text);

} // namespace scene
