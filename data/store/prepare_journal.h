#pragma once

// The journal of an unfinished store: which chunks are on the disk. It is a text file of one line for the fingerprint
// and one per chunk. Each line has a checksum, so a partly written line is recognised and does not count.

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace scene {

/// What happened to the clips of one chunk.
struct ChunkRecord {
    int64_t chunk = 0;
    std::vector<std::pair<int64_t, std::string>> bad; ///< clip and reason
    std::vector<int64_t> silent;
    std::vector<int64_t> longer = {}, ends_early = {}; ///< Recording (data/audio/audio.h)
};

class PrepareJournal {
public:
    /// Opens or creates the file. `records` are then the chunks 0, 1, ... that an earlier run with the same fingerprint
    /// finished; a chunk is `chunk_clips` of the `clips`. The first line that is not the record of the next chunk, and
    /// all after it, are removed. A journal with another fingerprint is emptied.
    PrepareJournal(const std::filesystem::path& file, const std::string& fingerprint, int64_t clips,
                   int64_t chunk_clips);
    ~PrepareJournal();
    PrepareJournal(const PrepareJournal&) = delete;
    PrepareJournal& operator=(const PrepareJournal&) = delete;

    const std::vector<ChunkRecord>& records() const { return records_; }
    /// True if the file held a journal with another fingerprint.
    bool started_anew() const { return started_anew_; }
    /// Removes all records.
    void clear();
    /// Adds the record of a chunk whose features are on the disk; on return the record is on the disk too.
    void append(const ChunkRecord& record);

private:
    void append_line(const std::string& text);

    std::filesystem::path file_;
    std::string fingerprint_;
    std::vector<ChunkRecord> records_;
    bool started_anew_ = false;
    int descriptor_ = -1;
    int64_t size_ = 0;
};

} // namespace scene
