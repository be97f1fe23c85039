#pragma once

/// Marks a function that the host and CUDA kernels can call.
#if defined(__CUDACC__)
#define SCENE_HOST_DEVICE __host__ __device__
#else
#define SCENE_HOST_DEVICE
#endif
