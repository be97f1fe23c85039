#pragma once

/// Before a function that kernels call too.
#if defined(__CUDACC__)
#define SCENE_HOST_DEVICE __host__ __device__
#else
#define SCENE_HOST_DEVICE
#endif
