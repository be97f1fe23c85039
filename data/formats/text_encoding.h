#pragma once

#include <string>
#include <string_view>

namespace scene {

/// A text file's bytes as UTF-8 without a byte-order mark. UTF-16 (spreadsheets' "Unicode text") is converted if it has
/// a byte-order mark or begins with an ASCII character; other bytes are not changed. Unpaired UTF-16 surrogates become
/// bytes that require_utf8 refuses.
std::string to_utf8(std::string_view bytes);

/// Error, with the line: text that is not UTF-8, or holds NUL.
void require_utf8(std::string_view text, const std::string& name);

} // namespace scene
