#pragma once

// The tests of an op: one list of cases for every device, all against the op's reference.
//
// A case is the op's record with HostArray operands. expect_like_reference runs it on every device and for every
// activation type. Memory starts as NaN, on the CPU and the emulator between sentinels. Inputs are rounded to what the
// device stores before the reference sees them, and must come back unchanged.
//
// Tolerance: the largest error against the reference in double may be twice that of the naive version in the device's
// own precision (the reference in float, with inputs and outputs rounded as on the device), or a few roundings of the
// largest value if that is more.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/device.h"
#include "kernels/op_fields.h"
#include "kernels/philox.h"

namespace scene::test {

// ---- operands -------------------------------------------------------------------------------------------------------

/// An operand's values on the host, in double for every stored type.
struct HostArray {
    DType dtype = DType::F32;
    Shape shape;
    std::vector<double> values;
    bool given = false;      ///< false: `values` has the right size, but no content yet
    bool activation = false; ///< stored in the device's activation type
    std::string place;       ///< operands with the same non-empty place share memory, as in-place ops do

    explicit operator bool() const { return !values.empty(); }
    double& operator[](int64_t i) { return values.at(static_cast<size_t>(i)); }
    double operator[](int64_t i) const { return values.at(static_cast<size_t>(i)); }
    int64_t size() const { return static_cast<int64_t>(values.size()); }
};

/// Without content: for outputs.
HostArray empty(const Shape& shape, DType dtype = DType::F32);
HostArray empty_activation(const Shape& shape);
/// f32, uniform in [low, high), drawn from (seed, element index).
HostArray uniform_f32(const Shape& shape, uint64_t seed, double low = -1, double high = 1);
HostArray uniform_activation(const Shape& shape, uint64_t seed, double low = -1, double high = 1);
/// Integers in [low, high]: sums are exact, equal values are frequent.
HostArray integer_activation(const Shape& shape, uint64_t seed, int low, int high);
HostArray with_values(const Shape& shape, std::vector<double> values, DType dtype = DType::F32);
HostArray indices_of(const Shape& shape, const std::vector<int32_t>& values);
HostArray control_of(const StepControl& control);
StepControl control_in(const HostArray& control);
/// The operand, in the memory of all operands with this place.
HostArray at_place(HostArray array, std::string place);
/// The unit roundoff: the largest relative error of one rounding to the type; 0 for integers.
double rounding_of(DType dtype);
/// The values as a tensor of this type holds them.
std::vector<double> stored_as(DType dtype, std::vector<double> values);

// ---- devices --------------------------------------------------------------------------------------------------------

/// Kinds of devices, which differ in what they guarantee.
enum class DeviceKind : uint8_t { Cpu, Emulator, Gpu };

/// A device as the tests of ops see it.
class TestDevice {
public:
    virtual ~TestDevice() = default;
    virtual DeviceKind kind() const = 0;
    virtual std::string name() const = 0;
    virtual Device& device() = 0;
    virtual std::vector<DType> activation_types() const = 0;
    /// Whether its ops check the values of indices before they use them, and refuse wrong ones.
    virtual bool checks_values() const { return false; }
    /// Memory that starts as NaN. On the CPU and the emulator it lies between sentinels that `release` checks.
    virtual void* allocate(size_t bytes) = 0;
    virtual void release(void* memory) = 0;
    /// Whether it rounds the operands of F32 matrix products to TF32.
    virtual bool has_tf32_products() const { return false; }
    /// Whether it only runs cases with operands of the activation type; all others run the same on another device.
    virtual bool only_activations() const { return false; }
    /// The number of orders of threads and blocks in which a case runs; `shuffle` sets the order.
    virtual int orders() const { return 1; }
    virtual void shuffle(uint64_t /*seed*/) {}
};

/// The devices of this test program (tests/devices/).
std::vector<TestDevice*> devices();
/// Devices that must give the same bits as `device`, which is one of devices(): the same with other thread counts.
std::vector<TestDevice*> twins_of(const TestDevice& device);
/// Counts a case on the device. The counts are printed when the program ends.
void count_case(const TestDevice& device);

// ---- running --------------------------------------------------------------------------------------------------------

namespace op_test {

/// The memory of one case on one device.
class Memory {
public:
    Memory(TestDevice& device, DType activation) : device_(device), activation_(activation) {}
    ~Memory();
    Memory(const Memory&) = delete;
    Memory& operator=(const Memory&) = delete;

