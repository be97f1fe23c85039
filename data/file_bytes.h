#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace scene {

/// Random access to the bytes of a file. A read error looks like the end of the file.
class FileBytes {
public:
    /// Error: the file cannot be opened.
    explicit FileBytes(const std::filesystem::path& file);
    ~FileBytes();
    FileBytes(const FileBytes&) = delete;
    FileBytes& operator=(const FileBytes&) = delete;

    uint64_t size() const { return size_; }
    /// Copies `count` bytes from `at` on to `out`; returns how many there were.
    uint64_t read(uint64_t at, void* out, uint64_t count) const;
    /// The same as text; shorter at the end of the file.
    std::string text(uint64_t at, uint64_t count) const;
    /// `bytes` bytes, at most 8, as an unsigned number. Bytes past the end of the file are 0.
    uint64_t number(uint64_t at, int bytes, bool big_endian) const;

private:
    int descriptor_ = -1;
    uint64_t size_ = 0;
};

} // namespace scene
