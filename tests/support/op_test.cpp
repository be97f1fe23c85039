#include "tests/support/op_test.h"

#include <algorithm>
#include <cstdio>

#include "kernels/half_width.h"

namespace scene::test {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

template <typename T> std::vector<std::byte> bytes_as(const std::vector<double>& values) {
    std::vector<std::byte> bytes(values.size() * sizeof(T));
    for (size_t i = 0; i < values.size(); ++i) {
        const T value = static_cast<T>(values[i]);
        std::memcpy(bytes.data() + i * sizeof(T), &value, sizeof(T));
    }
    return bytes;
}

template <typename T> std::vector<double> values_of(const std::byte* bytes, size_t count) {
    std::vector<double> values(count);
    for (size_t i = 0; i < count; ++i) {
        T value;
        std::memcpy(&value, bytes + i * sizeof(T), sizeof(T));
        values[i] = static_cast<double>(value);
    }
    return values;
}

/// The values as the bytes of this type. F16 and BF16 are rounded from float, as a device does.
std::vector<std::byte> stored(DType dtype, const std::vector<double>& values) {
    switch (dtype) {
    case DType::F64: return bytes_as<double>(values);
    case DType::F32: return bytes_as<float>(values);
    case DType::F16:
    case DType::BF16: return half_width_bytes(dtype, std::vector<float>(values.begin(), values.end()));
    case DType::I32: return bytes_as<int32_t>(values);
    case DType::I64: return bytes_as<int64_t>(values);
    case DType::U8: return bytes_as<uint8_t>(values);
    }
    return {};
}

std::vector<double> loaded(DType dtype, const std::byte* bytes, size_t count) {
    switch (dtype) {
    case DType::F64: return values_of<double>(bytes, count);
    case DType::F32: return values_of<float>(bytes, count);
    case DType::F16: return values_of<_Float16>(bytes, count);
    case DType::BF16: return values_of<BFloat16>(bytes, count);
    case DType::I32: return values_of<int32_t>(bytes, count);
    case DType::I64: return values_of<int64_t>(bytes, count);
    case DType::U8: return values_of<uint8_t>(bytes, count);
    }
    return {};
}

bool is_real(DType dtype) { return dtype == DType::F32 || dtype == DType::F64 || is_half_width(dtype); }

HostArray drawn(const Shape& shape, uint64_t seed, double low, double high, bool activation) {
    HostArray array = activation ? empty_activation(shape) : empty(shape);
    array.given = true;
    for (int64_t i = 0; i < array.size(); ++i) {
        const float share = uniform_of(random_word(seed, 0, 0, static_cast<uint64_t>(i)));
        array[i] = static_cast<double>(static_cast<float>(low + (high - low) * static_cast<double>(share)));
    }
    return array;
}

/// Prints how many cases ran on each device when the program ends.
struct CaseCounter {
    std::map<std::string, long long> cases;

    ~CaseCounter() {
        for (const auto& [device, count] : cases) std::printf("%lld cases on %s\n", count, device.c_str());
    }
};

} // namespace

HostArray empty(const Shape& shape, DType dtype) {
    HostArray array;
    array.dtype = dtype;
    array.shape = shape;
    array.values.assign(static_cast<size_t>(shape.elements()), is_real(dtype) ? nan : 0);
    return array;
}

HostArray empty_activation(const Shape& shape) {
    HostArray array = empty(shape);
    array.activation = true;
    return array;
}

HostArray uniform_f32(const Shape& shape, uint64_t seed, double low, double high) {
    return drawn(shape, seed, low, high, false);
}

HostArray uniform_activation(const Shape& shape, uint64_t seed, double low, double high) {
    return drawn(shape, seed, low, high, true);
}

HostArray integer_activation(const Shape& shape, uint64_t seed, int low, int high) {
    HostArray array = drawn(shape, seed, low, high + 1, true);
    for (double& value : array.values) value = std::floor(value);
    return array;
}

HostArray with_values(const Shape& shape, std::vector<double> values, DType dtype) {
    HostArray array = empty(shape, dtype);
    SCENE_CHECK(values.size() == array.values.size(), "as many values as " + shape.text() + " has");
    array.values = std::move(values);
    array.given = true;
    return array;
}

HostArray indices_of(const Shape& shape, const std::vector<int32_t>& values) {
    return with_values(shape, {values.begin(), values.end()}, DType::I32);
}

HostArray control_of(const StepControl& control) {
    return with_values({sizeof(StepControl)},
                       values_of<uint8_t>(reinterpret_cast<const std::byte*>(&control), sizeof control), DType::U8);
}

StepControl control_in(const HostArray& control) {
    StepControl out;
    const std::vector<std::byte> bytes = bytes_as<uint8_t>(control.values);
    std::memcpy(&out, bytes.data(), sizeof out);
    return out;
}

HostArray at_place(HostArray array, std::string place) {
    array.place = std::move(place);
    return array;
}

double rounding_of(DType dtype) {
    switch (dtype) {
    case DType::F16: return 0x1p-11;
    case DType::BF16: return 0x1p-8;
    case DType::F32: return 0x1p-24;
    case DType::F64: return 0x1p-53;
    default: return 0;
    }
}

