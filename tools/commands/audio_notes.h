#pragma once

#include <cstdint>
#include <string>

namespace scene {

/// How many files have a property that a note reports.
struct FileCount {
    int64_t files = 0;
    std::string first; ///< the first of them

    void add(const std::string& file) {
        if (files++ == 0) first = file;
    }
};

// Each queues a note (tools/cli/note.h) unless the count is 0. `total` is the number of all files.
void note_longer_files(const FileCount& longer, int64_t total, double heard_seconds);
void note_files_that_end_early(const FileCount& early, int64_t total);

} // namespace scene
