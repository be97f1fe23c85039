#pragma once

// The safetensors format (https://github.com/huggingface/safetensors): an 8-byte little-endian header length, a JSON
// header {"name": {"dtype", "shape", "data_offsets"}}, then the tensors' row-major little-endian bytes without gaps.
//
// Our files carry metadata "crc32c": eight hexadecimal digits, the CRC-32C of the whole file computed with these digits
// set to 0. It is checked when a file is opened and is not part of metadata(). Files of other writers have none and are
// accepted without.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/error.h"
#include "kernels/files/atomic_file.h"

namespace scene {

using Metadata = std::map<std::string, std::string>;

/// Bytes per element of F64 F32 F16 BF16 I64 I32 I16 I8 U8 BOOL; 0 for any other name.
size_t safetensors_element_bytes(std::string_view dtype);

/// The format's name of a C++ type.
template <typename T> struct safetensors_dtype;
template <> struct safetensors_dtype<float> { static constexpr std::string_view name = "F32"; };
template <> struct safetensors_dtype<double> { static constexpr std::string_view name = "F64"; };
template <> struct safetensors_dtype<int32_t> { static constexpr std::string_view name = "I32"; };
template <> struct safetensors_dtype<int64_t> { static constexpr std::string_view name = "I64"; };
template <> struct safetensors_dtype<uint8_t> { static constexpr std::string_view name = "U8"; };

/// One tensor of an open SafetensorsFile. `bytes` is valid as long as the file object lives.
struct SafetensorsEntry {
    std::string name;
    std::string dtype;          ///< "F32", ...
    std::vector<int64_t> shape; ///< empty: a scalar
    std::span<const std::byte> bytes;

    int64_t elements() const;
    /// "F32 [870, 500, 64]"
    std::string description() const;
    /// The elements, not copied. Throws Error if the stored type is not T, or if another writer left them unaligned.
    template <typename T> std::span<const T> as() const {
        if (dtype != safetensors_dtype<T>::name || reinterpret_cast<uintptr_t>(bytes.data()) % alignof(T) != 0)
            fail("tensor '{}' is {}, expected aligned {}; make the file anew", name, description(),
                 safetensors_dtype<T>::name);
        return {reinterpret_cast<const T*>(bytes.data()), bytes.size() / sizeof(T)};
    }
};

/// A memory-mapped file, validated by the constructor: its checksum agrees, and every entry's bytes lie inside the file
/// and agree with its type and shape. Throws Error for a file that is missing, truncated or corrupted; the message
/// names the file, the tensor and what to do.
class SafetensorsFile {
public:
    explicit SafetensorsFile(std::filesystem::path path);
    ~SafetensorsFile();
    SafetensorsFile(SafetensorsFile&& other) noexcept;
    SafetensorsFile& operator=(SafetensorsFile&&) = delete;

    const std::filesystem::path& path() const { return path_; }
    const Metadata& metadata() const { return metadata_; }
    /// The value of a key. Throws Error if there is none.
    const std::string& metadata(const std::string& key) const;
    /// All tensors, in the order of their bytes.
    const std::vector<SafetensorsEntry>& tensors() const { return entries_; }
    bool contains(std::string_view name) const { return find(name) != nullptr; }
    /// Throws Error if there is no such tensor.
    const SafetensorsEntry& tensor(std::string_view name) const;

private:
    const SafetensorsEntry* find(std::string_view name) const;

    std::filesystem::path path_;
    void* memory_ = nullptr;
    size_t size_ = 0;
    Metadata metadata_;
    std::vector<SafetensorsEntry> entries_;
    std::map<std::string, size_t, std::less<>> index_;
};

struct SafetensorsContent {
    Metadata metadata;
    std::vector<SafetensorsEntry> entries; ///< views into the validated bytes
};

/// Parses and validates the bytes of a file, as SafetensorsFile does with its mapping. Errors name `name`.
SafetensorsContent parse_safetensors(std::span<const std::byte> file, const std::string& name);

/// Name, type and shape of a tensor to be written.
struct SafetensorsDeclaration {
    std::string name;
    std::string dtype;
    std::vector<int64_t> shape;

    size_t bytes() const;
};

/// The file up to the first tensor byte: length and JSON header, for tensors in the order declared. It is padded with
/// spaces to at least `minimum` bytes and to a multiple of 64 bytes, so that mapped tensors are aligned for SIMD. Wider
/// types must be declared before narrower ones, unless the sizes keep them aligned. Its checksum digits are 0.
std::string safetensors_header(const Metadata& metadata, const std::vector<SafetensorsDeclaration>& tensors,
                               size_t minimum = 0);

/// Fills in the checksum of header and data, which was computed with the header's checksum digits set to 0.
void set_safetensors_checksum(std::string& header, uint32_t checksum);

/// Writes a file through AtomicFile: `declare` every tensor, then `write` their bytes in the same order, in any number
/// of calls, then `commit`.
class SafetensorsWriter {
public:
    explicit SafetensorsWriter(const std::filesystem::path& path, Metadata metadata = {});

    void declare(std::string name, std::string_view dtype, std::vector<int64_t> shape);
    void write(const void* data, size_t bytes);
    template <typename T> void write(std::span<const T> values) { write(values.data(), values.size_bytes()); }
    void commit();

private:
    void begin();

    AtomicFile file_;
    Metadata metadata_;
    std::vector<SafetensorsDeclaration> tensors_;
    std::string header_; ///< empty until the first write
    size_t expected_ = 0, written_ = 0;
    uint32_t checksum_ = 0;
};

} // namespace scene
