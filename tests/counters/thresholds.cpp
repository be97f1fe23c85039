#include "tests/counters/thresholds.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>

#include "kernels/error.h"
#include "tests/counters/counter_names.h"

namespace scene::counters {
namespace {

constexpr double least_sector_use = 0.9, most_conflicts = 0.05, least_lanes = 24, most_reads = 1.5;
constexpr double most_off_plan = 0.02, bytes_off_plan = 65536;
constexpr double least_bytes = 1e6; ///< of a kernel that takes time

std::string short_name(const std::string& kernel) {
    const size_t end = std::min(kernel.find('<'), kernel.size());
    const size_t colon = kernel.rfind(':', end);
    return kernel.substr(colon == std::string::npos ? 0 : colon + 1,
                         end - (colon == std::string::npos ? 0 : colon + 1));
}

/// Keeps the worst finding of each rule and subject.
class Findings {
public:
    /// `badness`: the larger, the worse.
    void add(const std::string& rule, const std::string& subject, double value, double badness, std::string text) {
        const auto [at, fresh] = worst_.try_emplace({rule, subject});
        if (!fresh && at->second.first >= badness) return;
        at->second = {badness, {rule, subject, value, std::move(text)}};
    }
    std::vector<Finding> all() const {
        std::vector<Finding> out;
        for (const auto& [key, finding] : worst_) out.push_back(finding.second);
        return out;
    }

private:
    std::map<std::pair<std::string, std::string>, std::pair<double, Finding>> worst_;
};

void judge(const KernelCounters& kernel, Findings& out) {
    const AccessCounts global = global_access(kernel.access), shared = shared_access(kernel.access);
    const std::string subject = short_name(kernel.kernel), where = kernel.kernel + " in " + kernel.op;
    const auto add = [&](const char* rule, double value, double badness, const std::string& what) {
        out.add(rule, subject, value, badness, where + ": " + what);
    };
    if (const double share = conflict_share(shared); share > most_conflicts)
        add("conflicts", share, share, fmt::format("{:.1f} % of its wavefronts are bank conflicts", 100 * share));
    if (32 * global.sectors < least_bytes) return;
    if (const double use = sector_use(global); use < least_sector_use)
        add("sectors", use, -use, fmt::format("uses {:.1f} % of each sector", 100 * use));
    if (const double lanes = lanes_per_access(kernel.access); lanes < least_lanes)
        add("lanes", lanes, -lanes, fmt::format("{:.1f} of 32 threads take part in an access", lanes));
    const double distinct = kernel.distinct_bytes_read + kernel.distinct_bytes_written;
    if (const double times = 32 * global.sectors / distinct; times > most_reads)
        add("re-read", times, times, fmt::format("moves {:.2f} times its distinct bytes", times));
}

void judge_plan(const CountedStep& step, Findings& out) {
    std::map<std::string, double> counted;
    for (const KernelCounters& kernel : step.counters.kernels)
        counted[kernel.op] +=
            kernel.distinct_bytes_read + kernel.distinct_bytes_written - kernel.distinct_bytes_of_scratch;
    for (const PlannedOp& op : step.plan) {
        const auto at = counted.find(op.name);
        if (op.by_library || at == counted.end()) continue;
        const double off = at->second - op.bytes;
        if (std::abs(off) <= std::max(bytes_off_plan, most_off_plan * op.bytes)) continue;
        const double share = op.bytes > 0 ? off / op.bytes : 1;
        out.add("plan", op.kind, share, std::abs(share),
                fmt::format("{}: {:.3f} MB are counted, its record says {:.3f} MB ({:+.1f} %)", op.name,
                            at->second / 1e6, op.bytes / 1e6, 100 * share));
    }
}

std::string trimmed(const std::string& text) {
    const size_t first = text.find_first_not_of(' '), last = text.find_last_not_of(' ');
    return first == std::string::npos ? "" : text.substr(first, last - first + 1);
}

} // namespace

std::vector<Finding> findings(const CountedStep& step) {
    Findings out;
    for (const KernelCounters& kernel : step.counters.kernels) judge(kernel, out);
    judge_plan(step, out);
    return out.all();
}

std::vector<Exception> read_exceptions(const std::filesystem::path& path) {
    std::ifstream file(path);
    if (!file) fail("{}: cannot be read", path.string());
    std::vector<Exception> out;
    std::string line;
    for (int number = 1; std::getline(file, line); ++number) {
        if (trimmed(line).empty() || line.front() == '#') continue;
        const size_t first = line.find('|'), second = line.find('|', first + 1);
        Exception exception;
        if (second != std::string::npos && first != second)
            exception = {trimmed(line.substr(0, first)), trimmed(line.substr(first + 1, second - first - 1)),
                         trimmed(line.substr(second + 1))};
        if (exception.rule.empty() || exception.subject.empty() || exception.reason.empty())
            fail("{}:{}: expected 'rule | subject | reason'", path.string(), number);
        out.push_back(exception);
    }
    return out;
}

std::vector<std::string> unexplained(const std::vector<Finding>& findings, const std::vector<Exception>& exceptions) {
    std::vector<std::string> out;
    const auto matches = [](const Finding& finding, const Exception& exception) {
        return finding.rule == exception.rule && finding.subject == exception.subject;
    };
    for (const Finding& finding : findings)
        if (std::none_of(exceptions.begin(), exceptions.end(), [&](const auto& e) { return matches(finding, e); }))
            out.push_back(fmt::format("{} | {} | {}", finding.rule, finding.subject, finding.text));
    for (const Exception& exception : exceptions)
        if (std::none_of(findings.begin(), findings.end(), [&](const auto& f) { return matches(f, exception); }))
            out.push_back(
                fmt::format("the exception '{} | {}' is no longer needed", exception.rule, exception.subject));
    return out;
}

} // namespace scene::counters
