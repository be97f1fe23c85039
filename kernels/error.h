#pragma once

#include <stdexcept>
#include <string>
#include <utility>

#if !defined(__CUDACC__) // nvcc does not understand fmt; .cu files throw Error themselves
#include <fmt/format.h>
#endif

namespace scene {

/// Something the user can cause and mend. The message is one line: what is wrong, where, and what to do.
/// The command prints it as `scene: <message>` on stderr and exits with 1.
class Error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

#if !defined(__CUDACC__)
/// Throws Error with a formatted message.
template <typename... Args> [[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
    throw Error(fmt::format(format, std::forward<Args>(args)...));
}
#endif

/// A broken promise between two parts of the program, never the user's fault.
[[noreturn]] inline void contract_violation(const char* statement, const std::string& message, const char* file,
                                            int line) {
    throw std::logic_error(std::string(file) + ":" + std::to_string(line) + ": " + message + " (" + statement +
                           " is false)");
}

} // namespace scene

/// Checks what a caller promised; `message` is evaluated only on failure.
#define SCENE_CHECK(condition, message)                                                                                \
    do {                                                                                                               \
        if (!(condition)) ::scene::contract_violation(#condition, (message), __FILE__, __LINE__);                      \
    } while (0)
