#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace scene {

/// CRC-32C as TFRecord files mask it: ((crc >> 15) | (crc << 17)) + 0xa282ead8.
uint32_t masked_crc32c(std::string_view bytes);

/// u64 length, masked CRC of it, data, masked CRC of the data; little-endian.
std::string tfrecord(std::string_view data);

/// Protobuf `Event`s: the file's first record, and one scalar.
std::string version_event(double wall_time);
std::string scalar_event(double wall_time, int64_t step, std::string_view tag, float value);

/// Appends scalars to a new event file, events.out.tfevents.<time>.<host>.<pid>.<n>, which TensorBoard finds in the run
/// folder. A run that resumes opens another one.
class TensorboardWriter {
public:
    explicit TensorboardWriter(const std::filesystem::path& folder);
    ~TensorboardWriter();
    TensorboardWriter(const TensorboardWriter&) = delete;
    TensorboardWriter& operator=(const TensorboardWriter&) = delete;

    /// Written at once: after a kill the file ends with the last complete scalar or a cut record, which readers skip.
    void scalar(std::string_view tag, int64_t step, double value);
    const std::filesystem::path& path() const { return path_; }

private:
    void append(std::string_view event);

    std::filesystem::path path_;
    int descriptor_ = -1;
};

} // namespace scene
