#include "kernels/cuda/autotune/autotune_buffer.h"

#include <algorithm>
#include <vector>

#include "kernels/cuda/launch.h"
#include "kernels/half_width.h"
#include "kernels/philox.h"

namespace scene::cuda {

AutotuneBuffer::AutotuneBuffer(size_t bytes) : bytes_(bytes) {
    SCENE_CUDA(cudaMalloc(&memory_, std::max<size_t>(bytes, 1)));
}

AutotuneBuffer::AutotuneBuffer(const Shape& shape, DType type)
    : AutotuneBuffer(static_cast<size_t>(shape.elements()) * size_of(type)) {
    const size_t tile_elements = std::min<size_t>(1 << 18, shape.elements()); // copied over and over
    std::vector<float> floats(tile_elements);
    for (size_t i = 0; i < tile_elements; ++i) floats[i] = 2 * uniform_of(random_word(1, 0, 0, i)) - 1;
    std::vector<std::byte> halves;
    if (is_half_width(type)) halves = half_width_bytes(type, floats);
    const void* tile = is_half_width(type) ? static_cast<const void*>(halves.data()) : floats.data();
    const size_t tile_bytes = tile_elements * size_of(type);
    const size_t bytes = static_cast<size_t>(shape.elements()) * size_of(type);
    for (size_t at = 0; at < bytes; at += tile_bytes)
        SCENE_CUDA(cudaMemcpy(static_cast<std::byte*>(memory_) + at, tile, std::min(tile_bytes, bytes - at),
                              cudaMemcpyHostToDevice));
}

AutotuneBuffer::~AutotuneBuffer() { (void)cudaFree(memory_); }

} // namespace scene::cuda
