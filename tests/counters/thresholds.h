#pragma once

// What a kernel must not do without a reason. Reasons are in tests/counters/exceptions.txt.

#include <filesystem>
#include <string>
#include <vector>

#include "tests/counters/steps.h"

namespace scene::counters {

struct Finding {
    std::string rule;    ///< "sectors", "conflicts", "lanes", "re-read", "plan"
    std::string subject; ///< the kernel's name without namespace and template arguments; for "plan" the op's kind
    double value = 0;    ///< the worst
    std::string text;    ///< one line
};

/// The rules:
/// - sectors: distinct bytes fill at least 90 % of the sectors of a kernel's requests to global memory
/// - conflicts: at most 5 % of a kernel's shared-memory wavefronts are bank conflicts
/// - lanes: at least 24 of 32 threads take part in an access on average
/// - re-read: the sectors are at most 1.5 times those that the distinct bytes fill
/// - plan: an op's distinct bytes without its scratch are within 2 % (or 64 kB) of what its record says that it moves
/// Kernels that move less than a megabyte, which take no time, are held to the rule of conflicts alone.
std::vector<Finding> findings(const CountedStep& step);

struct Exception {
    std::string rule, subject, reason;
};

/// Lines "rule | subject | reason"; empty ones and those that begin with # are left out. Throws Error with the line.
std::vector<Exception> read_exceptions(const std::filesystem::path& path);

/// One line for each finding without an exception, and for each exception without a finding.
std::vector<std::string> unexplained(const std::vector<Finding>& findings, const std::vector<Exception>& exceptions);

} // namespace scene::counters
