#include "tests/support/op_test.h"

namespace scene::test {
namespace {

TEST(FillZero, ClearsEveryTypeAndNothingBeside) {
    for (const DType dtype : {DType::F32, DType::F64, DType::I32, DType::I64, DType::U8, DType::F16, DType::BF16}) {
        HostArray x = empty({3, 1001}, dtype);
        for (double& value : x.values) value = 7;
        x.given = true;
        on_each_device(FillZero<HostArray>{.x = x}, [&](const FillZero<HostArray>& after) {
            EXPECT_EQ(after.x.values, std::vector<double>(3003)) << name_of(dtype);
        });
    }
}

TEST(FillZero, OfManyElements) { expect_like_reference(FillZero<HostArray>{.x = empty({70001})}, "", {0, 0}); }

TEST(FillZero, NothingIsRefused) { expect_refused(FillZero<HostArray>{.x = HostArray()}); }

} // namespace
} // namespace scene::test
