// The precompiled header (PCH in the Makefile): standard and library headers that most sources include. No source
// includes this file. Each includes what it needs itself, and `make PCH=0` proves it.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
