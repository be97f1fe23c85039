// The tests of the kernels and the device on a real GPU. Where none can be used, the program says why and fails:
// `make test` builds it, `make gpu-check` runs it.

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
    // All devices of the process take the same plans, whatever was measured on this machine before.
    const scene::test::TemporaryFolder plans;
    setenv("XDG_CACHE_HOME", plans.path().c_str(), 1);
    return RUN_ALL_TESTS();
}
