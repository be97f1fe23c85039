#pragma once

#include <string>
#include <vector>

#include "kernels/cuda/device_limits.h"

namespace scene::cuda {

/// The names of the built-in profiles: "a100", "h100" and others.
std::vector<std::string> device_profiles();

/// The properties of a device as the JSON text that cuDNN takes: a built-in profile, or the content of the file `name`.
/// Throws Error if there is no such file or it holds no JSON object.
std::string device_profile(const std::string& name);

/// What the kernels ask of a device with these properties. Throws Error, which names the profile, if one is missing.
DeviceLimits limits_of(const std::string& properties, const std::string& name);

} // namespace scene::cuda
