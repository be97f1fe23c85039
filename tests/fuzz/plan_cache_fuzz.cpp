// Damaged files of convolution plans.

#include "kernels/cuda/autotune/plan_cache.h"

#include <cmath>

#include "tests/fuzz/fuzz.h"

namespace {

using scene::cuda::PlanCache;
using scene::test::require;

/// All lines count or none does; what is known survives writing and reading.
bool accepts(const std::string& input) {
    const std::string file = scene::test::write_input("fuzz.plans", input);
    PlanCache cache(file);
    std::vector<std::string> problems;
    bool all_are_lines = true;
    for (size_t at = input.find('\n'); at != std::string::npos && at + 1 < input.size();) {
        const size_t end = input.find('\n', ++at);
        const std::string line = input.substr(at, end - at);
        problems.push_back(line.substr(0, line.find('\t')));
        all_are_lines = all_are_lines && end != std::string::npos && line.find('\t') != std::string::npos;
        at = end;
    }
    size_t known = 0;
    for (const std::string& problem : problems) known += cache.find(problem) ? 1 : 0;
    require(known == 0 || (known == problems.size() && all_are_lines), "a damaged file counts as empty");
    if (known == 0) return false;

    PlanCache(file).add("one more problem", "engine 1", 0.04);
    PlanCache again(file);
    require(again.find("one more problem").has_value(), "the file is written anew");
    for (const std::string& problem : problems) {
        const PlanCache::Entry before = *cache.find(problem), after = again.find(problem).value();
        require(std::isfinite(before.microseconds) && before.microseconds >= 0, "a time is no less than nothing");
        require(std::isfinite(before.budget_seconds) && before.budget_seconds >= 0 && before.left_out >= 0, "a limit");
        require(!before.choice.empty() && before.choice.find_first_of("\t\n") == std::string::npos, "a choice");
        if (problem == "one more problem") continue;
        require(before.choice == after.choice && before.microseconds == after.microseconds &&
                    before.left_out == after.left_out && before.budget_seconds == after.budget_seconds,
                "the same is read again");
    }
    return true;
}

} // namespace

int main(int argc, char** argv) {
    const std::string first =
        "scene convolution plans, version 3: problem, choice, microseconds, left out, within seconds\n";
    return scene::test::fuzz_main(
        argc, argv,
        {{first + "forward 16x500x64x1 5x5\tengine 1 knobs 2=3\t12.3\t0\t0.0\ndata-grad\tkernel\t0.0\t3\t60.0\n",
          first + "a\tb\t1\t0\t0\n", first + "one more problem\tengine 7\t100000.5\t1\t2.5\n"},
         {"\t", "\n", "\r\n", "\t\t", "nan", "inf", "-inf", "-1", "1e308", "1e-308", "1e999", "0x10", "-0.0", "12.34",
          "99999999999999999999", "version 1", "version 2", "a\tb\t1\t0\t0\n", std::string(1, '\0')},
         accepts,
         20000});
}
