#pragma once

#include <stdexcept>
#include <string>
#include <utility>

#if !defined(__CUDACC__) // nvcc does not understand fmt; .cu files throw Error themselves
#include <fmt/format.h>
#endif

namespace scene {

/// Replaces control characters, line ends among them, by spaces.
std::string one_line(std::string text);

/// An error that the user can cause and fix. The message is one line: what is wrong, where, and what to do.
/// The command prints it as `scene: <message>` on stderr and exits with 1.
class Error : public std::runtime_error {
public:
    /// The message may quote a file, so it goes through one_line.
    explicit Error(std::string message) : std::runtime_error(one_line(std::move(message))) {}
};

#if !defined(__CUDACC__)
/// Throws Error with a formatted message.
template <typename... Args> [[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
    throw Error(fmt::format(format, std::forward<Args>(args)...));
}
#endif

/// Throws std::logic_error for a violated precondition: a bug in the program, never an error of the user.
[[noreturn]] void contract_violation(const char* statement, const std::string& message, const char* file, int line);

} // namespace scene

/// Checks a precondition; `message` is evaluated only if it is violated.
#define SCENE_CHECK(condition, message)                                                                                \
    do {                                                                                                               \
        if (!(condition)) ::scene::contract_violation(#condition, (message), __FILE__, __LINE__);                      \
    } while (0)
