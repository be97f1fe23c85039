#pragma once

#include <array>
#include <map>
#include <string>
#include <vector>

#include "kernels/tensor.h"

namespace scene {

/// The arena's segments of variables.
/// - Parameters, Gradients, FirstMoment, SecondMoment: flat F32 buffers of one layout, so that one Adam op updates the
///   whole model.
/// - HalfParameters: a copy of the parameters in F16 or BF16, in the same layout, for devices with that activation
/// type.
/// - Statistics: running means and variances of batch norm.
/// - State: tables, the control block, folded and prepared weights.
enum class Segment : uint8_t { Parameters, Gradients, FirstMoment, SecondMoment, HalfParameters, Statistics, State };
constexpr size_t segment_count = 7;

/// How a parameter is initialised. `fan_in` and `fan_out` are channels times kernel area, as in PyTorch.
struct Init {
    enum class Kind : uint8_t { Zeros, Ones, XavierUniform, HeNormal, LinearUniform, Normal } kind = Kind::Zeros;
    int64_t fan_in = 1, fan_out = 1;

    static Init zeros() { return {Kind::Zeros, 1, 1}; }
    static Init ones() { return {Kind::Ones, 1, 1}; }
    /// Uniform(-a, a), a = sqrt(6/(fan_in + fan_out)).
    static Init xavier_uniform(int64_t fan_in, int64_t fan_out) { return {Kind::XavierUniform, fan_in, fan_out}; }
    /// Normal with mean 0 and standard deviation sqrt(2/fan_in).
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
/// of a run. A ProgramBuilder declares them by segment and name; the first declaration assigns the offset.
class Variables {
public:
    /// The variable `name` of the segment, declared now or before. std::logic_error if type or shape differ from an
    /// earlier declaration, or if a segment of the parameters' layout gets a name that is no parameter of this shape.
    const Variable& declare(Segment segment, const std::string& name, DType dtype, const Shape& shape,
                            Init init = Init::zeros());
    /// The declared variable `name` of the segment, or null.
    const Variable* find(Segment segment, const std::string& name) const;
    /// In order of declaration.
    std::vector<const Variable*> all(Segment segment) const;

    /// The segment's bytes. Gradients and the moments have the size of Parameters, HalfParameters half of it, as soon
    /// as one of their tensors is declared; else 0.
    size_t bytes(Segment segment) const;
    /// Byte offset of the segment in the arena. The segments come first there, in the order of the enum.
    size_t base(Segment segment) const;
    size_t total_bytes() const;
    /// Elements of all parameters, without padding.
    int64_t parameter_count() const;

private:
    using Key = std::pair<Segment, std::string>;
    std::map<Key, Variable> variables_;
    std::vector<Key> order_;
    std::array<size_t, segment_count> used_{};
    std::array<bool, segment_count> mirrors_parameters_{};
};

} // namespace scene
