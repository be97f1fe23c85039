#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace scene {

/// The masked CRC-32C of TFRecord files: ((crc >> 15) | (crc << 17)) + 0xa282ead8.
uint32_t masked_crc32c(std::string_view bytes);

/// A TFRecord: length as u64, its masked CRC, the data, their masked CRC; little-endian.
std::string tfrecord(std::string_view data);

/// The protobuf `Event` with which a file begins. `wall_time` is seconds since 1970.
std::string version_event(double wall_time);
/// The protobuf `Event` of one scalar.
std::string scalar_event(double wall_time, int64_t step, std::string_view tag, float value);

/// Appends scalars to a new event file in `folder`, events.out.tfevents.<time>.<host>.<pid>.<n>, as TensorBoard expects
/// it. A run that resumes opens another file.
class TensorboardWriter {
public:
    explicit TensorboardWriter(const std::filesystem::path& folder);
    ~TensorboardWriter();
    TensorboardWriter(const TensorboardWriter&) = delete;
    TensorboardWriter& operator=(const TensorboardWriter&) = delete;

    /// Unbuffered: after a kill the file ends with the last complete record or a truncated one, which readers skip.
    void scalar(std::string_view tag, int64_t step, double value);
    const std::filesystem::path& path() const { return path_; }

private:
    void append(std::string_view event);

    std::filesystem::path path_;
    int descriptor_ = -1;
};

} // namespace scene
