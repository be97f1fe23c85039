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
    Transient, ///< lives inside one step; plan_memory assigns its offset
    Variable,  ///< outlives the step; Variables assigns its offset
    External,  ///< the caller's memory (the feature store), bound before the first run
};

struct TensorInfo {
    std::string name;
    DType dtype = DType::F32;
    Shape shape;
    Storage storage = Storage::Transient;
    TensorId buffer;                  ///< Transient: the tensor that owns the memory (itself, unless an alias)
    Segment segment = Segment::State; ///< Variable: the segment that holds it
    size_t offset = 0;                ///< in bytes; Variable: in the segment, Transient: in the step's memory

    size_t bytes() const { return static_cast<size_t>(shape.elements()) * size_of(dtype); }
};

enum class Phase : uint8_t { Setup, Forward, Backward, Update };
std::string_view name_of(Phase phase);

class Bindings;

/// One op of a program. ProgramBuilder::add derives everything here from the op's record.
struct Op {
    std::string name; ///< "block1.conv2.forward"
    std::string kind; ///< the record's name, "conv2d_forward"
    Phase phase = Phase::Forward;
    std::vector<TensorId> writes, reads; ///< in the record's order, without absent ones; an InOut is in both
    TensorId scratch;                    ///< absent if the device needs none
    double flops = 0;
    double bytes = 0; ///< memory traffic without any cache reuse; scratch is not counted
    std::function<void(Device&, const Bindings&)> call;
};

/// A step as data: which ops run, in which order, on which tensors, at which cost. Built by ProgramBuilder, laid out in
/// memory by plan_memory, run by Executor.
struct Program {
    std::string name; ///< "FCNN training batch 16"
    std::vector<TensorInfo> tensors;
    std::vector<Op> ops;
    size_t transient_bytes = 0; ///< size of the step's memory; set by plan_memory
    size_t lower_bound = 0;     ///< bytes of the largest live set; no plan can be smaller

    const TensorInfo& info(TensorId id) const { return tensors.at(static_cast<size_t>(id.value)); }
    /// Sum over all ops but those of setup.
    double bytes_moved() const;
    double flops(Phase phase) const;
};

/// Maps a program's tensor ids to memory while it runs.
class Bindings {
public:
    Bindings(const Program& program, const Variables& variables, void* arena, const std::vector<void*>& externals)
        : program_(program), variables_(variables), arena_(static_cast<std::byte*>(arena)), externals_(externals) {}

    /// The tensor in memory; an absent id gives an absent tensor. std::logic_error for an external tensor that is not
    /// bound.
    Tensor operator[](TensorId id) const;

private:
    const Program& program_;
    const Variables& variables_;
    std::byte* arena_;
    const std::vector<void*>& externals_; ///< by tensor index; null where not external
};

} // namespace scene
