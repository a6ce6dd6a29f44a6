#!/bin/sh
# Our order book beside hftbacktest, nautilus and barter on the same frames: tests/bench/book.sh [CAPTURE.jsonl.gz]
# Without a capture the frames come from the synthetic market. Needs the crates of tests/bench/book/Cargo.toml; says so and ends when they cannot be had.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
target=${CARGO_TARGET_DIR:-${TMPDIR:-/tmp}/huracan-book-peers}
if ! cargo fetch --quiet --manifest-path "$here/book/Cargo.toml" >/dev/null 2>&1; then
    echo "skipped: the crates to compare with are not here and cannot be fetched"
    exit 0
fi
CARGO_TARGET_DIR=$target cargo run --release --quiet --manifest-path "$here/book/Cargo.toml" -- "$@"
