#pragma once

#include <cstdint>
#include <string>

namespace scene {

/// What a run's files have in common that is worth a line, and one of them.
struct FileCount {
    int64_t files = 0;
    std::string first; ///< the first of them

    void add(const std::string& file) {
        if (files++ == 0) first = file;
    }
};

/// One line each on stderr when the command ends well (tools/cli/note.h), where there is something to say.
void note_longer_files(const FileCount& longer, int64_t total, double heard_seconds);
void note_files_that_end_early(const FileCount& early, int64_t total);

} // namespace scene
