# Packages of npm's, exact versions, kept outside the source tree. Sourced by bash with set -euo pipefail; $here is the folder of
# package.json.
# shellcheck shell=bash

skip() {
    printf 'skipped: %s\n' "$1"
    exit 77
}

# npm_install DIRECTORY: what package.json names, if it isn't there as it stands.
npm_install() {
    command -v node >/dev/null || skip "node is not installed"
    ! cmp -s "$here/package.json" "$1/installed.json" || return 0
    command -v npm >/dev/null || skip "npm is not installed"
    mkdir -p "$1"
    cp "$here/package.json" "$1/package.json"
    npm install --prefix "$1" --cache "$1/cache" --no-package-lock --ignore-scripts --no-audit --no-fund \
        --fetch-retries 1 --fetch-timeout 20000 >"$1/log" 2>&1 ||
        skip "npm could not install $(tr -d '\n' <"$here/package.json" | grep -o '"dependencies".*}'): $(grep -m 1 -E 'code|errno' "$1/log" || tail -n 1 "$1/log")"
    # Last, so that an installation that was broken off is done again.
    cp "$here/package.json" "$1/installed.json"
}
