#include "kernels/cuda/cudnn/descriptor.h"

#include <algorithm>

#include "kernels/error.h"

namespace scene::cuda {

Descriptor::Descriptor(cudnnBackendDescriptorType_t type) {
    const cudnnStatus_t status = cudnn().create_descriptor(type, &descriptor_);
    if (status != CUDNN_STATUS_SUCCESS) fail_cudnn(status, fmt::format("a descriptor of type {}", int{type}));
}

Descriptor::~Descriptor() {
    if (descriptor_) (void)cudnn().destroy_descriptor(descriptor_);
}

void Descriptor::set(cudnnBackendAttributeName_t name, std::span<const Descriptor> values) {
    std::vector<cudnnBackendDescriptor_t> raw;
    for (const Descriptor& value : values) raw.push_back(value.descriptor_);
    set_all(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, static_cast<int64_t>(raw.size()), raw.data());
}

void Descriptor::finalize(const std::string& what) {
    const cudnnStatus_t status = cudnn().finalize(descriptor_);
    if (status != CUDNN_STATUS_SUCCESS) fail_cudnn(status, what);
}

bool Descriptor::try_finalize() { return cudnn().finalize(descriptor_) == CUDNN_STATUS_SUCCESS; }

std::string Descriptor::finalize_or_reason() {
    const cudnnStatus_t status = cudnn().finalize(descriptor_);
    return status == CUDNN_STATUS_SUCCESS ? "" : cudnn_reason(status);
}

int64_t Descriptor::integer(cudnnBackendAttributeName_t name) const {
    int64_t value = 0;
    get_all(name, CUDNN_TYPE_INT64, 1, &value);
    return value;
}

std::vector<Descriptor> Descriptor::descriptors(cudnnBackendAttributeName_t name, cudnnBackendDescriptorType_t type,
                                                std::optional<int64_t> most) const {
    std::vector<Descriptor> out;
    const int64_t count = most ? *most : get_all(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, nullptr);
    std::vector<cudnnBackendDescriptor_t> raw;
    for (int64_t i = 0; i < count; ++i) raw.push_back(out.emplace_back(type).descriptor_);
    const int64_t got = count > 0 ? get_all(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, count, raw.data()) : 0;
    out.erase(out.begin() + static_cast<std::ptrdiff_t>(std::min(got, count)), out.end());
    return out;
}

void Descriptor::set_all(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t count,
                         const void* from) {
    const cudnnStatus_t status = cudnn().set_attribute(descriptor_, name, type, count, from);
    if (status != CUDNN_STATUS_SUCCESS) fail_cudnn(status, fmt::format("setting attribute {}", int{name}));
}

int64_t Descriptor::get_all(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t most,
                            void* to) const {
    int64_t count = 0;
    const cudnnStatus_t status = cudnn().get_attribute(descriptor_, name, type, most, &count, to);
    if (status != CUDNN_STATUS_SUCCESS) fail_cudnn(status, fmt::format("reading attribute {}", int{name}));
    return count;
}

} // namespace scene::cuda
