#pragma once

#include <string>

namespace scene {

/// Queues a line for stderr. It is written before the next progress output or when the command has done its work, so
/// that an early error stands alone.
void note_later(std::string line);
/// Writes the queued lines, each after "scene: ".
void say_notes();

} // namespace scene
