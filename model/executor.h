#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "model/program.h"

namespace scene {

/// One op's measured time, for the profiler.
struct OpTime {
    const Op* op = nullptr;
    double seconds = 0;
};

/// Runs the programs of one model. One arena, allocated once, holds the variables and behind them the transients of the
/// largest program.
class Executor {
public:
    /// All programs must have been built with `variables`. No variable may be declared afterwards.
    Executor(Device& device, const Variables& variables, std::vector<const Program*> programs);
    ~Executor();
    Executor(const Executor&) = delete;
    Executor& operator=(const Executor&) = delete;

    Device& device() { return device_; }
    const Variables& variables() const { return variables_; }
    size_t arena_bytes() const { return arena_bytes_; }

    /// Binds the external tensor `name` in every program that has one. `host` must outlive the executor. A CPU reads it
    /// in place; a GPU gets a copy, one for all tensors bound to the same `host`.
    void bind_external(const std::string& name, const void* host, size_t bytes);
    /// The same for device memory, which must outlive the executor too.
    void bind_external(const std::string& name, const Tensor& device);

    /// Runs the program's setup ops (work that depends on parameters only).
    void setup(const Program& program);
    /// Runs one step, without the setup ops. The first call executes the ops one by one and then records them; later
    /// calls replay the recording (Device::record).
    void run(const Program& program);
    /// Runs one step op by op, without a recording.
    void run_op_by_op(const Program& program) { run_phase(bound(program), false); }
    /// Runs one step op by op, inside the profiler range "step", and returns the time of each op; with `timed` of each
    /// op that it accepts, inside a further range "timed".
    std::vector<OpTime> profile(const Program& program, const std::function<bool(const Op&)>& timed = {});

    /// The variable in device memory. upload and download copy the whole of it: `bytes` must be its size.
    Tensor tensor(Segment segment, const std::string& name) const;
    void upload(Segment segment, const std::string& name, const void* host, size_t bytes);
    void download(Segment segment, const std::string& name, void* host, size_t bytes) const;
    /// Where a program's tensor lies. For tests: a transient keeps its values after a run only until its memory is
    /// reused.
    Tensor tensor(const Program& program, TensorId id) const;

private:
    struct Bound {
        const Program* program = nullptr;
        std::vector<void*> externals; ///< by tensor index
        std::function<void()> replay; ///< empty until the first run
    };
    Bound& bound(const Program& program);
    const Bound& bound(const Program& program) const;
    void run_phase(const Bound& bound, bool setup);

    Device& device_;
    const Variables& variables_;
    size_t arena_bytes_ = 0;
    void* arena_ = nullptr;
    std::vector<Bound> bound_;
    std::vector<std::pair<const void*, void*>> imports_; ///< host memory, and where the device reads it
};

} // namespace scene
