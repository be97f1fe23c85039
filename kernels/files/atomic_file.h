#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace scene {

/// A file that appears under its name only when it is complete: written to `<name>.tmp-<process id>` in the same
/// folder, flushed to the disk, then renamed. Until `commit` an older file of that name stays as it is; without
/// `commit` the temporary file is removed by the destructor. Every failure (full disk, unwritable or missing folder) is
/// an Error.
class AtomicFile {
public:
    explicit AtomicFile(std::filesystem::path name);
    ~AtomicFile();
    AtomicFile(const AtomicFile&) = delete;
    AtomicFile& operator=(const AtomicFile&) = delete;

    /// Appends; buffered.
    void write(const void* data, size_t bytes);
    void write(std::string_view text) { write(text.data(), text.size()); }
    /// Replaces bytes that have been written.
    void write_over(int64_t offset, std::string_view text);
    /// Makes the file durable and visible; nothing may be written after it.
    void commit();

private:
    void flush();

    std::filesystem::path name_, temporary_;
    std::string buffer_;
    int descriptor_ = -1;
};

/// The whole of a small file at once.
void write_file(const std::filesystem::path& name, std::string_view content);

/// Throws the Error for a failed write, creation or rename of `name`; `error` is errno.
[[noreturn]] void fail_write(const std::filesystem::path& name, int error);

/// Writes everything at `offset`, however the system cuts it up; an Error names `name`.
void write_at(int descriptor, const void* data, size_t bytes, int64_t offset, const std::filesystem::path& name);

/// Makes renames and creations in a folder durable.
void sync_folder(const std::filesystem::path& folder);

} // namespace scene
