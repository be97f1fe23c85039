#pragma once

#include "data/audio/audio_container.h"

namespace scene {

/// Whether MPEG audio (MP3, and layers 1 and 2) begins there, behind an ID3 tag or at once.
bool is_mpeg_audio(const FileBytes& file, uint64_t at);

/// Shows an index (a "Xing" frame) in front of MPEG audio that has none: it promises more frames than there can be, so
/// that all of them are decoded, whatever the bit rate of the first one. `view` has its `begin` where the audio begins.
void show_mpeg_index(const FileBytes& file, AudioView& view);

} // namespace scene
