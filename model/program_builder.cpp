#include "model/program_builder.h"

#include <algorithm>

#include "model/memory_plan.h"

namespace scene {
namespace {

/// Checks that every read of a transient follows a write of it, that nothing reads a tensor after an in-place op has
/// overwritten it, and that the step reads no transient of setup.
void check_dataflow(const Program& program) {
    std::vector<TensorId> holder(program.tensors.size()); // by buffer: the tensor whose values it holds now
    std::vector<bool> written_in_setup(program.tensors.size(), false);
    for (const Op& op : program.ops) {
        for (TensorId id : op.reads) {
            const TensorInfo& info = program.info(id);
            if (info.storage != Storage::Transient) continue;
            const TensorId owner = holder[static_cast<size_t>(info.buffer.value)];
            SCENE_CHECK(owner, op.name + " reads " + info.name + " before it is written");
            SCENE_CHECK(owner.value <= id.value,
                        op.name + " reads " + info.name + " after " + program.info(owner).name + " took its memory");
            SCENE_CHECK((op.phase == Phase::Setup) == written_in_setup[static_cast<size_t>(info.buffer.value)],
                        info.name + " is transient and crosses from setup into the step");
        }
        for (TensorId id : op.writes) {
            const TensorInfo& info = program.info(id);
            if (info.storage != Storage::Transient) continue;
            holder[static_cast<size_t>(info.buffer.value)] = id;
            written_in_setup[static_cast<size_t>(info.buffer.value)] = op.phase == Phase::Setup;
        }
    }
}

} // namespace

ProgramBuilder::ProgramBuilder(std::string program_name, const Planner& planner, Variables& variables, Mode mode,
                               int64_t batch, int64_t full_batch)
    : planner_(planner), variables_(variables), mode_(mode), batch_(batch), full_batch_(full_batch) {
    SCENE_CHECK(batch > 0, "a batch holds at least one clip");
    program_.name = std::move(program_name);
}

TensorId ProgramBuilder::add_tensor(TensorInfo info) {
    const TensorId id{static_cast<int32_t>(program_.tensors.size())};
    if (info.storage == Storage::Transient && !info.buffer) info.buffer = id;
    program_.tensors.push_back(std::move(info));
    return id;
}

TensorId ProgramBuilder::transient(const std::string& name, const Shape& shape, DType dtype) {
    return add_tensor({name, dtype, shape, Storage::Transient, {}, {}, 0});
}

TensorId ProgramBuilder::activation(const std::string& name, const Shape& shape) {
    return transient(name, shape, planner_.activation_type());
}

TensorId ProgramBuilder::alias(TensorId source, const std::string& name, const Shape& shape) {
    TensorInfo info = program_.info(source);
    SCENE_CHECK(shape.elements() == info.shape.elements(), name + " does not fit the memory of " + info.name);
    info.name = name;
    info.shape = shape;
    return add_tensor(info);
}

TensorId ProgramBuilder::variable(Segment segment, const std::string& name, const Shape& shape, DType dtype) {
    const Variable& variable = variables_.declare(segment, name, dtype, shape);
    TensorId& id = variable_ids_[{segment, name}];
    if (!id) id = add_tensor({name, dtype, shape, Storage::Variable, {}, segment, variable.offset});
    return id;
}

TensorId ProgramBuilder::external(const std::string& name, const Shape& shape, DType dtype) {
    return add_tensor({name, dtype, shape, Storage::External, {}, {}, 0});
}

TensorId ProgramBuilder::parameter(const std::string& name, const Shape& shape, Init init) {
    variables_.declare(Segment::Parameters, name, DType::F32, shape, init);
    if (training()) {
        for (Segment segment : {Segment::Gradients, Segment::FirstMoment, Segment::SecondMoment})
            variables_.declare(segment, name, DType::F32, shape);
    }
    return variable(Segment::Parameters, name, shape);
}

TensorId ProgramBuilder::parameter_gradient(const std::string& name) {
    const Variable* parameter = variables_.find(Segment::Parameters, name);
    SCENE_CHECK(parameter != nullptr, "there is no parameter " + name);
    return variable(Segment::Gradients, name, parameter->shape);
}

TensorId ProgramBuilder::activation_parameter(const std::string& name) {
    const Variable* parameter = variables_.find(Segment::Parameters, name);
    SCENE_CHECK(parameter != nullptr, "there is no parameter " + name);
    if (!half_width()) return variable(Segment::Parameters, name, parameter->shape);
    return variable(Segment::HalfParameters, name, parameter->shape, planner_.activation_type());
}

TensorId ProgramBuilder::flat(Segment segment) {
    const DType dtype = segment == Segment::HalfParameters ? planner_.activation_type() : DType::F32;
    const auto elements = static_cast<int64_t>(variables_.bytes(segment) / size_of(dtype));
    return add_tensor({"flat", dtype, {elements}, Storage::Variable, {}, segment, 0});
}

TensorId ProgramBuilder::control() {
    return variable(Segment::State, "control", {static_cast<int64_t>(sizeof(StepControl))}, DType::U8);
}

TensorSpec ProgramBuilder::spec(TensorId id) const { return id ? TensorSpec(dtype(id), shape(id)) : TensorSpec(); }

void ProgramBuilder::append(Op op) {
    op.phase = phase_;
    program_.ops.push_back(std::move(op));
}

void ProgramBuilder::set_gradient(TensorId activation, TensorId gradient) {
    const bool fresh = gradients_.emplace(activation.value, gradient).second;
    SCENE_CHECK(fresh, program_.info(activation).name + " already has a gradient");
}

TensorId ProgramBuilder::gradient(TensorId activation) const {
    const auto found = gradients_.find(activation.value);
    SCENE_CHECK(found != gradients_.end(), "no gradient reached " + program_.info(activation).name);
    return found->second;
}

void ProgramBuilder::stop_gradient(TensorId input) { stopped_[input.value] = true; }

bool ProgramBuilder::needs_gradient(TensorId activation) const { return !stopped_.contains(activation.value); }

void ProgramBuilder::on_backward(std::function<void()> build) {
    if (training()) backward_.push_back(std::move(build));
}

void ProgramBuilder::build_backward() {
    phase_ = Phase::Backward;
    for (auto build = backward_.rbegin(); build != backward_.rend(); ++build) (*build)();
    backward_.clear();
}

Program ProgramBuilder::finish() {
    SCENE_CHECK(backward_.empty(), "build_backward was not called");
    // With setup first, the lifetimes of its transients end before the step, which reuses their memory.
    std::stable_partition(program_.ops.begin(), program_.ops.end(),
                          [](const Op& op) { return op.phase == Phase::Setup; });
    check_dataflow(program_);
    plan_memory(program_);
    return std::move(program_);
}

} // namespace scene
