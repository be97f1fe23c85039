#pragma once

#include <string>
#include <string_view>

namespace scene {

/// A text file's bytes as UTF-8 without a byte-order mark. UTF-16, as spreadsheets save "Unicode text", is converted
/// (with a mark, or with a first character from ASCII); anything else passes as it is. What was not valid UTF-16 is
/// not valid UTF-8 either.
std::string to_utf8(std::string_view bytes);

/// Fails, naming the line, on text that is not UTF-8; NUL is not text.
void require_utf8(std::string_view text, const std::string& name);

} // namespace scene
