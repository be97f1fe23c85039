#!/bin/bash
# Tries both commands of the README from nothing on Debian 12 and 13, and compiles everything with the compilers that
# their packages offer. Minutes to hours, as root, with a network: not a part of `make test`.
#
#   tools/try_distributions.sh FOLDER [WHAT...]
#
# FOLDER holds a root folder for each try (3 GB each), its log, and results.md, a table of what came of it. It goes on
# where it stopped: a try that is in the table is not made again. WHAT is one or more of
#   12  13                       `make test`, then `make demo`, with nothing installed but make and git
#   13:g++-13  13:clang-19 ...   every program and test compiled by that compiler of that release
# and all of them unless given. What is tried is the last commit. From the environment: MIRROR (of Debian's packages;
# debootstrap's own unless given), JOBS (processes at once; all cores).
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -ge 1 ] || { sed -n '5,12s/^# \{0,1\}//p' "$0" >&2; exit 2; }
[ "$(id -u)" = 0 ] || { echo "try_distributions: chroot needs root" >&2; exit 1; }
command -v debootstrap > /dev/null || { echo "try_distributions: debootstrap is missing; apt-get install debootstrap" >&2; exit 1; }
mkdir -p "$1"
folder=$(cd "$1" && pwd)
shift
tries=("$@")
[ $# -gt 0 ] || tries=(12 13 13:g++-12 13:g++-13 13:clang-19) # the first two have g++ 12 and 14
declare -A suite=([12]=bookworm [13]=trixie)

results=$folder/results.md
[ -f "$results" ] || printf '| Debian | compiler | oneDNN | what | outcome |\n|---|---|---|---|---|\n' > "$results"

# base RELEASE ROOT: an empty system with make and git. Made once for each release, then copied.
base() {
    local empty=$folder/base-$1
    if [ ! -f "$empty/complete" ]; then
        rm -rf "$empty"
        debootstrap --variant=minbase --include=make,git "${suite[$1]}" "$empty" ${MIRROR:+"$MIRROR"}
        touch "$empty/complete"
    fi
    rm -rf "$2"
    cp -a "$empty" "$2"
}

# inside ROOT COMMAND...: in the clone, with the kernel's file systems for as long as the command runs.
inside() {
    local root=$1
    shift
    # shellcheck disable=SC2016  # "$@" is the inner shell's
    unshare --mount --fork bash -c 'root=$1; shift
        mount -t proc proc "$root/proc" && mount --rbind /dev "$root/dev" && cp -L /etc/resolv.conf "$root/etc/resolv.conf" &&
        exec chroot "$root" env -i HOME=/srv LANG=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"' \
        inside "$root" bash -c 'cd /srv/scene.cu && exec "$@"' inside "$@"
}

installed() { inside "$1" dpkg-query -W -f '${Version}' "$2" 2> /dev/null || echo "none"; }

# note RELEASE ROOT COMPILER WHAT OUTCOME
note() {
    echo "| $1 | $3 | $(installed "$2" libdnnl-dev) | $4 | $5 |" >> "$results"
    tail -n 1 "$results"
}

# attempt ROOT LOG COMMAND...: prints "ok, SECONDS s" or how it ended; the status is 0 in any case.
attempt() {
    local root=$1 log=$2 begin=$SECONDS
    shift 2
    if inside "$root" "$@" > "$log" 2>&1; then echo "ok, $((SECONDS - begin)) s"; else echo "FAILED, see $(basename "$log")"; fi
}

for try in "${tries[@]}"; do
    release=${try%%:*} compiler=${try#*:}
    [ -n "${suite[$release]:-}" ] || { echo "try_distributions: no release $release; 12 or 13" >&2; exit 2; }
    if grep -q "^| $release | $([ "$try" = "$release" ] && echo 'g++ ' || echo "$compiler") " "$results"; then continue; fi
    root=$folder/try-${try//:/-}
    base "$release" "$root"
    git clone --quiet --no-hardlinks . "$root/srv/scene.cu"
    if [ "$try" = "$release" ]; then
        outcome=$(attempt "$root" "$root.test.log" make test ${JOBS:+JOBS=$JOBS})
        version="g++ $(inside "$root" g++ -dumpfullversion)"
        note "$release" "$root" "$version" "\`make test\`" "$outcome: $(tail -n 1 "$root.test.log")"
        outcome=$(attempt "$root" "$root.demo.log" make demo ${JOBS:+JOBS=$JOBS})
        note "$release" "$root" "$version" "\`make demo\`" "$outcome: $(tail -n 1 "$root.demo.log")"
    else
        packages=$compiler cxx=$compiler
        # clang's OpenMP and sanitizers are packages of their own.
        [[ $compiler != clang-* ]] || packages="$compiler libomp-${compiler#*-}-dev libclang-rt-${compiler#*-}-dev" cxx="clang++-${compiler#*-}"
        # shellcheck disable=SC2086  # several packages
        inside "$root" bash -c "apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages" \
            > "$root.log" 2>&1
        # Debian 13's g++-13 links its own libstdc++, which is older than the one that the release's libraries need: not
        # even a program with libfmt alone can be linked with it.
        for library in "$root"/usr/lib/gcc/*/"${compiler#*-}"/libstdc++.so; do
            if [ -f "$library" ] && [ ! -L "$library" ]; then ln -sf ../../../x86_64-linux-gnu/libstdc++.so.6 "$library"; fi
        done
        outcome=$(attempt "$root" "$root.compile.log" bash -c "make dependencies && make CXX=$cxx -k -j${JOBS:-$(nproc)} programs")
        note "$release" "$root" "$compiler" "compiles" "$outcome"
    fi
    rm -rf "$root"
done
cat "$results"
! grep -q FAILED "$results"
