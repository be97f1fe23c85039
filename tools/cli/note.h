#pragma once

#include <string>

namespace scene {

/// Keeps a line for stderr until other progress is shown there or the command has done its work, so that an early error
/// stands alone.
void note_later(std::string line);
void say_notes();

} // namespace scene
