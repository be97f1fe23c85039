#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "kernels/op_fields.h"
#include "model/program.h"

namespace scene {

enum class Mode : uint8_t { Training, Inference };

/// Builds a Program. A layer is a plain function: it adds its forward ops and, in training, registers what adds its
/// backward ops, which `build_backward` calls in reverse order. There is no autograd at run time.
class ProgramBuilder {
public:
    /// `full_batch`: of the program that this one shares its variables with, where `batch` is its smaller last one.
    ProgramBuilder(std::string program_name, const Planner& planner, Variables& variables, Mode mode, int64_t batch,
                   int64_t full_batch = 0);

    const Planner& planner() const { return planner_; }
    bool training() const { return mode_ == Mode::Training; }
    int64_t batch() const { return batch_; }
    int64_t full_batch() const { return full_batch_; }

    // ---- tensors --------------------------------------------------------------------------------------------
    TensorId transient(const std::string& name, const Shape& shape, DType dtype = DType::F32);
    /// A transient of the device's activation type.
    TensorId activation(const std::string& name, const Shape& shape);
    /// A tensor in the memory of `source` from now on: a reshaped view, or the output of an op that works in place.
    /// After an op writes the alias, nothing may read `source` any more (checked by `finish`).
    TensorId alias(TensorId source, const std::string& name, const Shape& shape);
    TensorId variable(Segment segment, const std::string& name, const Shape& shape, DType dtype = DType::F32);
    TensorId external(const std::string& name, const Shape& shape, DType dtype);
    /// A trained parameter. In training its gradient is `parameter_gradient(name)`.
    TensorId parameter(const std::string& name, const Shape& shape, Init init);
    TensorId parameter_gradient(const std::string& name);
    /// A declared parameter for ops that take it in the activation type: itself, or its F16 copy, which is made in
    /// setup and kept up to date by `adam`.
    TensorId activation_parameter(const std::string& name);
    bool half_precision() const { return planner_.activation_type() == DType::F16; }
    /// The whole of a flat segment as one vector; call when every parameter has been declared.
    TensorId flat(Segment segment);
    /// Step control block, U8 [sizeof(StepControl)].
    TensorId control();
    const Shape& shape(TensorId id) const { return program_.info(id).shape; }
    DType dtype(TensorId id) const { return program_.info(id).dtype; }

    // ---- ops ------------------------------------------------------------------------------------------------
    void phase(Phase phase) { phase_ = phase; }
    /// Appends an op in the current phase. What it writes, reads and moves, its scratch, its arithmetic and its call
    /// follow from the record.
    template <template <class> class Record> void add(const std::string& name, Record<TensorId> record);
    /// Appends an op that has no record, in the current phase.
    void append(Op op);

    // ---- backward -------------------------------------------------------------------------------------------
    /// Names the gradient of an activation; each activation gets exactly one.
    void set_gradient(TensorId activation, TensorId gradient);
    /// The gradient set for the activation; it must exist.
    TensorId gradient(TensorId activation) const;
    /// Declares that nobody needs the gradient of this tensor (an input of the model).
    void stop_gradient(TensorId input);
    bool needs_gradient(TensorId activation) const;
    /// Registers what adds a layer's backward ops. Ignored in inference.
    void on_backward(std::function<void()> build);
    void build_backward();
    /// A new dropout stream number, counted from 1 in the order of calls.
    uint32_t next_random_stream() { return random_stream_++; }

    /// Moves setup to the front, checks the program (every read follows a write, aliases are safe, nothing transient
    /// crosses from setup) and plans its memory.
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
