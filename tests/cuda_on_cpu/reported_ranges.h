// The calls that the compiler inserts for ranges of memory. To be included once in a program, by the file that
// implements the other calls, behind its note_range(address, bytes, Access, instruction). Hence no include guard.

#include <cstddef>
#include <cstring>

extern "C" {

void __tsan_read_range(void* a, size_t bytes) { note_range(a, bytes, Access::Read, __builtin_return_address(0)); }
void __tsan_write_range(void* a, size_t bytes) { note_range(a, bytes, Access::Write, __builtin_return_address(0)); }
void* __tsan_memcpy(void* to, const void* from, size_t bytes) {
    note_range(from, bytes, Access::Read, __builtin_return_address(0));
    note_range(to, bytes, Access::Write, __builtin_return_address(0));
    return std::memcpy(to, from, bytes);
}
void* __tsan_memmove(void* to, const void* from, size_t bytes) {
    note_range(from, bytes, Access::Read, __builtin_return_address(0));
    note_range(to, bytes, Access::Write, __builtin_return_address(0));
    return std::memmove(to, from, bytes);
}
void* __tsan_memset(void* to, int value, size_t bytes) {
    note_range(to, bytes, Access::Write, __builtin_return_address(0));
    return std::memset(to, value, bytes);
}

} // extern "C"
