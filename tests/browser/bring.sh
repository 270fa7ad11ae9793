# Installs what the console's tests need beside Python: Chromium, and axe-core from npm. Without permission, it reports what is missing.
set -eu
cd "$(dirname "$0")"

has() {
    command -v "$1" > /dev/null
}

install_package() {
    has "$1" && return
    [ "$(id -u)" = 0 ] && has apt-get || return
    echo "Installing $1 ..."
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends "$1" > /dev/null
}

missing() {
    echo "$1 is missing: the tests of the console are skipped (with CI=true they fail). $2" >&2
}

is_newest() {
    [ node_modules/.package-lock.json -nt package-lock.json ]
}

[ -n "${OFFER_LEDGER_TEST_CHROMIUM:-}" ] || install_package chromium \
    || missing Chromium "Install Debian's package chromium, or set OFFER_LEDGER_TEST_CHROMIUM to the path of another one."
is_newest || { install_package npm && npm ci --ignore-scripts --silent; } \
    || missing axe-core "Install npm, then: make browser"
