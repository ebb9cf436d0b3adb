#!/usr/bin/env bash
# rustc with the counters that libFuzzer reads. As RUSTC_WORKSPACE_WRAPPER it reaches the crates of this workspace only: what they
# depend on is neither counted nor built twice.
set -euo pipefail
exec "$@" -C passes=sancov-module -C llvm-args=-sanitizer-coverage-level=4 \
    -C llvm-args=-sanitizer-coverage-inline-8bit-counters -C llvm-args=-sanitizer-coverage-pc-table \
    -C llvm-args=-sanitizer-coverage-trace-compares
