// What surrounds the network in a step: features, batches, loss, metrics, the optimiser.

#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/kernels.h"

namespace scene::cuda {} // namespace scene::cuda
