#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "kernels/cuda/cudnn/library.h"

namespace scene::cuda {

/// Owns one descriptor of cuDNN's graph API. It is created empty, given its attributes, finalised and then read.
class Descriptor {
public:
    explicit Descriptor(cudnnBackendDescriptorType_t type);
    Descriptor(Descriptor&& other) noexcept : descriptor_(std::exchange(other.descriptor_, nullptr)) {}
    Descriptor& operator=(Descriptor&& other) noexcept {
        std::swap(descriptor_, other.descriptor_);
        return *this;
    }
    ~Descriptor();

    cudnnBackendDescriptor_t get() const { return descriptor_; }

    // Sets an attribute. Throws Error if cuDNN refuses it.
    void set(cudnnBackendAttributeName_t name, int64_t value) { set_all(name, CUDNN_TYPE_INT64, 1, &value); }
    void set(cudnnBackendAttributeName_t name, std::span<const int64_t> values) {
        set_all(name, CUDNN_TYPE_INT64, static_cast<int64_t>(values.size()), values.data());
    }
    void set(cudnnBackendAttributeName_t name, float value) { set_all(name, CUDNN_TYPE_FLOAT, 1, &value); }
    void set(cudnnBackendAttributeName_t name, cudnnDataType_t value) {
        set_all(name, CUDNN_TYPE_DATA_TYPE, 1, &value);
    }
    void set(cudnnBackendAttributeName_t name, cudnnConvolutionMode_t value) {
        set_all(name, CUDNN_TYPE_CONVOLUTION_MODE, 1, &value);
    }
    void set(cudnnBackendAttributeName_t name, cudnnBackendHeurMode_t value) {
        set_all(name, CUDNN_TYPE_HEUR_MODE, 1, &value);
    }
    void set(cudnnBackendAttributeName_t name, cudnnPointwiseMode_t value) {
        set_all(name, CUDNN_TYPE_POINTWISE_MODE, 1, &value);
    }
    void set(cudnnBackendAttributeName_t name, cudnnGenStatsMode_t value) {
        set_all(name, CUDNN_TYPE_GENSTATS_MODE, 1, &value);
    }
    void set(cudnnBackendAttributeName_t name, bool value) { set_all(name, CUDNN_TYPE_BOOLEAN, 1, &value); }
    void set(cudnnBackendAttributeName_t name, cudnnHandle_t value) { set_all(name, CUDNN_TYPE_HANDLE, 1, &value); }
    void set(cudnnBackendAttributeName_t name, const std::string& text) {
        set_all(name, CUDNN_TYPE_CHAR, static_cast<int64_t>(text.size()), text.data());
    }
    void set(cudnnBackendAttributeName_t name, const Descriptor& value) {
        set_all(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value.descriptor_);
    }
    void set(cudnnBackendAttributeName_t name, std::span<const Descriptor> values);
    void set_pointers(cudnnBackendAttributeName_t name, std::span<void* const> values) {
        set_all(name, CUDNN_TYPE_VOID_PTR, static_cast<int64_t>(values.size()), values.data());
    }

    /// `what` names the descriptor in the Error.
    void finalize(const std::string& what);
    /// False if cuDNN does not support what the descriptor describes.
    bool try_finalize();
    /// Empty, or why cuDNN refuses the descriptor.
    std::string finalize_or_reason();

    int64_t integer(cudnnBackendAttributeName_t name) const;
    /// The elements of an attribute of numbers or enumerators, at most `most`.
    template <typename T>
    std::vector<T> values(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t most) const {
        std::vector<T> out(static_cast<size_t>(most));
        out.resize(static_cast<size_t>(get_all(name, type, most, out.data())));
        return out;
    }
    /// The descriptors of type `type` that the attribute holds, at most `most`; without `most`, as many as cuDNN
    /// counts. cuDNN counts lists of results, but not knob choices.
    std::vector<Descriptor> descriptors(cudnnBackendAttributeName_t name, cudnnBackendDescriptorType_t type,
                                        std::optional<int64_t> most = {}) const;

private:
    void set_all(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t count, const void* from);
    int64_t get_all(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t most, void* to) const;

    cudnnBackendDescriptor_t descriptor_ = nullptr;
};

} // namespace scene::cuda
