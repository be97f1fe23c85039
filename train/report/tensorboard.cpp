#include "train/report/tensorboard.h"

#include <atomic>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

#include "kernels/error.h"
#include "kernels/files/atomic_file.h"
#include "kernels/files/crc32c.h"

namespace scene {
namespace {

static_assert(std::endian::native == std::endian::little, "the records are written in the machine's byte order");

template <typename T> std::string bytes_of(T value) {
    std::string out(sizeof(T), '\0');
    std::memcpy(out.data(), &value, sizeof(T));
    return out;
}

// Protobuf wire format: a key (field number and wire type), then the value.
enum WireType : uint64_t { Varint = 0, Fixed64 = 1, Delimited = 2, Fixed32 = 5 };

std::string varint(uint64_t value) {
    std::string out;
    for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
    return out + static_cast<char>(value);
}

std::string key(uint64_t field, WireType type) { return varint(field << 3 | type); }

std::string delimited(uint64_t field, std::string_view content) {
    return key(field, Delimited) + varint(content.size()) + std::string(content);
}

double seconds_now() {
    return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

} // namespace

uint32_t masked_crc32c(std::string_view bytes) {
    const uint32_t crc = crc32c(bytes.data(), bytes.size());
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

std::string tfrecord(std::string_view data) {
    const std::string length = bytes_of<uint64_t>(data.size());
    return length + bytes_of(masked_crc32c(length)) + std::string(data) + bytes_of(masked_crc32c(data));
}

std::string version_event(double wall_time) {
    return key(1, Fixed64) + bytes_of(wall_time) + delimited(3, "brain.Event:2");
}

std::string scalar_event(double wall_time, int64_t step, std::string_view tag, float value) {
    const std::string summary_value = delimited(1, tag) + key(2, Fixed32) + bytes_of(value);
    return key(1, Fixed64) + bytes_of(wall_time) + key(2, Varint) + varint(static_cast<uint64_t>(step)) +
           delimited(5, delimited(1, summary_value));
}

TensorboardWriter::TensorboardWriter(const std::filesystem::path& folder) {
    static std::atomic<int> count{0};
    char host[256] = "localhost";
    gethostname(host, sizeof host - 1);
    const double now = seconds_now();
    path_ = folder / fmt::format("events.out.tfevents.{:010}.{}.{}.{}", static_cast<int64_t>(now), host, getpid(),
                                 count.fetch_add(1));
    descriptor_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (descriptor_ < 0) fail_write(path_, errno);
    append(version_event(now));
}

TensorboardWriter::~TensorboardWriter() { ::close(descriptor_); }

void TensorboardWriter::scalar(std::string_view tag, int64_t step, double value) {
    append(scalar_event(seconds_now(), step, tag, static_cast<float>(value)));
}

void TensorboardWriter::append(std::string_view event) {
    const std::string record = tfrecord(event);
    const ssize_t written = ::write(descriptor_, record.data(), record.size());
    if (written != static_cast<ssize_t>(record.size())) fail_write(path_, written < 0 ? errno : ENOSPC);
}

} // namespace scene
