#pragma once

// Which chunks of an unfinished store are on the disk. One line of text per chunk, with a checksum, so that a line cut
// off by a kill does not count.

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
    /// Opens or creates the file. `records` are then the chunks 0, 1, ... of `chunk_clips` of `clips` that an earlier
    /// run with the same fingerprint finished; a journal of another fingerprint is emptied. What follows a line that is
    /// no record of the next chunk does not count.
    PrepareJournal(const std::filesystem::path& file, const std::string& fingerprint, int64_t clips,
                   int64_t chunk_clips);
    ~PrepareJournal();
    PrepareJournal(const PrepareJournal&) = delete;
    PrepareJournal& operator=(const PrepareJournal&) = delete;

    const std::vector<ChunkRecord>& records() const { return records_; }
    /// True if the file held another run's chunks.
    bool started_anew() const { return started_anew_; }
    /// Forgets all chunks.
    void clear();
    /// Notes a chunk whose features are durable; on return the note is too.
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
