// Which GPUs a program has kernels for.

#include "kernels/cuda/embedded_code.h"

#include <gtest/gtest.h>

namespace scene::test {
namespace {

using cuda::has_code_for;

TEST(EmbeddedCode, MachineCodeRunsOnTheSameMajorAndALaterMinorNumber) {
    EXPECT_TRUE(has_code_for("80 90", 8, 0));
    EXPECT_TRUE(has_code_for("80 90", 8, 9));
    EXPECT_TRUE(has_code_for("80 90", 9, 0));
    EXPECT_FALSE(has_code_for("80 90", 7, 5));
    EXPECT_FALSE(has_code_for("86 90", 8, 0));
    EXPECT_FALSE(has_code_for("90", 8, 9));
}

TEST(EmbeddedCode, PtxOfTheLastRunsOnEverythingNewer) {
    EXPECT_TRUE(has_code_for("80 90", 10, 0));
    EXPECT_TRUE(has_code_for("80 90", 12, 1));
    EXPECT_TRUE(has_code_for("80", 8, 6));
    EXPECT_TRUE(has_code_for("80 86 89 90 100 120", 10, 3));
    EXPECT_TRUE(has_code_for("80 86 89 90 100 120", 13, 0));
    EXPECT_FALSE(has_code_for("80 86 89 90 100 120", 11, 0)) << "between 10.0 and the PTX of 12.0";
}

TEST(EmbeddedCode, IsDescribed) {
    EXPECT_EQ(cuda::described_archs("90"), "9.0 and newer");
    EXPECT_EQ(cuda::described_archs("80 90 120"), "8.0, 9.0 and 12.0 and newer");
    EXPECT_ANY_THROW(has_code_for("", 9, 0));
    EXPECT_ANY_THROW(has_code_for("sm_90", 9, 0));
}

} // namespace
} // namespace scene::test
