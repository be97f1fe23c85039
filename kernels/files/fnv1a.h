#pragma once

#include <cstddef>
#include <cstdint>

namespace scene {

/// The 64-bit hash FNV-1a (Fowler, Noll, Vo). `add_bytes` is the standard's, byte by byte; `add` mixes in a whole word
/// in one round.
struct Fnv1a {
    uint64_t hash = 14695981039346656037u;

    void add(uint64_t word) { hash = (hash ^ word) * 1099511628211u; }
    void add_bytes(const void* data, size_t bytes) {
        for (size_t i = 0; i < bytes; ++i) add(static_cast<const unsigned char*>(data)[i]);
    }
};

} // namespace scene
