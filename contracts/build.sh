#!/bin/sh
# Builds the contracts and writes artifacts/ and vectors/; with --check, fails if a committed byte would change.
set -eu
cd "$(dirname "$0")"
[ -x node_modules/.bin/forge ] || { echo "no toolchain here: run npm install --no-save in contracts/" >&2; exit 1; }
node_modules/.bin/forge build --quiet
bin/export-artifacts "$@"
vectors/make.mjs "$@"
