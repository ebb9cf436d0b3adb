#!/usr/bin/env bash
# Runs a command beside a PostgreSQL server of its own, on a socket in a folder that is removed afterwards, with the two variables that the
# store's tests read. PostgreSQL does not run as root: as root the server runs as the user postgres of the Debian package.
set -euo pipefail

bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
[[ -x $bin/initdb ]] || { echo "with_postgres: no /usr/lib/postgresql/*/bin/initdb" >&2; exit 127; }

folder=$(mktemp -d)
as_server() { if [[ $(id -u) == 0 ]]; then runuser -u postgres -- "$@"; else "$@"; fi; }
stop() {
    as_server "$bin/pg_ctl" -D "$folder/data" -m immediate stop >/dev/null 2>&1 || true
    rm -rf "$folder"
}
trap stop EXIT

export LEPTON_TEST_POSTGRES_PASSWORD="p@ss:w/rd%"
(umask 077 && printf '%s\n' "$LEPTON_TEST_POSTGRES_PASSWORD" >"$folder/password")
[[ $(id -u) != 0 ]] || chown -R postgres "$folder"
as_server "$bin/initdb" -D "$folder/data" -U lepton -A scram-sha-256 --pwfile="$folder/password" -E UTF8 >/dev/null
as_server "$bin/pg_ctl" -D "$folder/data" -w -o "-k $folder -c listen_addresses=''" -l "$folder/log" start >/dev/null ||
    { cat "$folder/log" >&2; exit 1; }
[[ $(id -u) != 0 ]] || chmod 755 "$folder"

export LEPTON_TEST_POSTGRES="postgres://lepton@localhost/postgres?host=${folder//\//%2F}"
"$@"
