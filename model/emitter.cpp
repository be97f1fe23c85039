#include "model/emitter.h"

#include <algorithm>

#include "model/memory_plan.h"

namespace scene {
namespace {

/// Every read follows a write of the same tensor, nobody reads what an in-place op has overwritten, and setup hands
/// only variables on.
void check_dataflow(const Program& program) {
    std::vector<TensorId> holder(program.tensors.size()); // per buffer: the tensor whose values it holds now
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

Emitter::Emitter(std::string program_name, const Backend& backend, Variables& variables, Mode mode, int64_t batch,
                 int64_t full_batch)
    : backend_(backend), variables_(variables), mode_(mode), batch_(batch), full_batch_(full_batch) {
    SCENE_CHECK(batch > 0, "a batch holds at least one clip");
    program_.name = std::move(program_name);
}

TensorId Emitter::add(TensorInfo info) {
    const TensorId id{static_cast<int32_t>(program_.tensors.size())};
    if (info.storage == Storage::Transient && !info.buffer) info.buffer = id;
    program_.tensors.push_back(std::move(info));
    return id;
}

TensorId Emitter::transient(const std::string& name, const Shape& shape, DType dtype) {
    return add({name, dtype, shape, Storage::Transient, {}, {}, 0});
}

TensorId Emitter::activation(const std::string& name, const Shape& shape) {
    return transient(name, shape, backend_.activation_type());
}

TensorId Emitter::scratch(const std::string& name, size_t bytes) {
    if (bytes == 0) return {};
    return transient(name, {static_cast<int64_t>(bytes)}, DType::U8);
}

TensorId Emitter::alias(TensorId source, const std::string& name, const Shape& shape) {
    TensorInfo info = program_.info(source);
    SCENE_CHECK(shape.elements() == info.shape.elements(), name + " does not fit the memory of " + info.name);
    info.name = name;
    info.shape = shape;
    return add(info);
}

TensorId Emitter::variable(Segment segment, const std::string& name, const Shape& shape, DType dtype) {
    const Variable& variable = variables_.declare(segment, name, dtype, shape);
    TensorId& id = variable_ids_[{segment, name}];
    if (!id) id = add({name, dtype, shape, Storage::Variable, {}, segment, variable.offset});
    return id;
}

TensorId Emitter::external(const std::string& name, const Shape& shape, DType dtype) {
    return add({name, dtype, shape, Storage::External, {}, {}, 0});
}

TensorId Emitter::parameter(const std::string& name, const Shape& shape, Init init) {
    variables_.declare(Segment::Parameters, name, DType::F32, shape, init);
    if (training()) {
        for (Segment segment : {Segment::Gradients, Segment::FirstMoment, Segment::SecondMoment})
            variables_.declare(segment, name, DType::F32, shape);
    }
    return variable(Segment::Parameters, name, shape);
}

TensorId Emitter::parameter_gradient(const std::string& name) {
    const Variable* parameter = variables_.find(Segment::Parameters, name);
    SCENE_CHECK(parameter != nullptr, "there is no parameter " + name);
    return variable(Segment::Gradients, name, parameter->shape);
}

TensorId Emitter::activation_parameter(const std::string& name) {
    const Variable* parameter = variables_.find(Segment::Parameters, name);
    SCENE_CHECK(parameter != nullptr, "there is no parameter " + name);
    if (!half_precision()) return variable(Segment::Parameters, name, parameter->shape);
    return variable(Segment::HalfParameters, name, parameter->shape, DType::F16);
}

TensorId Emitter::flat(Segment segment) {
    const DType dtype = segment == Segment::HalfParameters ? DType::F16 : DType::F32;
    const auto elements = static_cast<int64_t>(variables_.bytes(segment) / size_of(dtype));
    return add({"flat", dtype, {elements}, Storage::Variable, {}, segment, 0});
}

TensorId Emitter::control() {
    return variable(Segment::State, "control", {static_cast<int64_t>(sizeof(StepControl))}, DType::U8);
}

void Emitter::emit(const std::string& name, const std::string& kind, std::vector<TensorId> writes,
                   std::vector<TensorId> reads, double flops, std::function<void(Backend&, const Frame&)> run) {
    std::erase_if(writes, [](TensorId id) { return !id; });
    std::erase_if(reads, [](TensorId id) { return !id; });
    program_.ops.push_back({name, kind, phase_, std::move(writes), std::move(reads), flops, std::move(run)});
}

void Emitter::set_gradient(TensorId activation, TensorId gradient) {
    const bool fresh = gradients_.emplace(activation.value, gradient).second;
    SCENE_CHECK(fresh, program_.info(activation).name + " already has a gradient");
}

TensorId Emitter::gradient(TensorId activation) const {
    const auto found = gradients_.find(activation.value);
    SCENE_CHECK(found != gradients_.end(), "no gradient reached " + program_.info(activation).name);
    return found->second;
}

void Emitter::stop_gradient(TensorId input) { stopped_[input.value] = true; }

bool Emitter::needs_gradient(TensorId activation) const { return !stopped_.contains(activation.value); }

void Emitter::on_backward(std::function<void()> emission) {
    if (training()) backward_.push_back(std::move(emission));
}

void Emitter::play_backward() {
    phase_ = Phase::Backward;
    for (auto emission = backward_.rbegin(); emission != backward_.rend(); ++emission) (*emission)();
    backward_.clear();
}

Program Emitter::finish() {
    SCENE_CHECK(backward_.empty(), "play_backward was not called");
    // Setup runs before the step, so what it needs for a while shares memory with all of the step.
    std::stable_partition(program_.ops.begin(), program_.ops.end(),
                          [](const Op& op) { return op.phase == Phase::Setup; });
    check_dataflow(program_);
    plan_memory(program_);
    return std::move(program_);
}

} // namespace scene
