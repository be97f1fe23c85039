#include "data/file_bytes.h"

#include <algorithm>
#include <array>
#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernels/error.h"

namespace scene {

FileBytes::FileBytes(const std::filesystem::path& file) : descriptor_(::open(file.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (descriptor_ < 0) fail("{}: cannot be opened; check its permissions", file.string());
    struct stat status {};
    if (::fstat(descriptor_, &status) == 0) size_ = static_cast<uint64_t>(status.st_size);
}

FileBytes::~FileBytes() { ::close(descriptor_); }

uint64_t FileBytes::read(uint64_t at, void* out, uint64_t count) const {
    uint64_t done = 0;
    while (done < count) {
        const ssize_t got =
            ::pread(descriptor_, static_cast<char*>(out) + done, count - done, static_cast<off_t>(at + done));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        done += static_cast<uint64_t>(got);
    }
    return done;
}

std::string FileBytes::text(uint64_t at, uint64_t count) const {
    if (at >= size_) return "";
    std::string out(std::min(count, size_ - at), '\0');
    out.resize(read(at, out.data(), out.size()));
    return out;
}

uint64_t FileBytes::number(uint64_t at, int bytes, bool big_endian) const {
    std::array<unsigned char, 8> raw{};
    read(at, raw.data(), static_cast<uint64_t>(bytes));
    uint64_t value = 0;
    for (int i = 0; i < bytes; ++i) value = value << 8 | raw[static_cast<size_t>(big_endian ? i : bytes - 1 - i)];
    return value;
}

} // namespace scene
