# Installs the linters of the OpenAPI document from npm. Without npm, it reports what is missing.
set -eu
cd "$(dirname "$0")"
[ node_modules/.package-lock.json -nt package-lock.json ] && exit
if command -v npm > /dev/null; then
    npm ci --ignore-scripts --silent
else
    echo "npm is missing: the linters of the OpenAPI document are skipped (with CI=true they fail). Install npm, then: make linters" >&2
fi
