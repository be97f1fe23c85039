#include "kernels/files/atomic_file.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

#include "kernels/error.h"

namespace scene {
namespace {

constexpr size_t buffer_bytes = 1 << 20;

std::filesystem::path folder_of(const std::filesystem::path& name) {
    return name.has_parent_path() ? name.parent_path() : std::filesystem::path(".");
}

void write_all(int descriptor, const char* data, size_t bytes, const std::filesystem::path& name) {
    while (bytes > 0) {
        const ssize_t written = ::write(descriptor, data, bytes);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) fail_write(name, errno);
        data += written;
        bytes -= static_cast<size_t>(written);
    }
}

} // namespace

void fail_write(const std::filesystem::path& name, int error) {
    const std::string file = name.string(), folder = folder_of(name).string();
    switch (error) {
    case ENOSPC:
    case EDQUOT: fail("{}: cannot write, the disk is full; free some space or choose another folder", file);
    case EFBIG: fail("{}: cannot write, the file would pass the size limit; raise it (ulimit -f) or write less", file);
    case EACCES:
    case EPERM: fail("{}: no permission to write; choose another folder or change the permissions of {}", file, folder);
    case EROFS: fail("{}: cannot write to a read-only disk; choose another folder", file);
    case ENOENT: fail("{}: cannot write, there is no folder {}; create it first", file, folder);
    case ENOTDIR: fail("{}: cannot write, {} is not a folder; choose another one", file, folder);
    case EISDIR: fail("{}: cannot write, there is a folder of that name; choose another name", file);
    case ENAMETOOLONG: fail("{}: cannot write, the name is too long; choose a shorter one", file);
    default: fail("{}: cannot write ({}); check the disk and try again", file, std::strerror(error));
    }
}

void write_at(int descriptor, const void* data, size_t bytes, int64_t offset, const std::filesystem::path& name) {
    const char* next = static_cast<const char*>(data);
    while (bytes > 0) {
        const ssize_t written = ::pwrite(descriptor, next, bytes, offset);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) fail_write(name, errno);
        next += written;
        offset += written;
        bytes -= static_cast<size_t>(written);
    }
}

void sync_folder(const std::filesystem::path& folder) {
    const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return; // writable but not readable: its entries reach the disk later
    ::fsync(descriptor);
    ::close(descriptor);
}

AtomicFile::AtomicFile(std::filesystem::path name)
    : name_(std::move(name)), temporary_(name_.string() + ".tmp-" + std::to_string(::getpid())) {
    std::error_code ignored;
    if (std::filesystem::is_directory(name_, ignored)) fail_write(name_, EISDIR);
    descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (descriptor_ < 0) fail_write(name_, errno);
    buffer_.reserve(buffer_bytes);
}

AtomicFile::~AtomicFile() {
    if (descriptor_ < 0) return;
    ::close(descriptor_);
    ::unlink(temporary_.c_str());
}

void AtomicFile::write(const void* data, size_t bytes) {
    SCENE_CHECK(descriptor_ >= 0, "nothing is written after commit");
    if (buffer_.size() + bytes > buffer_bytes) flush();
    if (bytes > buffer_bytes)
        write_all(descriptor_, static_cast<const char*>(data), bytes, name_);
    else
        buffer_.append(static_cast<const char*>(data), bytes);
}

void AtomicFile::flush() {
    write_all(descriptor_, buffer_.data(), buffer_.size(), name_);
    buffer_.clear();
}

void AtomicFile::write_over(int64_t offset, std::string_view text) {
    flush();
    write_at(descriptor_, text.data(), text.size(), offset, name_);
}

void AtomicFile::commit() {
    SCENE_CHECK(descriptor_ >= 0, "a file is committed once");
    flush();
    if (::fsync(descriptor_) != 0 && errno != EINVAL) fail_write(name_, errno); // EINVAL: does not support fsync
    if (::rename(temporary_.c_str(), name_.c_str()) != 0) fail_write(name_, errno);
    ::close(descriptor_);
    descriptor_ = -1;
    sync_folder(folder_of(name_));
}

void write_file(const std::filesystem::path& name, std::string_view content) {
    AtomicFile file(name);
    file.write(content);
    file.commit();
}

} // namespace scene
