# What do the tests of the console need beside Python? Chromium, and axe-core from npm: installed where that may be done, else named.
set -eu
cd "$(dirname "$0")"

has() {
    command -v "$1" > /dev/null
}

bring() {
    has "$1" && return
    [ "$(id -u)" = 0 ] && has apt-get || return
    echo "Installing $1 ..."
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends "$1" > /dev/null
}

missing() {
    echo "$1 is missing: tests of the console are skipped (where CI=true, they fail). $2" >&2
}

is_newest() {
    [ node_modules/.package-lock.json -nt package-lock.json ]
}

[ -n "${OFFER_LEDGER_TEST_CHROMIUM:-}" ] || bring chromium \
    || missing Chromium "Install Debian's package chromium, or name another one with OFFER_LEDGER_TEST_CHROMIUM."
is_newest || { bring npm && npm ci --ignore-scripts --silent; } \
    || missing axe-core "Install npm, then: make browser"
