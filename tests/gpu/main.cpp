// The tests of the kernels and the device on a real GPU. `make test` builds the program, `make gpu-check` runs it. If
// no GPU can be used, it says why and fails.

#include <cstdio>

#include <gtest/gtest.h>

#include "kernels/cuda/gpu.h"
#include "tests/support/temporary_folder.h"

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    if (const std::string reason = scene::cuda_unavailable_reason(); !reason.empty()) {
        std::fprintf(stderr, "gpu_tests: %s\n", reason.c_str());
        return 1;
    }
    // A cache of this process alone: all its devices take the same plans, and none from earlier runs.
    const scene::test::TemporaryFolder plans;
    setenv("XDG_CACHE_HOME", plans.path().c_str(), 1);
    return RUN_ALL_TESTS();
}
