#include "model/executor.h"

#include <algorithm>

namespace scene {
namespace {

/// A profiler range.
class Range {
public:
    Range(Device& device, const std::string& name) : device_(device) { device.begin_range(name); }
    ~Range() { device_.end_range(); }
    Range(const Range&) = delete;
    Range& operator=(const Range&) = delete;

private:
    Device& device_;
};

/// Runs the op inside a range of its name.
void run_op(Device& device, const Bindings& bindings, const Op& op) {
    const Range range(device, op.name);
    op.call(device, bindings);
}

} // namespace

Executor::Executor(Device& device, const Variables& variables, std::vector<const Program*> programs)
    : device_(device), variables_(variables) {
    size_t transient = 0;
    for (const Program* program : programs) {
        transient = std::max(transient, program->transient_bytes);
        bound_.push_back({program, std::vector<void*>(program->tensors.size(), nullptr), {}});
    }
    arena_bytes_ = variables.total_bytes() + transient;
    arena_ = device_.allocate(arena_bytes_);
}

Executor::~Executor() {
    for (const auto& [host, device] : imports_) device_.release_import(device);
    device_.release(arena_);
}

void Executor::bind_external(const std::string& name, const void* host, size_t bytes) {
    void* device = nullptr;
    for (const auto& [known, twin] : imports_)
        if (known == host) device = twin;
    if (!device) {
        device = device_.import(host, bytes);
        imports_.emplace_back(host, device);
    }
    bind_external(name, {device, DType::U8, {static_cast<int64_t>(bytes)}});
}

void Executor::bind_external(const std::string& name, const Tensor& device) {
    const size_t bytes = device.bytes();
    for (Bound& bound : bound_) {
        for (size_t index = 0; index < bound.program->tensors.size(); ++index) {
            const TensorInfo& info = bound.program->tensors[index];
            if (info.storage != Storage::External || info.name != name) continue;
            SCENE_CHECK(info.bytes() == bytes, name + " has " + std::to_string(bytes) + " bytes, the program expects " +
                                                   std::to_string(info.bytes()));
            bound.externals[index] = device.data;
        }
    }
}

const Executor::Bound& Executor::bound(const Program& program) const {
    const auto found =
        std::find_if(bound_.begin(), bound_.end(), [&](const Bound& bound) { return bound.program == &program; });
    SCENE_CHECK(found != bound_.end(), "the executor was not made for program " + program.name);
    return *found;
}

Executor::Bound& Executor::bound(const Program& program) {
    return const_cast<Bound&>(std::as_const(*this).bound(program));
}

void Executor::run_phase(const Bound& bound, bool setup) {
    const Bindings bindings(*bound.program, variables_, arena_, bound.externals);
    for (const Op& op : bound.program->ops)
        if ((op.phase == Phase::Setup) == setup) run_op(device_, bindings, op);
}

void Executor::setup(const Program& program) { run_phase(bound(program), true); }

void Executor::run(const Program& program) {
    Bound& target = bound(program);
    if (target.replay) {
        target.replay();
        return;
    }
    run_phase(target, false);
    target.replay = device_.record([this, &target] { run_phase(target, false); });
}

std::vector<OpTime> Executor::profile(const Program& program, const std::function<bool(const Op&)>& timed) {
    const Bound& target = bound(program);
    const Bindings bindings(program, variables_, arena_, target.externals);
    const auto seconds_of = [&](const Op& op) { return device_.seconds_of([&] { run_op(device_, bindings, op); }); };
    std::vector<OpTime> times;
    const Range step(device_, "step");
    for (const Op& op : program.ops) {
        if (op.phase == Phase::Setup) continue;
        if (!timed) {
            times.push_back({&op, seconds_of(op)});
        } else if (timed(op)) {
            const Range chosen(device_, "timed");
            times.push_back({&op, seconds_of(op)});
        } else {
            run_op(device_, bindings, op);
        }
    }
    return times;
}

Tensor Executor::tensor(Segment segment, const std::string& name) const {
    const Variable* variable = variables_.find(segment, name);
    SCENE_CHECK(variable != nullptr, "there is no variable " + name);
    return {static_cast<std::byte*>(arena_) + variables_.base(segment) + variable->offset, variable->dtype,
            variable->shape};
}

void Executor::upload(Segment segment, const std::string& name, const void* host, size_t bytes) {
    const Tensor target = tensor(segment, name);
    SCENE_CHECK(target.bytes() == bytes, name + " has " + std::to_string(target.bytes()) + " bytes");
    device_.upload(target.data, host, bytes);
}

void Executor::download(Segment segment, const std::string& name, void* host, size_t bytes) const {
    const Tensor source = tensor(segment, name);
    SCENE_CHECK(source.bytes() == bytes, name + " has " + std::to_string(source.bytes()) + " bytes");
    device_.download(host, source.data, bytes);
}

Tensor Executor::tensor(const Program& program, TensorId id) const {
    return Bindings(program, variables_, arena_, bound(program).externals)[id];
}

} // namespace scene
