#pragma once

#include <string>
#include <string_view>

namespace scene::cuda {

/// Whether a program with this code has kernels that a device of capability major.minor can run. `archs`: the compute
/// capabilities that the kernels were compiled for, "80 90 100" for 8.0, 9.0 and 10.0, in ascending order. There is
/// machine code for each, which runs on devices of the same major and of at least the same minor number. Beside it lies
/// PTX of the last, which the driver compiles for every device that is not older.
bool has_code_for(std::string_view archs, int major, int minor);

/// "8.0, 9.0 and 10.0 and newer" for "80 90 100".
std::string described_archs(std::string_view archs);

} // namespace scene::cuda
