#pragma once

#include "data/audio/audio_container.h"

namespace scene {

/// Whether MPEG audio (layer 1, 2 or 3) begins at `at`, perhaps after ID3 tags.
bool is_mpeg_audio(const FileBytes& file, uint64_t at);

/// Puts an index (a "Xing" frame) before MPEG audio that has none. The index promises more frames than the file can
/// hold, so that the decoder reads all of them whatever the bit rate of the first one. `view.begin` is where the audio
/// begins.
void show_mpeg_index(const FileBytes& file, AudioView& view);

} // namespace scene
