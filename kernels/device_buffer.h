#pragma once

#include "kernels/device.h"
#include "kernels/op_fields.h"

namespace scene {

/// Owns device memory. Move-only. The device must outlive it.
class DeviceBuffer {
public:
    DeviceBuffer() = default;
    DeviceBuffer(Device& device, size_t bytes) : device_(&device), data_(device.allocate(bytes)), bytes_(bytes) {}
    DeviceBuffer(Device& device, const void* host, size_t bytes) : DeviceBuffer(device, bytes) {
        device.upload(data_, host, bytes);
    }
    DeviceBuffer(DeviceBuffer&& other) noexcept { swap(other); }
    DeviceBuffer& operator=(DeviceBuffer&& other) noexcept {
        swap(other);
        return *this;
    }
    DeviceBuffer(const DeviceBuffer&) = delete;
    DeviceBuffer& operator=(const DeviceBuffer&) = delete;
    ~DeviceBuffer() {
        if (device_) device_->release(data_);
    }

    void* data() const { return data_; }
    size_t bytes() const { return bytes_; }
    /// A tensor at the start of the buffer.
    Tensor tensor(DType dtype, const Shape& shape) const {
        const Tensor view{data_, dtype, shape};
        SCENE_CHECK(view.bytes() <= bytes_,
                    "a buffer of " + std::to_string(bytes_) + " bytes holds no " + shape.text());
        return view;
    }

private:
    void swap(DeviceBuffer& other) noexcept {
        std::swap(device_, other.device_);
        std::swap(data_, other.data_);
        std::swap(bytes_, other.bytes_);
    }

    Device* device_ = nullptr;
    void* data_ = nullptr;
    size_t bytes_ = 0;
};

/// Runs a single op outside a program. Reallocates `scratch` if the op needs more.
template <template <class> class Op> void run_alone(Device& device, Op<Tensor> op, DeviceBuffer& scratch) {
    const size_t bytes =
        device.planner().scratch_bytes(rebound<TensorSpec>(op, [](const Tensor& tensor) { return spec_of(tensor); }));
    if (scratch.bytes() < bytes) scratch = DeviceBuffer(device, bytes);
    for_each_operand(op, [&]<class Field>(Field& field) {
        if constexpr (Field::scratch)
            if (bytes > 0) field = Field(scratch.tensor(DType::U8, {static_cast<int64_t>(bytes)}));
    });
    device.run(op);
}

} // namespace scene
