#pragma once

// The interface between the emulator, its memory and the access checker.

#include <cstddef>
#include <string>

namespace emulator {

struct Range {
    char* first = nullptr;
    size_t bytes = 0;

    /// Offset of an address, or something >= bytes.
    size_t offset(const void* address) const { return static_cast<size_t>(static_cast<const char*>(address) - first); }
    bool contains(const void* address) const { return offset(address) < bytes; }
};

/// All device memory, allocated or not.
Range device_range();
/// The most shared memory a block may have.
Range shared_range();
/// A new block begins. Its shared memory becomes NaN patterns, and the memory behind it is out of bounds.
void prepare_shared(size_t bytes);

void set_error(const std::string& message);

} // namespace emulator
