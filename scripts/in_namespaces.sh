#!/usr/bin/env bash
# Runs a command beside network namespaces, each joined to this one by a link of its own (a veth pair) and to nothing else, and removes them
# afterwards. The command finds their names in LEPTON_TEST_NAMESPACES and this side's address in LEPTON_TEST_NAMESPACES_HOST.
#
#   scripts/in_namespaces.sh 5 cargo nextest run -p lepton --test federation namespaces
#
# Needs root and iproute2. Exits with 127 where that is not to be had.
set -euo pipefail

count=$1
shift
cannot() { echo "in_namespaces: $*" >&2; exit 127; }
[[ $(id -u) == 0 ]] || cannot "only root makes network namespaces"
command -v ip >/dev/null || cannot "no ip here; it is in the package iproute2"

tag=lt$$
# A range that is for tests of networks (RFC 2544).
host=198.18.$(($$ % 256)).1
names=()
remove() {
    local name
    # What a namespace holds goes with it, the other end of its link too.
    for name in "${names[@]}"; do ip netns delete "$name" 2>/dev/null || true; done
    ip address del "$host/32" dev lo 2>/dev/null || true
}
trap remove EXIT

ip address add "$host/32" dev lo 2>/dev/null || cannot "no addresses can be added here"
for ((index = 0; index < count; index++)); do
    name=$tag-$index
    ip netns add "$name" 2>/dev/null || cannot "no network namespaces can be made here"
    names+=("$name")
    own=${host%.*}.$((10 + index))
    ip link add "$name" type veth peer name up0 netns "$name" 2>/dev/null || cannot "no veth devices can be made here"
    ip link set "$name" up
    ip route add "$own/32" dev "$name" src "$host"
    ip -n "$name" address add "$own/32" dev up0
    ip -n "$name" link set lo up
    ip -n "$name" link set up0 up
    # To the coordinator's address, and no further.
    ip -n "$name" route add "$host/32" dev up0
done

export LEPTON_TEST_NAMESPACES="${names[*]}" LEPTON_TEST_NAMESPACES_HOST=$host
"$@"
