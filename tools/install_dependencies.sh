#!/bin/sh
# Installs the Debian/Ubuntu packages that building scene needs and that are missing. Asks for root only then.
set -u

# package:header
libraries="libdnnl-dev:dnnl.hpp libsndfile1-dev:sndfile.h libsoxr-dev:soxr.h libcli11-dev:CLI/CLI.hpp
           libtomlplusplus-dev:toml++/toml.h nlohmann-json3-dev:nlohmann/json.hpp libfmt-dev:fmt/format.h
           libgtest-dev:gtest/gtest.h"

missing=""
command -v make > /dev/null || missing="$missing make"
if command -v g++ > /dev/null; then
    # The preprocessor prints the package of every header that it cannot find.
    missing="$missing $(for library in $libraries; do
        printf '#if !__has_include(<%s>)\n%s\n#endif\n' "${library#*:}" "${library%%:*}"
    done | g++ -E -P -x c++ - | tr '\n' ' ')"
else
    missing="$missing g++"
    for library in $libraries; do missing="$missing ${library%%:*}"; done
fi
missing=$(echo $missing) # one space between words, none around
[ -z "$missing" ] && exit 0

if [ "$(id -u)" = 0 ]; then as_root=""; else as_root="sudo "; fi
command="apt-get install -y --no-install-recommends $missing"
if ! command -v apt-get > /dev/null; then
    echo "scene: missing, under their Debian names: $missing; install them with this system's package manager" >&2
    exit 1
fi
if [ -n "$as_root" ] && ! command -v sudo > /dev/null; then
    echo "scene: packages are missing; run as root: apt-get update && $command" >&2
    exit 1
fi
echo "Installing $missing"
if ! { ${as_root}apt-get update -qq && ${as_root}env DEBIAN_FRONTEND=noninteractive $command; } > /dev/null; then
    echo "scene: packages are missing and could not be installed; try: ${as_root}apt-get update && $as_root$command" >&2
    exit 1
fi
