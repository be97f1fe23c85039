#pragma once

#include "tests/cuda_on_cpu/faulty_kernels.h"
#include "tests/cuda_on_cpu/support.h"

namespace scene::test {

constexpr int blocks = 3, threads = 64;

/// What the launch throws; "" when it goes through.
inline std::string message_of(Fault fault, int count = threads) {
    const OnDevice in(uniform({blocks * count}, 1)), out(Shape{blocks * count});
    try {
        reverse(static_cast<Tensor>(out).as<float>(), static_cast<Tensor>(in).as<float>(), blocks, count, fault);
    } catch (const Error& error) { return error.what(); }
    return "";
}

inline bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

/// The fault is found in every order, with this in the message, and does not affect the next launch.
inline void expect_found(Fault fault, const std::string& part) {
    for (const uint64_t seed : {1, 2, 3}) {
        emulator::shuffle(seed);
        const std::string message = message_of(fault);
        EXPECT_TRUE(contains(message, part)) << message;
        EXPECT_EQ(message_of(Fault::None), "") << "after a failure";
    }
}

} // namespace scene::test
