#pragma once

// NVTX ranges, which name ops in Nsight's timelines. Without the toolkit's header they do nothing.

#include <string>

#if __has_include(<nvtx3/nvToolsExt.h>)
#include <nvtx3/nvToolsExt.h>
#endif

namespace scene::cuda {

#if __has_include(<nvtx3/nvToolsExt.h>)
inline void begin_range(const std::string& name) { nvtxRangePushA(name.c_str()); }
inline void end_range() { nvtxRangePop(); }
#else
inline void begin_range(const std::string&) {}
inline void end_range() {}
#endif

} // namespace scene::cuda
