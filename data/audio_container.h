#pragma once

#include <filesystem>

namespace scene {

/// Fails when a WAV file ends before its data chunk does, or an OGG file before the page that closes its stream:
/// libsndfile takes both for shorter, complete files. Other containers pass; FLAC's header lets decoding tell.
/// A WAV that was written to a pipe, with a data size of 0xFFFFFFFF, reaches to the end of its file.
void require_complete_container(const std::filesystem::path& file);

} // namespace scene