    DType dtype_of(const HostArray& array) const { return array.activation ? activation_ : array.dtype; }
    /// The array's tensor on the device, uploaded if it is `given`. Absent if the array is.
    Tensor tensor(const HostArray& array);
    Tensor scratch(size_t bytes);
    HostArray download(const HostArray& like, const Tensor& from) const;

private:
    TestDevice& device_;
    DType activation_;
    std::vector<void*> allocated_;
    std::map<std::string, void*> places_;
};

/// An input that came back from the device. (Not for an input that shares memory with an output.)
void expect_unchanged(const HostArray& before, const HostArray& after);

/// A record's operands on the host, in one floating-point type, for the reference.
class ReferenceMemory {
public:
    explicit ReferenceMemory(DType real) : real_(real) {}
    Tensor tensor(const HostArray& array);
    HostArray values(const HostArray& like, const Tensor& from) const;

private:
    DType real_;
    std::vector<std::vector<double>> memory_;
    std::map<std::string, void*> places_;
};

struct Largest {
    double error = 0, value = 0;
};
Largest error_of(const HostArray& actual, const HostArray& expected);
/// The largest error may be `factor` times that of `naive`, or `roundings` of the largest value in the type `stored`,
/// or `of_largest` times the largest value. A failure prints the worst element.
testing::AssertionResult within(const HostArray& actual, const HostArray& expected, const HostArray& naive,
                                DType stored, double factor, double roundings, double of_largest = 0);

} // namespace op_test

/// The record's operands after the op ran on the device.
template <template <class> class Op>
Op<HostArray> run_on(TestDevice& device, DType activation, const Op<HostArray>& record) {
    if constexpr (requires { static_cast<const Conv2dShape&>(record.shape); }) device.device().autotune({record.shape});
    op_test::Memory memory(device, activation);
    Op<Tensor> op = rebound<Tensor>(record, [&](const HostArray& array) { return memory.tensor(array); });
    const Op<TensorSpec> spec = rebound<TensorSpec>(op, [](const Tensor& tensor) { return spec_of(tensor); });
    const size_t bytes = device.device().planner().scratch_bytes(spec);
    for_each_operand(op, [&]<class Field>(Field& field) {
        if constexpr (Field::scratch) field = Field(memory.scratch(bytes));
    });
    device.device().run(op);
    device.device().synchronize();
    std::vector<HostArray> before;
    for_each_operand(record, [&](const HostArray& array) { before.push_back(array); });
    size_t index = 0;
    Op<HostArray> after = rebound<HostArray>(op, [&](const Tensor& tensor) {
        const HostArray& like = before[index++];
        return like ? memory.download(like, tensor) : HostArray();
    });
    index = 0;
    for_each_operand(after, [&]<class Field>(const Field& field) {
        const HostArray& was = before[index++];
        if (!Field::writes && was && was.place.empty()) op_test::expect_unchanged(was, field);
    });
    count_case(device);
    return after;
}

/// The record's operands after the reference ran on them, in F64 or F32.
template <template <class> class Op> Op<HostArray> run_reference(const Op<HostArray>& record, DType real = DType::F64) {
    op_test::ReferenceMemory memory(real);
    const Op<Tensor> op = rebound<Tensor>(record, [&](const HostArray& array) { return memory.tensor(array); });
    reference::run(op);
    std::vector<HostArray> before;
    for_each_operand(record, [&](const HostArray& array) { before.push_back(array); });
    size_t index = 0;
    return rebound<HostArray>(op, [&](const Tensor& tensor) { return memory.values(before[index++], tensor); });
}

/// The record with its operands rounded to what a device with this activation type stores.
template <template <class> class Op> Op<HostArray> rounded(const Op<HostArray>& record, DType activation) {
    return rebound<HostArray>(record, [&](HostArray array) {
        if (array) array.values = stored_as(array.activation ? activation : array.dtype, std::move(array.values));
        return array;
    });
}

struct Allowance {
    double factor = 2;    ///< times the naive version's error
    double roundings = 4; ///< of the largest value, in the stored type
    /// As `roundings`, for outputs that are sums and not activations, if that is more. The error of n additions in
    /// float is about sqrt(n) roundings; with few sums, the naive version's largest error may happen to be much
    /// smaller.
    double sum_roundings = 0;
    /// A share of the largest value, for every type: for errors that the naive version does not have.
    double of_largest = 0;
    bool product = false; ///< a matrix product in F32: TF32, where the device has it, has the precision of F16
};

/// The allowance for an activation type on a device; nothing if the op is not to run there.
using AllowanceOn = std::function<std::optional<Allowance>(TestDevice&, DType)>;

/// Calls work(device, activation type) for every device, type and order; for one type if there is no activation.
template <class Work> void for_each_setting(bool has_activation, Work&& work) {
    for (TestDevice* device : devices()) {
        if (!has_activation && device->only_activations()) continue;
        for (const DType type : device->activation_types()) {
            if (!has_activation && type != device->activation_types().front()) continue;
            for (int order = 1; order <= device->orders(); ++order) {
                SCOPED_TRACE(device->name() + ", " + std::string(name_of(type)) + ", order " + std::to_string(order));
                device->shuffle(static_cast<uint64_t>(order));
                work(*device, type);
            }
        }
    }
}

template <template <class> class Op> bool has_activation(const Op<HostArray>& record) {
    bool has = false;
    for_each_operand(record, [&](const HostArray& array) { has = has || array.activation; });
    return has;
}

/// Every output, on every device and in every activation type, equals the reference's.
template <template <class> class Op>
void expect_like_reference(const Op<HostArray>& record, const std::string& label, const AllowanceOn& allowance_on) {
    SCOPED_TRACE(std::string(Op<HostArray>::name) + (label.empty() ? "" : " " + label));
    struct Expected {
        Op<HostArray> given, values, naive;
    };
    std::map<DType, Expected> of_type; // the same on every device and in every order
    const auto expected_of = [&](DType type) {
        const Op<HostArray> given = rounded(record, type);
        return Expected{given, run_reference(given), rounded(run_reference(given, DType::F32), type)};
    };
    const bool by_type = has_activation(record);
    for_each_setting(by_type, [&](TestDevice& device, DType type) {
        const std::optional<Allowance> allowance = allowance_on(device, type);
        if (!allowance) return;
        const DType stored_type = by_type ? type : DType::F32;
        if (!of_type.contains(stored_type)) of_type.emplace(stored_type, expected_of(stored_type));
        const auto& [given, expected, naive] = of_type.at(stored_type);
        const Op<HostArray> actual = run_on(device, type, given);
        std::vector<const HostArray*> want, near;
        for_each_operand(expected, [&](const HostArray& array) { want.push_back(&array); });
        for_each_operand(naive, [&](const HostArray& array) { near.push_back(&array); });
        size_t index = 0;
        for_each_operand(actual, [&]<class Field>(const Field& field) {
            const size_t i = index++;
            if (!Field::writes || Field::scratch || !field) return;
            const bool tf32 = allowance->product && device.has_tf32_products();
            const DType stored = tf32 ? DType::F16 : field.activation ? type : field.dtype;
            const double roundings = std::max(allowance->roundings, field.activation ? 0 : allowance->sum_roundings);
            EXPECT_TRUE(
                op_test::within(field, *want[i], *near[i], stored, allowance->factor, roundings, allowance->of_largest))
                << "operand " << i << " " << field.shape.text();
        });
    });
}

template <template <class> class Op>
void expect_like_reference(const Op<HostArray>& record, const std::string& label = "", Allowance allowance = {}) {
    expect_like_reference(record, label, [&](TestDevice&, DType) { return std::optional(allowance); });
}

/// Calls check(the record after the op ran) for each device. Inputs are rounded to what the device stores.
template <template <class> class Op, class Check> void on_each_device(const Op<HostArray>& record, Check&& check) {
    for (TestDevice* device : devices()) {
        SCOPED_TRACE(device->name());
        const DType type = device->activation_types().front();
        check(run_on(*device, type, rounded(record, type)));
    }
}

/// The op gives the same bits when it runs again and on the device's twins, on every device or on every `chosen` one.
template <template <class> class Op>
void expect_same_bits(const Op<HostArray>& record, const std::function<bool(TestDevice&)>& chosen = {}) {
    const auto same = [](const Op<HostArray>& a, const Op<HostArray>& b) {
        std::vector<const HostArray*> of_a;
        for_each_operand(a, [&](const HostArray& array) { of_a.push_back(&array); });
        size_t index = 0;
        bool equal = true;
        for_each_operand(b, [&]<class Field>(const Field& field) {
            const HostArray& other = *of_a[index++];
            if (Field::writes && !Field::scratch && field)
                equal = equal && std::memcmp(other.values.data(), field.values.data(),
                                             field.values.size() * sizeof(double)) == 0;
        });
        return equal;
    };
    for (TestDevice* device : devices()) {
        if (chosen && !chosen(*device)) continue;
        const std::vector<TestDevice*> twins = twins_of(*device);
        for (const DType type : device->activation_types()) {
            const Op<HostArray> given = rounded(record, type), first = run_on(*device, type, given);
            EXPECT_TRUE(same(first, run_on(*device, type, given))) << device->name() << ": not the same bits again";
            for (TestDevice* twin : twins)
                EXPECT_TRUE(same(first, run_on(*twin, type, given))) << twin->name() << " has other bits";
        }
    }
}

/// The op throws std::logic_error on every device, or on every `chosen` one.
template <template <class> class Op>
void expect_refused(const Op<HostArray>& record, const std::function<bool(TestDevice&)>& chosen = {}) {
    for (TestDevice* device : devices()) {
        if (chosen && !chosen(*device)) continue;
        EXPECT_THROW(run_on(*device, device->activation_types().front(), record), std::logic_error) << device->name();
    }
}

/// The op throws std::logic_error on every device that checks the values of indices.
template <template <class> class Op> void expect_values_refused(const Op<HostArray>& record) {
    for (TestDevice* device : devices()) {
        if (!device->checks_values()) continue;
        EXPECT_THROW(run_on(*device, device->activation_types().front(), record), std::logic_error) << device->name();
    }
}

// ---- gradients ------------------------------------------------------------------------------------------------------

/// The gradient of loss() with respect to `at`, which it reads. With values near 1 and step 1e-5 the error is about
/// 1e-9; there must be no kink within a step.
template <class Loss> std::vector<double> central_differences(HostArray& at, Loss&& loss, double step = 1e-5) {
    std::vector<double> gradient(at.values.size());
    for (int64_t i = 0; i < at.size(); ++i) {
        const double value = at[i];
        at[i] = value + step;
        const double above = loss();
        at[i] = value - step;
        const double below = loss();
        at[i] = value;
        gradient[static_cast<size_t>(i)] = (above - below) / (2 * step);
    }
    return gradient;
}

/// The gradient of sum(dy*output) with respect to an input of the forward op, by central differences of its reference
/// in double.
template <class Forward, class Input, class Output> std::vector<double>
numeric_gradient(Forward forward, Input input, Output output, const HostArray& dy, double step = 1e-5) {
    const auto loss = [&] {
        const Forward done = run_reference(forward);
        const HostArray& y = done.*output;
        double sum = 0;
        for (int64_t i = 0; i < y.size(); ++i) sum += y[i] * dy[i];
        return sum;
    };
    return central_differences(forward.*input, loss, step);
}

/// |actual - expected| <= tolerance * max(1, largest |expected|), and no NaN.
testing::AssertionResult near_all(const HostArray& actual, const std::vector<double>& expected,
                                  double tolerance = 1e-6);

} // namespace scene::test
