#pragma once

// The record of an op: an aggregate template with one member for each operand and setting, for example
//
//   template <class T> struct LayerNormForward {
//       static constexpr std::string_view name = "layer_norm_forward";
//       Out<T> y, moments;
//       In<T> x, branch, gamma, beta;
//       OptionalIn<T> control{};
//       float epsilon;
//       Dropout dropout{};
//   };
//
// T is TensorId in a Program, TensorSpec while it is planned, Tensor when it runs. An operand's role (In, Out, ...)
// says whether the op reads or writes it. The order of a program, the lifetimes of its tensors, its memory traffic and
// its scratch follow from the roles (model/program_builder.h). Leaving out an operand does not compile, unless its role
// is optional.
//
// A record may define `double flops() const` and `double bytes() const`, which are called with T = TensorSpec. The
// defaults are 0 FLOPs, and one read of each operand that is read plus one write of each that is written, scratch
// excepted (kernels/op_fields.h).

#include <string_view>

#include "kernels/tensor.h"

namespace scene {

/// The type and shape of a tensor that has no memory yet.
struct TensorSpec {
    DType dtype = DType::F32;
    Shape shape;
    bool present = false;

    TensorSpec() = default;
    TensorSpec(DType type, const Shape& extents) : dtype(type), shape(extents), present(true) {}
    explicit operator bool() const { return present; }
    int64_t elements() const { return shape.elements(); }
    /// 0 if absent.
    size_t bytes() const { return present ? static_cast<size_t>(elements()) * size_of(dtype) : 0; }
};

inline TensorSpec spec_of(const Tensor& tensor) {
    return tensor ? TensorSpec(tensor.dtype, tensor.shape) : TensorSpec();
}

/// An operand that the op reads.
template <class T> struct In : T {
    static constexpr bool reads = true, writes = false, optional = false, scratch = false;
    In(const T& operand) : T(operand) {} // NOLINT: implicit, so that operands are given as plain T
};

/// An operand that the op overwrites (=) without reading it.
template <class T> struct Out : T {
    static constexpr bool reads = false, writes = true, optional = false, scratch = false;
    Out(const T& operand) : T(operand) {} // NOLINT
};

/// An operand that the op updates in place (+=), or of which it writes only a part.
template <class T> struct InOut : T {
    static constexpr bool reads = true, writes = true, optional = false, scratch = false;
    InOut(const T& operand) : T(operand) {} // NOLINT
};

/// An In that may be absent.
template <class T> struct OptionalIn : T {
    static constexpr bool reads = true, writes = false, optional = true, scratch = false;
    OptionalIn() = default;
    OptionalIn(const T& operand) : T(operand) {} // NOLINT
};

/// An Out that may be absent.
template <class T> struct OptionalOut : T {
    static constexpr bool reads = false, writes = true, optional = true, scratch = false;
    OptionalOut() = default;
    OptionalOut(const T& operand) : T(operand) {} // NOLINT
};

/// Temporary memory of the size that the device asks for (`scratch_bytes`): U8, 256-byte aligned in a program,
/// undefined before and after the op. Absent if the device needs none.
template <class T> struct Scratch : T {
    static constexpr bool reads = false, writes = true, optional = true, scratch = true;
    Scratch() = default;
    Scratch(const T& operand) : T(operand) {} // NOLINT
};

// The devices. For each, an op's header declares `run(const Op<Tensor>&, Context&)` and, if it needs scratch,
// `scratch_bytes(const Op<TensorSpec>&, const Planning&)`. Context and Planning hold what these may use besides the
// operands: threads, plans, library handles.
namespace cpu {
struct Context;
struct Planning;
} // namespace cpu
namespace cuda {
struct Context;
struct Planning;
} // namespace cuda

} // namespace scene
