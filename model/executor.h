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

/// Runs the programs of one model in one arena: the variables, then room for the largest program's transients. One
/// allocation for its whole life.
class Executor {
public:
    /// All programs must have been built with `variables`, which must not grow any more.
    Executor(Device& device, const Variables& variables, std::vector<const Program*> programs);
    ~Executor();
    Executor(const Executor&) = delete;
    Executor& operator=(const Executor&) = delete;

    Device& device() { return device_; }
    const Variables& variables() const { return variables_; }
    size_t arena_bytes() const { return arena_bytes_; }

    /// Gives an external tensor its memory, in every program that has one of that name. `host` must outlive the
    /// executor.
    void bind_external(const std::string& name, const void* host, size_t bytes);
    /// The same for memory that is the device's already, which must outlive the executor too.
    void bind_external(const std::string& name, const Tensor& device);

    /// Runs the program's setup ops (work that depends on parameters only).
    void setup(const Program& program);
    /// Runs one step. The first run of a program executes and records it, later ones replay the record.
    void run(const Program& program);
    /// Runs one step op by op, as the range "step" of a profiler, and reports the time of each.
    std::vector<OpTime> profile(const Program& program);

    /// The variable in device memory.
    Tensor tensor(Segment segment, const std::string& name) const;
    void upload(Segment segment, const std::string& name, const void* host, size_t bytes);
    void download(Segment segment, const std::string& name, void* host, size_t bytes) const;
    /// The values of a transient tensor after a run, if nothing has taken its memory since: for tests.
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
    std::vector<std::pair<const void*, void*>> imports_; ///< host memory and its device twin
};

} // namespace scene
