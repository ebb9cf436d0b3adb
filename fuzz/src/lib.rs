//! Nothing but the fuzzer in `fuzz_targets`.
