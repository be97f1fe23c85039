#pragma once

// What an op's record is made of. A record is an aggregate template, one member an operand or a setting:
//
//   template <class T> struct LayerNormForward {
//       static constexpr std::string_view name = "layer_norm_forward";
//       Out<T> y, moments;
//       In<T> x, branch, gamma, beta, control;
//       Dropout dropout;
//   };
//
// T is TensorId in a Program, TensorSpec while it is planned, Tensor when it runs. The roles say what the op does with
// an operand, so that the order of a program, the lifetimes of its tensors, its bytes and its scratch follow from the
// record (model/program_builder.h). An operand that is left out does not compile, unless its role is optional.
//
// A record may have `double flops() const` and `double bytes() const` for T = TensorSpec. Without them an op counts as
// no arithmetic, and as one pass over each of its operands but scratch.

#include <string_view>

#include "kernels/tensor.h"

namespace scene {

/// What a tensor will be, before it has memory.
struct TensorSpec {
    DType dtype = DType::F32;
    Shape shape;
    bool present = false;

    TensorSpec() = default;
    TensorSpec(DType type, const Shape& extents) : dtype(type), shape(extents), present(true) {}
    explicit operator bool() const { return present; }
    int64_t elements() const { return shape.elements(); }
    /// 0 where it is absent.
    size_t bytes() const { return present ? static_cast<size_t>(elements()) * size_of(dtype) : 0; }
};

inline TensorSpec spec_of(const Tensor& tensor) {
    return tensor ? TensorSpec(tensor.dtype, tensor.shape) : TensorSpec();
}

/// Read.
template <class T> struct In : T {
    static constexpr bool reads = true, writes = false, optional = false, scratch = false;
    In(const T& operand) : T(operand) {} // NOLINT: an operand is given as what it is
};

/// Overwritten (=).
template <class T> struct Out : T {
    static constexpr bool reads = false, writes = true, optional = false, scratch = false;
    Out(const T& operand) : T(operand) {} // NOLINT
};

/// Read and written: updated in place (+=), or in parts.
template <class T> struct InOut : T {
    static constexpr bool reads = true, writes = true, optional = false, scratch = false;
    InOut(const T& operand) : T(operand) {} // NOLINT
};

template <class T> struct OptionalIn : T {
    static constexpr bool reads = true, writes = false, optional = true, scratch = false;
    OptionalIn() = default;
    OptionalIn(const T& operand) : T(operand) {} // NOLINT
};

template <class T> struct OptionalOut : T {
    static constexpr bool reads = false, writes = true, optional = true, scratch = false;
    OptionalOut() = default;
    OptionalOut(const T& operand) : T(operand) {} // NOLINT
};

/// Memory that the device asks for (`scratch_bytes`), U8, 256-byte aligned; its content means nothing before and after.
/// Absent where the device needs none.
template <class T> struct Scratch : T {
    static constexpr bool reads = false, writes = true, optional = true, scratch = true;
    Scratch() = default;
    Scratch(const T& operand) : T(operand) {} // NOLINT
};

// Where an op runs: what its functions `run(const Op<Tensor>&, Context&)` and, where it has scratch,
// `scratch_bytes(const Op<TensorSpec>&, const Planning&)` may use. An op's header declares them.
namespace cpu {
struct Context;
struct Planning;
} // namespace cpu
namespace cuda {
struct Context;
struct Planning;
} // namespace cuda

} // namespace scene
