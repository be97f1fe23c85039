#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kernels/device.h"

namespace scene::test {

/// Forwards every question to another planner.
class ForwardingPlanner : public Planner {
public:
    explicit ForwardingPlanner(const Planner& to) : Planner(scratch_table<Functions>), to_(to) {}

    DType activation_type() const override { return to_.activation_type(); }
    ConvFusion conv2d_fusion(const Conv2dShape& shape) const override { return to_.conv2d_fusion(shape); }
    PreparedWeights conv2d_prepared_weights(const Conv2dShape& shape) const override {
        return to_.conv2d_prepared_weights(shape);
    }
    ConvReport conv2d_report() const override { return to_.conv2d_report(); }
    std::string libraries() const override { return to_.libraries(); }

private:
    struct Functions {
        template <template <class> class Op> static size_t bytes(const Planner& planner, const Op<TensorSpec>& op) {
            return static_cast<const ForwardingPlanner&>(planner).to_.scratch_bytes(op);
        }
    };

    const Planner& to_;
};

/// Forwards every call to another device. A test derives from ForwardingDevice<Itself> to observe or change the ops
/// that a program runs: a member `void intercept(const Op<Tensor>&)` is called instead of the op and may call
/// `inner().run(op)`. `Plans` may be a ForwardingPlanner that answers differently.
template <class Self, class Plans = ForwardingPlanner> class ForwardingDevice : public Device {
public:
    explicit ForwardingDevice(std::unique_ptr<Device> to = make_cpu_device(1))
        : Device(run_table<Functions>), owned_(std::move(to)), planner_(owned_->planner()) {}

    Device& inner() { return *owned_; }
    Plans& plans() { return planner_; }
    DeviceInfo info() const override { return owned_->info(); }
    const Planner& planner() const override { return planner_; }
    void autotune(const std::vector<Conv2dShape>& shapes) override { owned_->autotune(shapes); }
    void* allocate(size_t bytes) override { return owned_->allocate(bytes); }
    void release(void* memory) override { owned_->release(memory); }
    void* import(const void* host, size_t bytes) override { return owned_->import(host, bytes); }
    void release_import(void* memory) override { owned_->release_import(memory); }
    void upload(void* device, const void* host, size_t bytes) override { owned_->upload(device, host, bytes); }
    void download(void* host, const void* device, size_t bytes) override { owned_->download(host, device, bytes); }
    void synchronize() override { owned_->synchronize(); }
    std::function<void()> record(std::function<void()> ops) override { return owned_->record(std::move(ops)); }
    double seconds_of(const std::function<void()>& ops) override { return owned_->seconds_of(ops); }
    void begin_range(const std::string& name) override { owned_->begin_range(name); }
    void end_range() override { owned_->end_range(); }

private:
    struct Functions {
        template <template <class> class Op> static void call(Device& device, const Op<Tensor>& op) {
            auto& self = static_cast<Self&>(device);
            if constexpr (requires { self.intercept(op); }) {
                self.intercept(op);
            } else {
                self.inner().run(op);
            }
        }
    };

    std::unique_ptr<Device> owned_;
    Plans planner_;
};

} // namespace scene::test
