#pragma once

#include <string_view>

namespace scene {

/// Call before anything opens a file. A standard stream that is closed gets a place holder, so that no file of ours is
/// given its number and then filled with messages. Writing to a closed stdout stays an error, to stderr it is lost.
void open_standard_streams();

/// To stderr, as it is. What cannot be written there (full disk, closed pipe) is lost: there is nowhere to say so, and
/// it is no reason to lose the work.
void say(std::string_view text);

/// After the last output, so that a full disk behind a redirection is an error. Throws std::system_error, as fmt::print
/// does.
void flush_standard_output();

} // namespace scene
