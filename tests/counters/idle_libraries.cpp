#include "tests/counters/idle_libraries.h"

#include <algorithm>

#include <nvtx3/nvToolsExt.h>

namespace scene::counters {
namespace {

void note_call() {
    if (!emulator::ranges.empty()) library_calls().insert(emulator::ranges.back());
}

class IdleConvolutions final : public cuda::Convolutions {
public:
    std::string version() const override { return "none"; }
    /// As cuDNN for F16: a forward pass normalises its input only with statistics.
    bool offers(const cuda::ConvolutionTask& task) const override {
        return task.pass != ConvPass::Forward || !task.fusion.normalize_input || task.fusion.statistics;
    }
    void choose(const cuda::ConvolutionTask& task) override {
        if (std::none_of(choices_.begin(), choices_.end(), [&](const auto& known) { return known.task == task; }))
            choices_.push_back({task, task.shape.x().text(), "none", 0, ""});
    }
    size_t scratch_bytes(const cuda::ConvolutionTask&) const override { return 256; }
    std::optional<double> seconds(const cuda::ConvolutionTask&) const override { return std::nullopt; }
    std::vector<cuda::ConvolutionChoice> choices() const override { return choices_; }
    cuda::PlanCache& times() override { return times_; }
    void run(const cuda::ConvolutionTask&, const cuda::ConvolutionOperands&, void*, cudaStream_t) override {
        note_call();
    }

private:
    std::vector<cuda::ConvolutionChoice> choices_;
    cuda::PlanCache times_{std::filesystem::path()};
};

class IdleGemm final : public cuda::Gemm {
public:
    std::string version() const override { return "none"; }
    size_t workspace_bytes() const override { return 256; }
    void multiply(const cuda::Product&, void*, const void*, const void*, void*, cudaStream_t) override { note_call(); }
};

} // namespace

std::set<std::string>& library_calls() {
    static std::set<std::string> calls;
    return calls;
}

std::unique_ptr<cuda::Convolutions> idle_convolutions() { return std::make_unique<IdleConvolutions>(); }
std::unique_ptr<cuda::Gemm> idle_gemm() { return std::make_unique<IdleGemm>(); }

} // namespace scene::counters