std::vector<double> stored_as(DType dtype, std::vector<double> values) {
    if (!is_real(dtype)) return values;
    return loaded(dtype, stored(dtype, values).data(), values.size());
}

void count_case(const TestDevice& device) {
    static CaseCounter counter;
    ++counter.cases[device.name()];
}

namespace op_test {

Memory::~Memory() {
    for (void* memory : allocated_) device_.release(memory);
}

Tensor Memory::tensor(const HostArray& array) {
    if (!array) return {};
    const DType dtype = dtype_of(array);
    const std::vector<std::byte> bytes = stored(dtype, array.values);
    void*& memory = places_[array.place.empty() ? "#" + std::to_string(allocated_.size()) : array.place];
    if (!memory) allocated_.push_back(memory = device_.allocate(bytes.size()));
    if (array.given && !bytes.empty()) device_.device().upload(memory, bytes.data(), bytes.size());
    return {memory, dtype, array.shape};
}

Tensor Memory::scratch(size_t bytes) {
    if (bytes == 0) return {};
    allocated_.push_back(device_.allocate(bytes));
    return {allocated_.back(), DType::U8, {static_cast<int64_t>(bytes)}};
}

HostArray Memory::download(const HostArray& like, const Tensor& from) const {
    HostArray out = like;
    std::vector<std::byte> bytes(from.bytes());
    device_.device().download(bytes.data(), from.data, bytes.size());
    out.values = loaded(from.dtype, bytes.data(), like.values.size());
    out.given = true;
    return out;
}

void expect_unchanged(const HostArray& before, const HostArray& after) {
    if (!before.given) return;
    for (int64_t i = 0; i < before.size(); ++i) {
        if (before[i] == after[i] || (std::isnan(before[i]) && std::isnan(after[i]))) continue;
        ADD_FAILURE() << "an input " << before.shape.text() << " was changed at " << i;
        return;
    }
}

Tensor ReferenceMemory::tensor(const HostArray& array) {
    if (!array) return {};
    const bool real = is_real(array.dtype) && array.dtype != DType::F64;
    const DType dtype = real ? real_ : array.dtype;
    const std::vector<std::byte> bytes = stored(dtype, array.values);
    void*& memory = places_[array.place.empty() ? "#" + std::to_string(memory_.size()) : array.place];
    if (!memory) memory = memory_.emplace_back((bytes.size() + 7) / 8, nan).data();
    if (array.given || !real) std::memcpy(memory, bytes.data(), bytes.size());
    return {memory, dtype, array.shape};
}

HostArray ReferenceMemory::values(const HostArray& like, const Tensor& from) const {
    if (!like) return {};
    HostArray out = like;
    out.values = loaded(from.dtype, static_cast<const std::byte*>(from.data), like.values.size());
    out.given = true;
    return out;
}

Largest error_of(const HostArray& actual, const HostArray& expected) {
    Largest largest;
    for (int64_t i = 0; i < expected.size(); ++i) {
        const double error = std::abs(actual[i] - expected[i]);
        if (!(error <= largest.error)) largest.error = error;
        largest.value = std::max(largest.value, std::abs(expected[i]));
    }
    return largest;
}

testing::AssertionResult within(const HostArray& actual, const HostArray& expected, const HostArray& naive,
                                DType stored, double factor, double roundings, double of_largest) {
    if (actual.size() != expected.size())
        return testing::AssertionFailure() << actual.size() << " elements where " << expected.size() << " are expected";
    const Largest of_naive = error_of(naive, expected);
    const double share_of_largest = std::max(roundings * rounding_of(stored), of_largest);
    const double allowed = is_real(stored) ? std::max(factor * of_naive.error, share_of_largest * of_naive.value) : 0;
    double worst_error = 0;
    int64_t worst = 0, wrong = 0;
    for (int64_t i = 0; i < expected.size(); ++i) {
        if (!std::isfinite(expected[i]))
            return testing::AssertionFailure() << "the reference has " << expected[i] << " at " << i;
        const double error = std::abs(actual[i] - expected[i]);
        if (!(error <= allowed)) ++wrong;
        if (!(error <= worst_error)) worst_error = error, worst = i;
    }
    if (wrong == 0) return testing::AssertionSuccess();
    return testing::AssertionFailure() << wrong << " of " << expected.size() << " elements differ; worst at " << worst
                                       << ": " << actual[worst] << ", expected " << expected[worst] << ", allowed "
                                       << allowed << "; the naive version is off by " << of_naive.error
                                       << ", the largest value is " << of_naive.value;
}

} // namespace op_test

testing::AssertionResult near_all(const HostArray& actual, const std::vector<double>& expected, double tolerance) {
    if (actual.values.size() != expected.size() || expected.empty())
        return testing::AssertionFailure() << actual.values.size() << " elements for " << expected.size();
    double largest = 1;
    for (const double value : expected) largest = std::max(largest, std::abs(value));
    for (size_t i = 0; i < expected.size(); ++i) {
        const double value = actual.values[i];
        if (!(std::abs(value - expected[i]) <= tolerance * largest))
            return testing::AssertionFailure() << "element " << i << " is " << value << ", expected " << expected[i];
    }
    return testing::AssertionSuccess();
}

} // namespace scene::test
