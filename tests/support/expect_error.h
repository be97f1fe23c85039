#pragma once

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/error.h"

namespace scene::test {

/// Runs `action`, which must throw scene::Error with a one-line message that contains every one of `parts`.
template <typename Action> testing::AssertionResult fails_with(Action&& action, const std::vector<std::string>& parts) {
    try {
        action();
    } catch (const Error& error) {
        const std::string message = error.what();
        if (message.find('\n') != std::string::npos) return testing::AssertionFailure() << "several lines: " << message;
        for (const std::string& part : parts)
            if (message.find(part) == std::string::npos)
                return testing::AssertionFailure() << "'" << part << "' is not in: " << message;
        return testing::AssertionSuccess();
    } catch (const std::exception& other) {
        return testing::AssertionFailure() << "not a scene::Error: " << other.what();
    }
    return testing::AssertionFailure() << "nothing was thrown";
}

} // namespace scene::test
