#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "kernels/op_fields.h"
#include "model/program.h"

namespace scene {

enum class Mode : uint8_t { Training, Inference };

/// Builds a Program. A layer is a plain function: it adds its forward ops and registers a function that adds its
/// backward ops. `build_backward` calls these functions in reverse order. There is no autograd at run time.
class ProgramBuilder {
public:
    /// `full_batch`: if this program is for the smaller last batch of an epoch, the size of a full batch; else 0.
    ProgramBuilder(std::string program_name, const Planner& planner, Variables& variables, Mode mode, int64_t batch,
                   int64_t full_batch = 0);

    const Planner& planner() const { return planner_; }
    bool training() const { return mode_ == Mode::Training; }
    int64_t batch() const { return batch_; }
    int64_t full_batch() const { return full_batch_; }

    // ---- tensors --------------------------------------------------------------------------------------------
    /// A tensor that lives inside one step; `finish` assigns its memory.
    TensorId transient(const std::string& name, const Shape& shape, DType dtype = DType::F32);
    /// A transient of the device's activation type.
    TensorId activation(const std::string& name, const Shape& shape);
    /// A tensor in the memory of `source`, with as many elements: a reshaped view, or the output of an in-place op.
    /// After an op writes the alias, nothing may read `source` (checked by `finish`).
    TensorId alias(TensorId source, const std::string& name, const Shape& shape);
    TensorId variable(Segment segment, const std::string& name, const Shape& shape, DType dtype = DType::F32);
    TensorId external(const std::string& name, const Shape& shape, DType dtype);
    /// A trained parameter, F32.
    TensorId parameter(const std::string& name, const Shape& shape, Init init);
    /// The gradient of a declared parameter, F32.
    TensorId parameter_gradient(const std::string& name);
    /// A declared parameter in the activation type: itself if that is F32, else its copy in F16 or BF16. A setup op
    /// makes the copy; `adam` and `weight_decay` keep it up to date.
    TensorId activation_parameter(const std::string& name);
    /// Whether the activation type is F16 or BF16.
    bool half_width() const { return is_half_width(planner_.activation_type()); }
    /// The whole segment as one vector, padding included. Call it after every parameter has been declared.
    TensorId flat(Segment segment);
    /// The step's control block, U8 [sizeof(StepControl)].
    TensorId control();
    const Shape& shape(TensorId id) const { return program_.info(id).shape; }
    DType dtype(TensorId id) const { return program_.info(id).dtype; }

    // ---- ops ------------------------------------------------------------------------------------------------
    void phase(Phase phase) { phase_ = phase; }
    /// Appends an op in the current phase. Its writes, reads, bytes, FLOPs, scratch and call follow from the record.
    /// The caller leaves the scratch empty.
    template <template <class> class Record> void add(const std::string& name, Record<TensorId> record);
    /// Appends an op that has no record, in the current phase.
    void append(Op op);

    // ---- backward -------------------------------------------------------------------------------------------
    /// Sets the gradient of an activation, once. Gradients are not accumulated.
    void set_gradient(TensorId activation, TensorId gradient);
    /// The gradient that was set; std::logic_error if there is none.
    TensorId gradient(TensorId activation) const;
    /// Declares that the gradient of this tensor is not needed (an input of the model).
    void stop_gradient(TensorId input);
    bool needs_gradient(TensorId activation) const;
    /// Registers a function that adds a layer's backward ops. Ignored in inference.
    void on_backward(std::function<void()> build);
    /// Calls the registered functions, last one first, in Phase::Backward.
    void build_backward();
    /// A new stream number for a dropout mask: 1, 2, ... in the order of calls.
    uint32_t next_random_stream() { return random_stream_++; }

    /// Moves the setup ops to the front, checks the program and plans its memory. std::logic_error if build_backward
    /// was not called, if a transient is read before it is written or after an alias of it was written, or if it is
    /// written in setup and read in the step.
    Program finish();

private:
    TensorId add_tensor(TensorInfo info);
    TensorSpec spec(TensorId id) const;

    const Planner& planner_;
    Variables& variables_;
    Mode mode_;
    int64_t batch_, full_batch_;
    Phase phase_ = Phase::Forward;
    Program program_;
    std::vector<std::function<void()>> backward_;
    std::map<int32_t, TensorId> gradients_;
    std::map<int32_t, bool> stopped_;
    std::map<std::pair<Segment, std::string>, TensorId> variable_ids_;
    uint32_t random_stream_ = 1;
};

template <template <class> class Record> void ProgramBuilder::add(const std::string& name, Record<TensorId> record) {
    Op op;
    op.name = name;
    op.kind = Record<TensorId>::name;
    const auto specs = [&] { return rebound<TensorSpec>(record, [this](TensorId id) { return spec(id); }); };
    for_each_operand(record, [&]<class Field>(Field& field) {
        if constexpr (Field::scratch) {
            SCENE_CHECK(!field, name + " brings scratch of its own");
            if (const size_t bytes = planner_.scratch_bytes(specs()); bytes > 0)
                op.scratch = field = transient(name + ".scratch", {static_cast<int64_t>(bytes)}, DType::U8);
        } else {
            SCENE_CHECK(field || Field::optional, name + ": a required operand of " + op.kind + " is absent");
            if (field && Field::writes) op.writes.push_back(field);
            if (field && Field::reads) op.reads.push_back(field);
        }
    });
    op.flops = flops_of(specs());
    op.bytes = bytes_of(specs());
    op.call = [record](Device& device, const Bindings& bindings) {
        device.run(rebound<Tensor>(record, [&](TensorId id) { return bindings[id]; }));
    };
    append(std::move(op));
}

} // namespace scene
