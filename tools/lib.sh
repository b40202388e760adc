# SPDX-License-Identifier: Apache-2.0
# lib.sh - what tools/quickstart, tools/test and tools/accept share: packages, builds, throw-away prefixes.

need_root() {
    [ "$(id -u)" = 0 ] || { echo "$1: must be run as root: it installs packages and makes namespaces, mounts and cgroups" >&2; exit 1; }
}

# What a build needs, what tests need beyond that, what only the full run needs; what tools/bench needs beyond a build.
BUILD_PACKAGES="build-essential meson ninja-build pkg-config libuv1-dev libcjson-dev libseccomp-dev libcap-dev zlib1g-dev libarchive-dev busybox-static"
TEST_PACKAGES="libcmocka-dev python3 strace crun runc procps git clang-format"
FULL_PACKAGES="clang clang-tidy libclang-rt-14-dev debootstrap"
BENCH_PACKAGES="libcmocka-dev python3 crun runc"

# Installs what is missing, and asks the network only then.
need_packages() {
    local package missing=
    for package; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    echo "installing:$missing"
    export DEBIAN_FRONTEND=noninteractive
    apt-get -q update && apt-get -q -y --no-install-recommends install $missing
}

build_directory() { realpath -m "${1:-$CL_SOURCE/build}"; }

# A prefix is named after its build directory, so that several scripts share one build without configuring it anew. /tmp is sticky,
# and the directory is made, never taken over, so that nobody else's file is ever loaded from it.
prefix_of() { printf '/tmp/cloister-prefix-%s' "$(printf '%s' "$1" | cksum | cut -d' ' -f1)"; }

# build DIR [MESON-OPTIONS...]: configures it if it is new, and compiles (BUILD_TARGETS, or all). Quiet unless it fails.
build() {
    local dir=$1 log
    shift
    log=$(mktemp /tmp/cloister-build.XXXXXX)
    if ! { [ -f "$dir/build.ninja" ] || meson setup "$dir" "$CL_SOURCE" --prefix "$(prefix_of "$dir")" --sysconfdir etc "$@"; } >"$log" 2>&1 ||
        ! meson configure "$dir" --prefix "$(prefix_of "$dir")" >>"$log" 2>&1 || ! ninja -C "$dir" ${BUILD_TARGETS:-} >>"$log" 2>&1; then
        grep -E -A3 'error:|undefined reference|ERROR' "$log" | cut -c1-300 | head -n 30 >&2
        echo "the build in $dir failed; the whole log is $log" >&2
        return 1
    fi
    rm -f "$log"
}

remove_prefix() {
    case $1 in
        /tmp/cloister-prefix-*) rm -rf "$1" ;;
    esac
}

# Installs a build into its prefix, afresh, and prints the prefix.
install_build() {
    local prefix
    prefix=$(prefix_of "$1")
    if [ -e "$prefix" ] && [ "$(stat -c %u "$prefix")" != 0 ]; then
        echo "'$prefix' is not root's: somebody else made it" >&2
        return 1
    fi
    remove_prefix "$prefix"
    mkdir -m 0755 "$prefix" || return 1
    if ! meson install -C "$1" --no-rebuild --quiet >"$prefix/install.log" 2>&1; then
        cat "$prefix/install.log" >&2
        return 1
    fi
    echo "$prefix"
}
