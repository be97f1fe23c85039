#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace scene {

/// A file that is read here and there. Where reading fails, the file seems to end.
class FileBytes {
public:
    /// Error: cannot be opened.
    explicit FileBytes(const std::filesystem::path& file);
    ~FileBytes();
    FileBytes(const FileBytes&) = delete;
    FileBytes& operator=(const FileBytes&) = delete;

    uint64_t size() const { return size_; }
    /// How many bytes from `at` on were copied to `out`.
    uint64_t read(uint64_t at, void* out, uint64_t count) const;
    /// The same as text, as long as there is any.
    std::string text(uint64_t at, uint64_t count) const;
    /// `bytes` bytes, at most 8, as a number; what is behind the end of the file is 0.
    uint64_t number(uint64_t at, int bytes, bool big_endian) const;

private:
    int descriptor_ = -1;
    uint64_t size_ = 0;
};

} // namespace scene
