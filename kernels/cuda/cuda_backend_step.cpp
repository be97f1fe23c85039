// What surrounds the network in a step: features, batches, loss, metrics, the optimiser.

#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/kernels.h"

namespace scene::cuda {
void CudaBackend::softmax_loss(Tensor dlogits, Tensor loss, Tensor probabilities, Tensor logits, Tensor target,
                               Tensor weight, float smoothing, Tensor control) {
    cuda::softmax_loss(dlogits, loss, probabilities, logits, target, weight, smoothing, control, stream_);
}
void CudaBackend::softmax(Tensor probabilities, Tensor logits) { cuda::softmax(probabilities, logits, stream_); }
void CudaBackend::accumulate_metrics(Tensor loss_sum, Tensor confusion, Tensor loss, Tensor probabilities,
                                     Tensor target) {
    cuda::accumulate_metrics(loss_sum, confusion, loss, probabilities, target, stream_);
}
void CudaBackend::hard_sample_weights(Tensor weight, Tensor probabilities, Tensor member, Confidence measure) {
    cuda::hard_sample_weights(weight, probabilities, member, measure, stream_);
}

void CudaBackend::adam(Tensor parameters, Tensor first_moment, Tensor second_moment, Tensor parameters_half,
                       Tensor gradients, Tensor control, const AdamSettings& settings) {
    cuda::adam(parameters, first_moment, second_moment, parameters_half, gradients, control, settings,
               scratch(adam_scratch_bytes()), stream_);
}
void CudaBackend::adjust_loss_scale(Tensor control, const LossScaling& scaling) {
    cuda::adjust_loss_scale(control, scaling, stream_);
}
void CudaBackend::nearest_votes(Tensor votes, Tensor similarity, Tensor label, int64_t neighbours, float temperature) {
    cuda::nearest_votes(votes, similarity, label, neighbours, temperature, stream_);
}

} // namespace scene::cuda
