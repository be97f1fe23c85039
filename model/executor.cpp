#include "model/executor.h"

#include <algorithm>

namespace scene {
namespace {

/// Runs the op under its name.
void run_op(Backend& backend, const Frame& frame, const Op& op) {
    struct Range {
        Backend& backend;
        ~Range() { backend.end_range(); }
    };
    backend.begin_range(op.name);
    const Range range{backend};
    op.run(backend, frame);
}

} // namespace

Executor::Executor(Backend& backend, const Variables& variables, std::vector<const Program*> programs)
    : backend_(backend), variables_(variables) {
    size_t transient = 0;
    for (const Program* program : programs) {
        transient = std::max(transient, program->transient_bytes);
        bound_.push_back({program, std::vector<void*>(program->tensors.size(), nullptr), {}});
    }
    arena_bytes_ = variables.total_bytes() + transient;
    arena_ = backend_.allocate(arena_bytes_);
}

Executor::~Executor() {
    for (const auto& [host, device] : imports_) backend_.release_import(device);
    backend_.release(arena_);
}

void Executor::bind_external(const std::string& name, const void* host, size_t bytes) {
    void* device = nullptr;
    for (const auto& [known, twin] : imports_)
        if (known == host) device = twin;
    if (!device) {
        device = backend_.import(host, bytes);
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
    const Frame frame(*bound.program, variables_, arena_, bound.externals);
    for (const Op& op : bound.program->ops)
        if ((op.phase == Phase::Setup) == setup) run_op(backend_, frame, op);
}

void Executor::setup(const Program& program) { run_phase(bound(program), true); }

void Executor::run(const Program& program) {
    Bound& target = bound(program);
    if (target.replay) {
        target.replay();
        return;
    }
    run_phase(target, false);
    target.replay = backend_.record([this, &target] { run_phase(target, false); });
}

std::vector<OpTime> Executor::profile(const Program& program) {
    const Bound& target = bound(program);
    const Frame frame(program, variables_, arena_, target.externals);
    std::vector<OpTime> times;
    backend_.begin_range("step");
    for (const Op& op : program.ops)
        if (op.phase != Phase::Setup) times.push_back({&op, backend_.seconds_of([&] { run_op(backend_, frame, op); })});
    backend_.end_range();
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
    backend_.upload(target.data, host, bytes);
}

void Executor::download(Segment segment, const std::string& name, void* host, size_t bytes) const {
    const Tensor source = tensor(segment, name);
    SCENE_CHECK(source.bytes() == bytes, name + " has " + std::to_string(source.bytes()) + " bytes");
    backend_.download(host, source.data, bytes);
}

Tensor Executor::tensor(const Program& program, TensorId id) const {
    return Frame(program, variables_, arena_, bound(program).externals)[id];
}

} // namespace scene
