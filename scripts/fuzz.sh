#!/usr/bin/env bash
# Fuzzes decoders of foreign bytes: scripts/fuzz.sh DECODER SECONDS, "all" for every one (as many at a time as there are cores), no
# argument for their names. Needs a C++ compiler. What was learnt stays in FUZZ_CORPUS (default: fuzz/corpus), inputs that break a
# decoder in FUZZ_FOUND (default: fuzz/artifacts); neither is part of the repository's history.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

build() {
    command -v c++ >/dev/null || { echo "fuzz: libFuzzer needs a C++ compiler: install g++" >&2; return 1; }
    RUSTC_WORKSPACE_WRAPPER="$PWD/scripts/sancov_rustc.sh" cargo test --quiet --workspace --locked \
        --features lepton-fuzz/libfuzzer --test decoders --no-run --message-format=json-render-diagnostics |
        sed -n 's|.*"executable":"\([^"]*/decoders-[0-9a-f]*\)".*|\1|p' | tail -n 1
}

# Program, decoder, seconds.
fuzz() {
    local name=$2 log
    local corpus="${FUZZ_CORPUS:-fuzz/corpus}/$name" found="${FUZZ_FOUND:-fuzz/artifacts}/$name"
    mkdir -p "$corpus" "$found"
    log=$(mktemp)
    if LEPTON_FUZZ_DECODER=$name LEPTON_FUZZ_SEEDS=$corpus "$1" "$corpus" -max_total_time="$3" -timeout=60 \
        -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="$found/" >"$log" 2>&1; then
        printf '%-24s %s inputs\n' "$name" "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")"
        rm -f "$log"
    else
        tail -n 40 "$log" >&2
        echo "fuzz: $name is broken by an input in $found" >&2
        rm -f "$log"
        # For xargs: the others need not run any more.
        return 255
    fi
}
export -f fuzz

program=$(build)
[[ -n $program ]]
names=$("$program" 2>/dev/null)
case ${1:-} in
"") printf '%s\n' "$names" ;;
all) printf '%s\n' "$names" | xargs -P "$(getconf _NPROCESSORS_ONLN)" -I {} bash -c 'fuzz "$@"' - "$program" {} "${2:-1}" ;;
*) fuzz "$program" "$1" "${2:-60}" ;;
esac
