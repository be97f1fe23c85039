#pragma once

// The ISA level that a source of kernels/cpu is compiled for: SCENE_ISA is v2, v3, v4 or native (kernels/cpu/cpu.mk).

#include <string_view>

namespace scene::cpu {

#define SCENE_TEXT_OF(name) #name
#define SCENE_TEXT(name) SCENE_TEXT_OF(name)
constexpr std::string_view isa = SCENE_TEXT(SCENE_ISA);
#undef SCENE_TEXT
#undef SCENE_TEXT_OF

} // namespace scene::cpu
