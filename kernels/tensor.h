#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "kernels/error.h"

namespace scene {

enum class DType : uint8_t { F32, F16, BF16, F64, I32, I64, U8 };

constexpr size_t size_of(DType type) {
    switch (type) {
    case DType::F64:
    case DType::I64: return 8;
    case DType::F32:
    case DType::I32: return 4;
    case DType::F16:
    case DType::BF16: return 2;
    case DType::U8: return 1;
    }
    return 0;
}

constexpr std::string_view name_of(DType type) {
    switch (type) {
    case DType::F64: return "F64";
    case DType::I64: return "I64";
    case DType::F32: return "F32";
    case DType::I32: return "I32";
    case DType::F16: return "F16";
    case DType::BF16: return "BF16";
    case DType::U8: return "U8";
    }
    return "?";
}

/// F16 or BF16, the floating-point types that are half as wide as F32.
constexpr bool is_half_width(DType type) { return type == DType::F16 || type == DType::BF16; }

/// Extents of a dense row-major array, outermost axis first. Rank 0 is a scalar.
class Shape {
public:
    static constexpr int max_rank = 6;

    Shape() = default;
    Shape(std::initializer_list<int64_t> extents) {
        SCENE_CHECK(extents.size() <= max_rank, "a shape has at most 6 axes");
        for (int64_t extent : extents) append(extent);
    }

    void append(int64_t extent) {
        SCENE_CHECK(rank_ < max_rank, "a shape has at most 6 axes");
        SCENE_CHECK(extent >= 0, "an extent is not negative");
        extents_[static_cast<size_t>(rank_++)] = extent;
    }
    int rank() const { return rank_; }
    int64_t operator[](int axis) const {
        SCENE_CHECK(axis >= 0 && axis < rank_, "axis out of range");
        return extents_[static_cast<size_t>(axis)];
    }
    int64_t elements() const {
        int64_t product = 1;
        for (int axis = 0; axis < rank_; ++axis) product *= extents_[static_cast<size_t>(axis)];
        return product;
    }
    bool operator==(const Shape& other) const = default;

    /// "[16, 250, 32, 144]"
    std::string text() const;

private:
    std::array<int64_t, max_rank> extents_{};
    int rank_ = 0;
};

/// The DType of a C++ type. F16 and BF16 have none.
template <typename T> struct dtype_of;
template <> struct dtype_of<float> { static constexpr DType value = DType::F32; };
template <> struct dtype_of<double> { static constexpr DType value = DType::F64; };
template <> struct dtype_of<int32_t> { static constexpr DType value = DType::I32; };
template <> struct dtype_of<int64_t> { static constexpr DType value = DType::I64; };
template <> struct dtype_of<uint8_t> { static constexpr DType value = DType::U8; };

/// Alignment in bytes of every tensor in an arena.
constexpr size_t tensor_alignment = 256;
/// `bytes` rounded up to a multiple of tensor_alignment.
constexpr size_t aligned_bytes(size_t bytes) {
    return (bytes + tensor_alignment - 1) / tensor_alignment * tensor_alignment;
}

/// A non-owning view of a dense row-major array in the memory of one device. A default-constructed tensor stands for an
/// absent optional operand.
struct Tensor {
    void* data = nullptr;
    DType dtype = DType::F32;
    Shape shape;

    explicit operator bool() const { return data != nullptr; }
    int64_t elements() const { return shape.elements(); }
    size_t bytes() const { return static_cast<size_t>(elements()) * size_of(dtype); }
    /// The elements. Throws std::logic_error if T is not their type.
    template <typename T> T* as() const {
        SCENE_CHECK(dtype == dtype_of<T>::value, "tensor holds " + std::string(name_of(dtype)));
        return static_cast<T*>(data);
    }
};

} // namespace scene
