# Packages of npm's, exact versions, kept outside the source tree. Sourced by bash with set -euo pipefail.
# shellcheck shell=bash

skip() {
    printf 'skipped: %s\n' "$1"
    exit 77
}

# npm_install FOLDER DIRECTORY: what the folder's package.json names, if it isn't there as it stands.
npm_install() {
    command -v node >/dev/null || skip "node is not installed"
    ! cmp -s "$1/package.json" "$2/installed.json" || return 0
    command -v npm >/dev/null || skip "npm is not installed"
    mkdir -p "$2"
    cp "$1/package.json" "$2/package.json"
    npm install --prefix "$2" --cache "$2/cache" --no-package-lock --ignore-scripts --no-audit --no-fund \
        --fetch-retries 1 --fetch-timeout 20000 >"$2/log" 2>&1 ||
        skip "npm could not install $(tr -d '\n' <"$1/package.json" | grep -o '"dependencies".*}'): $(grep -m 1 -E 'code|errno' "$2/log" || tail -n 1 "$2/log")"
    # Last, so that an installation that was broken off is done again.
    cp "$1/package.json" "$2/installed.json"
}
