// The emulator's tensor core instructions: they compute what a device would, and faults are found.

#include "tests/cuda_on_cpu/support.h"
#include "tests/cuda_on_cpu/tensor_core_kernels.h"

namespace scene::test {
namespace {

constexpr MatrixOrder orders_of_matrices[] = {MatrixOrder::AsIs, MatrixOrder::Transposed};

/// a [16, 16], b [16, 8] and c [16, 8] of three seeds.
struct Product {
    Guarded a, b, c;
    OnDevice d_a, d_b, d_c;

    Product(Guarded left, Guarded right, Guarded sum, DType type = DType::F16)
        : a(stored_as(type, left)), b(stored_as(type, right)), c(std::move(sum)), d_a(a, type), d_b(b, type), d_c(c) {}

    void run(MatrixOrder order, TensorCoreFault fault = TensorCoreFault::None, int threads = 32) const {
        multiply_on_tensor_core(static_cast<Tensor>(d_c), static_cast<Tensor>(d_a), static_cast<Tensor>(d_b), order,
                                fault, threads);
    }
    double expected(int64_t row, int64_t column) const {
        double sum = static_cast<double>(c[row * 8 + column]);
        for (int64_t k = 0; k < 16; ++k)
            sum += static_cast<double>(a[row * 16 + k]) * static_cast<double>(b[k * 8 + column]);
        return sum;
    }
};

Product random_product(DType type = DType::F16) {
    return {uniform({16, 16}, 1), uniform({16, 8}, 2), uniform({16, 8}, 3), type};
}

/// What the launch throws; "" when it goes through.
std::string message_of(TensorCoreFault fault, int threads = 32) {
    try {
        random_product().run(MatrixOrder::AsIs, fault, threads);
    } catch (const Error& error) { return error.what(); }
    return "";
}

void expect_message(const std::string& message, const std::string& part) {
    EXPECT_NE(message.find(part), std::string::npos) << message;
}

TEST(EmulatorTensorCore, MultipliesMatricesInBothOrders) {
    for (const DType type : {DType::F16, DType::BF16}) {
        for (const MatrixOrder order : orders_of_matrices) {
            const Product product = random_product(type);
            product.run(order);
            const Guarded result = product.d_c.host();
            for (int64_t i = 0; i < 16 * 8; ++i)
                EXPECT_NEAR(result[i], product.expected(i / 8, i % 8), 4e-6) << name_of(type) << " " << i;
        }
    }
}

/// One element of each matrix after the other: each has its place in a fragment.
TEST(EmulatorTensorCore, EveryElementHasItsPlace) {
    for (const MatrixOrder order : orders_of_matrices) {
        for (int64_t i = 0; i < 16 * 16; i += 3) {
            Guarded one({16, 16}), numbers({16, 8}), zeros({16, 8});
            std::fill(one.floats().begin(), one.floats().end(), 0.0f);
            std::fill(zeros.floats().begin(), zeros.floats().end(), 0.0f);
            one[i] = 1;
            for (int64_t j = 0; j < 16 * 8; ++j) numbers[j] = static_cast<float>(j + 1);
            const Product product(one, numbers, zeros);
            product.run(order);
            const Guarded result = product.d_c.host();
            for (int64_t j = 0; j < 16 * 8; ++j)
                ASSERT_EQ(result[j], j / 8 == i / 16 ? numbers[i % 16 * 8 + j % 8] : 0.0f) << i << " " << j;
        }
    }
}

/// A device adds towards zero.
TEST(EmulatorTensorCore, RoundsTowardsZero) {
    Guarded one({16, 16}), small({16, 8}), sums({16, 8});
    for (float& value : one.floats()) value = 1;
    for (float& value : small.floats()) value = 0x1.8p-24f / 16; // together three quarters of the last place of 1
    for (float& value : sums.floats()) value = 1;
    const Product product(one, small, sums);
    product.run(MatrixOrder::AsIs);
    for (const float value : product.d_c.host().floats()) EXPECT_EQ(value, 1);
}

TEST(EmulatorTensorCore, FindsFaults) {
    EXPECT_EQ(message_of(TensorCoreFault::None), "");
    expect_message(message_of(TensorCoreFault::LaneLeaves), "has ended, but a warp operation");
    expect_message(message_of(TensorCoreFault::None, 16), "lanes that the warp lacks");
    expect_message(message_of(TensorCoreFault::Misaligned), "misaligned access of 16 bytes");
    if (emulator::checks_accesses()) {
        for (const uint64_t seed : {1, 2, 3}) {
            emulator::shuffle(seed);
            EXPECT_NE(message_of(TensorCoreFault::NoBarrier), "");
        }
    }
    EXPECT_EQ(message_of(TensorCoreFault::None), "") << "after a failure";
}

} // namespace
} // namespace scene::test
