#pragma once

// Checks every access that a kernel makes to device and shared memory. `g++ -fsanitize=thread` inserts a call before
// each access; the functions that it calls are here, not in libtsan, so kernels need nothing special. Threads of a
// block are ordered by __syncthreads and, within a warp, by __syncwarp; blocks of a launch are not ordered at all.
// Found are
// - races: two accesses of one byte by threads that nothing orders, at least one of them a plain write;
// - reads of bytes that nobody wrote: device memory since its allocation, shared memory since the block began;
// - accesses outside an allocation or the block's shared memory, and misaligned ones.
// In builds without those calls nothing is checked here.

#include <cstddef>
#include <cstdint>

namespace emulator {

enum class Access : uint8_t { Read, Write, Atomic };

/// True in a program whose kernels report their accesses.
bool checks_accesses();
void note_access(const void* address, size_t bytes, Access access, const void* instruction);
/// The running thread is about to access this vector in pieces of `piece` bytes, which the compiler may split.
void note_vector(const void* address, size_t piece, size_t bytes);

void mark_allocated(const void* memory, size_t bytes);
void mark_free(const void* memory, size_t bytes);
void mark_written(const void* memory, size_t bytes);
void set_shared_bytes(size_t bytes);

} // namespace emulator
