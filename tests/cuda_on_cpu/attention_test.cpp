#include "kernels/attention/attention.h"
#include "kernels/cuda/context.h"
#include "tests/cuda_on_cpu/support.h"

namespace scene::test {
namespace {

TEST(CudaAttention, TooManyTokensAreRefused) {
    const OnDevice qkv_memory({1, 250, 24}), y_memory({1, 250, 8});
    const Tensor qkv = qkv_memory, y = y_memory;
    cuda::Context context{};
    EXPECT_THROW(run(AttentionForward<Tensor>{.y = y, .qkv = qkv, .heads = 2}, context), std::logic_error);
    EXPECT_THROW(run(AttentionBackward<Tensor>{.dqkv = qkv, .dy = y, .qkv = qkv, .heads = 2}, context),
                 std::logic_error);
}

} // namespace
} // namespace scene::test
