# What quickstart and test share: clear steps, packages, builds. Sourced by bash with set -euo pipefail.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
step_log=$(mktemp)

# The checkout's owner, if this was called with sudo: what is built shall belong to them.
runner=()
if [[ ${SUDO_UID:-0} != 0 && $(stat -c %u "$root") == "$SUDO_UID" ]]; then
    runner=(setpriv --reuid "$SUDO_UID" --regid "$SUDO_GID" --init-groups --)
fi

fail() {
    printf '\n%s: %s\n' "$(basename "$0")" "$1" >&2
    exit 1
}

# step "what it does" command...: says so in one line, with the time it took; shows the output only if it fails.
step() {
    local what=$1 from=$EPOCHREALTIME
    shift
    printf '%-58s' "$what"
    if ! "$@" >"$step_log" 2>&1; then
        printf 'failed\n\n'
        tail -n 40 "$step_log" >&2
        return 1
    fi
    printf '%8s s\n' "$(seconds_since "$from")"
}

# Seconds since an $EPOCHREALTIME, with one decimal.
seconds_since() {
    local tenths=$(((${EPOCHREALTIME/[.,]/} - ${1/[.,]/}) / 100000))
    printf '%d.%d' $((tenths / 10)) $((tenths % 10))
}

need_root() {
    ((EUID == 0)) || fail "$1: run sudo $0"
}

need_debian() {
    command -v apt-get >/dev/null || fail "this needs Debian 12 (there is no apt-get); README.md names the packages"
    [[ $(uname -m) == x86_64 ]] || fail "this needs an x86-64 machine, not $(uname -m)"
}

# need_space DIRECTORY MIB
need_space() {
    local at=$1 free
    until [[ -e $at ]]; do at=$(dirname "$at"); done
    free=$(df --output=avail -B 1M "$at" | tail -n 1)
    ((free >= $2)) || fail "no space: $1 has $free MiB free, $2 MiB are needed"
}

# missing_packages LIST...: those of deploy/packages/LIST that are not installed. A line is a package, and perhaps the
# command that is wanted of it, which may also be there from elsewhere.
missing_packages() {
    local name wanted
    sed 's/#.*//; /^ *$/d' "${@/#/$root/deploy/packages/}" | while read -r name wanted; do
        if [[ -n $wanted ]] && command -v "$wanted" >/dev/null; then continue; fi
        [[ $(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null) == installed ]] || printf '%s\n' "$name"
    done
}

apt_install() {
    export DEBIAN_FRONTEND=noninteractive
    apt-get -q update && apt-get -q install -y --no-install-recommends "$@"
}

# install_packages LIST...
install_packages() {
    local missing
    mapfile -t missing < <(missing_packages "$@")
    if ((${#missing[@]} == 0)); then
        step "packages: all there" true
        return
    fi
    need_root "missing packages are installed by root (${missing[*]})"
    need_space /var 1500
    step "packages: installing ${#missing[@]}" apt_install "${missing[@]}" ||
        fail "the packages could not be installed; is there a network, and Debian 12 in /etc/apt/sources.list?"
}

# build DIRECTORY meson-option...
build() {
    local dir=$root/$1
    shift
    need_space "$dir" 1000
    if [[ ! -f $dir/build.ninja ]]; then
        step "set-up of ${dir#"$root"/}" "${runner[@]}" meson setup "$dir" "$root" "$@" || fail "meson setup failed"
    fi
    step "building ${dir#"$root"/}" "${runner[@]}" ninja -C "$dir" || fail "the build failed"
}

# The version of this tree.
project_version() {
    sed -n "s/^project('gannet', 'c', version: '\([^']*\)'.*/\1/p" "$root/meson.build"
}
