#include "data/spare_memory.h"

#include <cstddef>
#include <new>

#include <sys/mman.h>

namespace scene {

void require_spare_memory() {
    constexpr size_t tried = size_t{64} << 20;
    // Not malloc: a compiler may leave out what is freed at once.
    void* memory = ::mmap(nullptr, tried, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    ::munmap(memory, tried);
}

} // namespace scene
