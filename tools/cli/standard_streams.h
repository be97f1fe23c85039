#pragma once

#include <string_view>

namespace scene {

/// Opens /dev/null on every standard stream that is closed. Otherwise the next file opened would get its descriptor and
/// receive our messages. Call it before anything opens a file. Writing to a closed stdout still fails; what is written
/// to a closed stderr is lost.
void open_standard_streams();

/// Writes `text` to stderr unchanged. A failed write (full disk, closed pipe) is ignored: there is nowhere to report
/// it, and it must not end the work.
void say(std::string_view text);

/// Flushes stdout. Call it after the last output, so that a full disk behind a redirection is an error. Throws
/// std::system_error, as fmt::print does.
void flush_standard_output();

} // namespace scene
