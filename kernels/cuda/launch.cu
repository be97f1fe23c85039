#include "kernels/cuda/launch.h"

#include <string>

#include "kernels/error.h"

namespace scene::cuda {

void fail_cuda(cudaError_t error, const char* statement, const char* file, int line) {
    int device = -1;
    (void)cudaGetDevice(&device);
    throw Error(std::string("CUDA device ") + std::to_string(device) + ": " + cudaGetErrorString(error) + " (" +
                cudaGetErrorName(error) + ") in " + statement + " at " + file + ":" + std::to_string(line));
}

} // namespace scene::cuda
