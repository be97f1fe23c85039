#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace scene {

/// A file that appears under its name only when it is complete. It is written to `<name>.tmp-<process id>` in the same
/// folder; `commit` flushes it to the disk and renames it. Until then an older file of that name is untouched. Without
/// `commit` the destructor removes the temporary file. Throws Error for every failure, such as a full disk or a folder
/// that is missing or not writable.
class AtomicFile {
public:
    explicit AtomicFile(std::filesystem::path name);
    ~AtomicFile();
    AtomicFile(const AtomicFile&) = delete;
    AtomicFile& operator=(const AtomicFile&) = delete;

    /// Appends; buffered.
    void write(const void* data, size_t bytes);
    void write(std::string_view text) { write(text.data(), text.size()); }
    /// Overwrites bytes that were written before, from `offset` on.
    void write_over(int64_t offset, std::string_view text);
    /// Makes the file durable and visible. The last call: nothing may be written after it.
    void commit();

private:
    void flush();

    std::filesystem::path name_, temporary_;
    std::string buffer_;
    int descriptor_ = -1;
};

/// Writes a whole file through AtomicFile.
void write_file(const std::filesystem::path& name, std::string_view content);

/// Throws the Error for a failed write, creation or rename of `name`, where `error` was errno.
[[noreturn]] void fail_write(const std::filesystem::path& name, int error);

/// Writes all bytes at `offset` with pwrite, which may need several calls. Throws fail_write(name, errno).
void write_at(int descriptor, const void* data, size_t bytes, int64_t offset, const std::filesystem::path& name);

/// Makes renames and creations in a folder durable, if the folder can be read.
void sync_folder(const std::filesystem::path& folder);

} // namespace scene
