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

# npm_main FOLDER TESTS OPTION-OR-DIRECTORY...: what a run of a folder whose tests are node's own does with its arguments.
npm_main() {
    local here=$1 tests=$2 usage="usage: run DIRECTORY             the tests, with the packages in DIRECTORY; installs them if they are not there
       run --install DIRECTORY   installs them, and says why not if it can't

Needs node and npm; GANNETD is the broker. Ends with 77 if there is nothing to run the tests with."
    shift 2
    case ${1:-} in
    --install)
        npm_install "$here" "${2:?}"
        ;;
    -* | "")
        printf '%s\n' "$usage"
        [[ ${1:-} == --help ]]
        ;;
    *)
        npm_install "$here" "$1"
        cd "$here" || exit
        # shellcheck disable=SC2086 # one word a file
        NODE_PATH=$1/node_modules exec node --test $tests
        ;;
    esac
}
