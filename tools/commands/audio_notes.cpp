#include "tools/commands/audio_notes.h"

#include <fmt/format.h>

#include "tools/cli/note.h"

namespace scene {
namespace {

/// "2 of 5 files are longer (first: a.wav)", "a.wav is longer"
void note(const FileCount& count, int64_t total, const char* one, const char* several, const std::string& what) {
    if (count.files == 0) return;
    if (total == 1)
        note_later(fmt::format("{} {} {}", count.first, one, what));
    else
        note_later(fmt::format("{} of {} files {} {} (first: {})", count.files, total, count.files == 1 ? one : several,
                               what, count.first));
}

} // namespace

void note_longer_files(const FileCount& longer, int64_t total, double heard_seconds) {
    note(longer, total, "is", "are",
         fmt::format("longer than the {:g} s that are heard; the rest is not used", heard_seconds));
}

void note_files_that_end_early(const FileCount& early, int64_t total) {
    note(early, total, "ends", "end", "before the header or the last page says; read as far as there is audio");
}

} // namespace scene
