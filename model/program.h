#pragma once

#include <functional>
#include <string>
#include <vector>

#include "kernels/device.h"
#include "model/variables.h"

namespace scene {

/// Index of a tensor inside one Program.
struct TensorId {
    int32_t value = -1;
    explicit operator bool() const { return value >= 0; }
    bool operator==(const TensorId&) const = default;
};

enum class Storage : uint8_t {
    Transient, ///< lives inside one step; the planner gives it its place in the arena
    Variable,  ///< outlives the step; its place comes from Variables
    External,  ///< memory of the caller (the feature store), bound before the first run
};

struct TensorInfo {
    std::string name;
    DType dtype = DType::F32;
    Shape shape;
    Storage storage = Storage::Transient;
    TensorId buffer;                  ///< Transient: the tensor whose memory this one uses (itself, unless aliased)
    Segment segment = Segment::State; ///< Variable: where
    size_t offset = 0;                ///< Variable: bytes into the segment; Transient: into the step's memory

    size_t bytes() const { return static_cast<size_t>(shape.elements()) * size_of(dtype); }
};

enum class Phase : uint8_t { Setup, Forward, Backward, Update };
std::string_view name_of(Phase phase);

class Bindings;

/// One op of a program, with everything there is to know about it: all from its record (ProgramBuilder::add).
struct Op {
    std::string name; ///< "block1.conv2.forward"
    std::string kind; ///< the record's name, "conv2d_forward"
    Phase phase = Phase::Forward;
    std::vector<TensorId> writes, reads; ///< in the record's order, without absent ones; what is updated is in both
    TensorId scratch;                    ///< absent where the device needs none
    double flops = 0;
    double bytes = 0; ///< moved, if nothing stays in a cache; scratch is not counted
    std::function<void(Device&, const Bindings&)> call;
};

/// A step as data: the one description of what runs, in which order, on which tensors, at which cost. Made by
/// ProgramBuilder, placed by plan_memory, run by Executor.
struct Program {
    std::string name; ///< "fcnn train batch 16"
    std::vector<TensorInfo> tensors;
    std::vector<Op> ops;
    size_t transient_bytes = 0; ///< size of the step's memory; set by plan_memory
    size_t lower_bound = 0;     ///< largest live set; no plan can be smaller

    const TensorInfo& info(TensorId id) const { return tensors.at(static_cast<size_t>(id.value)); }
    /// Bytes moved by all ops but those of setup.
    double bytes_moved() const;
    double flops(Phase phase) const;
};

/// Where a program's tensors are while it runs.
class Bindings {
public:
    Bindings(const Program& program, const Variables& variables, void* arena, const std::vector<void*>& externals)
        : program_(program), variables_(variables), arena_(static_cast<std::byte*>(arena)), externals_(externals) {}

    /// The tensor in memory; an absent id gives an absent tensor.
    Tensor operator[](TensorId id) const;

private:
    const Program& program_;
    const Variables& variables_;
    std::byte* arena_;
    const std::vector<void*>& externals_; ///< by tensor index; null where not external
};

} // namespace scene
