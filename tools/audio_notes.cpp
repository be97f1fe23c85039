#include "tools/audio_notes.h"

#include <fmt/format.h>

#include "tools/note.h"

namespace scene {
namespace {

/// "2 of 5 files have", "the file has"
std::string subject(const FileCount& count, int64_t total, const char* one, const char* several) {
    if (total == 1) return fmt::format("the file {}", one);
    return fmt::format("{} of {} files {}", count.files, total, count.files == 1 ? one : several);
}

} // namespace

void note_longer_files(const FileCount& longer, int64_t total, double heard_seconds) {
    if (longer.files == 0) return;
    note_later(fmt::format("{} longer than the {:g} s that are heard; the rest is not used (first: {})",
                           subject(longer, total, "is", "are"), heard_seconds, longer.first));
}

void note_files_that_end_early(const FileCount& early, int64_t total) {
    if (early.files == 0) return;
    note_later(fmt::format("{} before the header or the last page says; read as far as there is audio (first: {})",
                           subject(early, total, "ends", "end"), early.first));
}

} // namespace scene
