# Installs Debian's PostgreSQL 15, the oldest supported version, for the tests. Without permission, it reports what is missing.
set -eu
package=postgresql-15
settings=/etc/postgresql-common/createcluster.conf

is_installed() {
    [ -x /usr/lib/postgresql/15/bin/initdb ]
}

install_package() {
    [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null || return
    echo "Installing $package ..."
    # The package would start a server of its own. The tests start theirs.
    [ -e $settings ] || { mkdir -p "$(dirname $settings)" && echo "create_main_cluster = false" > $settings; }
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends $package > /dev/null
}

is_installed || install_package \
    || echo "PostgreSQL 15 is missing: its tests are skipped (with CI=true they fail). Install Debian's package $package." >&2
