#pragma once

#include <array>
#include <map>
#include <string>
#include <vector>

#include "kernels/tensor.h"

namespace scene {

/// Where a variable lives. Parameters, Gradients, FirstMoment and SecondMoment are flat f32 buffers of the same
/// layout, so that one Adam op updates the whole model; HalfParameters is the same in F16, a copy of the parameters for
/// devices whose activations are F16.
enum class Segment : uint8_t { Parameters, Gradients, FirstMoment, SecondMoment, HalfParameters, Statistics, State };
constexpr size_t segment_count = 7;

/// How a parameter gets its first value. `fan_in` and `fan_out` count inputs and outputs of one unit, kernel included.
struct Init {
    enum class Kind : uint8_t { Zeros, Ones, XavierUniform, HeNormal, LinearUniform, Normal } kind = Kind::Zeros;
    int64_t fan_in = 1, fan_out = 1;

    static Init zeros() { return {Kind::Zeros, 1, 1}; }
    static Init ones() { return {Kind::Ones, 1, 1}; }
    /// Uniform(-a, a), a = sqrt(6/(fan_in + fan_out)).
    static Init xavier_uniform(int64_t fan_in, int64_t fan_out) { return {Kind::XavierUniform, fan_in, fan_out}; }
    /// Normal(0, sqrt(2/fan_in)).
    static Init he_normal(int64_t fan_in) { return {Kind::HeNormal, fan_in, 1}; }
    /// Uniform(-a, a), a = 1/sqrt(fan_in): PyTorch's default for linear layers and their biases.
    static Init linear_uniform(int64_t fan_in) { return {Kind::LinearUniform, fan_in, 1}; }
    /// Normal(0, 1): PyTorch's default for embeddings.
    static Init normal() { return {Kind::Normal, 1, 1}; }
};

struct Variable {
    std::string name;
    DType dtype = DType::F32;
    Shape shape;
    Segment segment = Segment::State;
    size_t offset = 0; ///< bytes from the start of the segment
    Init init;
};

/// Tensors that outlive a step (parameters, optimiser state, running statistics, tables), shared by every program
/// of a run. Programs declare them by name while they are emitted; the first declaration gives them their place.
class Variables {
public:
    /// The variable `name`, declared now or before; type, shape and segment must agree with an earlier declaration.
    const Variable& declare(Segment segment, const std::string& name, DType dtype, const Shape& shape,
                            Init init = Init::zeros());
    /// The declared variable `name` of the segment, or null.
    const Variable* find(Segment segment, const std::string& name) const;
    /// In order of declaration.
    std::vector<const Variable*> all(Segment segment) const;

    /// The segment's bytes; Gradients and the moments have the size of Parameters, and HalfParameters half of it, once
    /// one of their tensors is used.
    size_t bytes(Segment segment) const;
    /// Byte offset of the segment in the arena; variables come first, in the order of `Segment`.
    size_t base(Segment segment) const;
    size_t total_bytes() const;
    /// Elements of all parameters, without the padding between them.
    int64_t parameter_count() const;

private:
    using Key = std::pair<Segment, std::string>;
    std::map<Key, Variable> variables_;
    std::vector<Key> order_;
    std::array<size_t, segment_count> used_{};
    std::array<bool, segment_count> mirrors_parameters_{};
};

} // namespace scene
