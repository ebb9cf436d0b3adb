#!/usr/bin/env python3
"""Known answers of docs/protocols/secret-sharing.md, from the document alone: the standard library, no code of the project.

    python3 scripts/mpc_vectors.py > crates/lepton-mpc/src/tests/vectors.txt

Three parties compute x * y truncated by 8 bits, <x, y>, and 3 x - y + (5, -5). Every message is printed: sender, receiver, bytes.
"""

import hashlib
import struct

MASK = 2**64 - 1
PARTIES, DEALER = 3, 65535
X, Y = [1000, -70000], [-513, 65536]
BOUND = 1 << 20


def number(value, size):
    return (value % 2 ** (8 * size)).to_bytes(size, "little")


def digest(domain, *parts):
    return hashlib.sha256(b"".join(number(len(p), 8) + p for p in (domain.encode(), *parts))).digest()


def rotate(value, bits):
    return (value << bits | value >> (32 - bits)) & 0xFFFFFFFF


def quarter(state, a, b, c, d):
    for x, y, z, bits in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        state[x] = (state[x] + state[y]) & 0xFFFFFFFF
        state[z] = rotate(state[z] ^ state[x], bits)


def block(key, counter):
    """RFC 8439 section 2.3, nonce zero."""
    start = [0x61707865, 0x3320646E, 0x79622D32, 0x6B206574, *struct.unpack("<8I", key), counter, 0, 0, 0]
    state = start[:]
    for _ in range(10):
        for i in range(4):
            quarter(state, i, i + 4, i + 8, i + 12)
        for i in range(4):
            quarter(state, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
    return struct.pack("<16I", *((a + b) & 0xFFFFFFFF for a, b in zip(state, start)))


def expand(seed, count):
    stream = b"".join(block(seed, i) for i in range((count + 7) // 8))
    return list(struct.unpack(f"<{count}Q", stream[: 8 * count]))


class Generator:
    """What the test gives the machines for randomness: words of a counter, spread by an odd factor."""

    def __init__(self, start):
        self.count = start

    def word(self):
        self.count += 1
        return self.count * 0x9E3779B97F4A7C15 & MASK

    def words(self, count):
        return [self.word() for _ in range(count)]

    def seed(self):
        return b"".join(number(self.word(), 8) for _ in range(4))


def split(words, generator):
    seeds = [generator.seed() for _ in range(PARTIES - 1)]
    for seed in seeds:
        words = [(w - s) & MASK for w, s in zip(words, expand(seed, len(words)))]
    return words, seeds


def circuit():
    value = lambda n: number(n, 8)
    real = lambda owner: number(owner, 2) + bytes([8, 1]) + number(BOUND, 8)
    return [
        (0, 2, real(0)),
        (0, 2, real(1)),
        (6, 2, value(0) + value(1)),
        (8, 2, value(2) + bytes([8])),
        (7, 1, value(0) + value(1)),
        (3, 2, value(0) + number(3, 8)),
        (2, 2, value(5) + value(1)),
        (4, 2, value(6) + number(5, 8) + number(-5, 8)),
        (9, 2, value(3)),
        (9, 1, value(4)),
        (9, 2, value(7)),
    ]


def session():
    parts = [bytes([kind]) + number(length, 8) + rest for kind, length, rest in circuit()]
    return digest("lepton/mpc/session/v1", bytes(range(32)), digest("lepton/mpc/circuit/v1", number(PARTIES, 2), *parts))


def message(sender, receiver, step, content):
    binding = digest("lepton/mpc/message/v1", session(), number(sender, 2), number(receiver, 2))

    def field(tag, data):
        length = bytes([len(data)]) if len(data) < 128 else bytes([len(data) % 128 + 128, len(data) // 128])
        return bytes([tag << 3 | 2]) + length + data

    varint = bytes([2 << 3, step]) if step else b""
    print(sender, receiver, (field(1, binding) + varint + field(3, content)).hex())


def pack(words):
    return b"".join(number(w, 8) for w in words)


def deal(generator):
    a, b = generator.words(2), generator.words(2)
    r = generator.words(2)
    g, h = generator.words(2), generator.words(2)
    words = a + b + [x * y & MASK for x, y in zip(a, b)]
    words += r + [(w % 2**63) >> 8 for w in r] + [w >> 63 for w in r]
    words += g + h + [sum(x * y for x, y in zip(g, h)) & MASK]
    kept, seeds = split(words, generator)
    message(DEALER, 0, 0, pack(kept))
    for party, seed in enumerate(seeds, 1):
        message(DEALER, party, 0, seed)
    return [kept] + [expand(seed, len(words)) for seed in seeds]


def share(owner, values, generator):
    kept, seeds = split([v & MASK for v in values], generator)
    shares = [None] * PARTIES
    shares[owner] = kept
    for party, seed in zip([p for p in range(PARTIES) if p != owner], seeds):
        message(owner, party, 1, seed)
        shares[party] = expand(seed, len(values))
    return shares


def opened(step, by_party):
    for sender, words in enumerate(by_party):
        for receiver in range(PARTIES):
            if receiver != sender:
                message(sender, receiver, step, pack(words))
    return [sum(column) & MASK for column in zip(*by_party)]


def less(xs, ys):
    return [(x - y) & MASK for x, y in zip(xs, ys)]


def product(party, d, e, a, b, length):
    terms = []
    for i in range(length):
        lead = d[i] * e[i] if party == 0 else 0
        terms.append(d[i] * b[i] + e[i] * a[i] + lead)
    return terms


def main():
    dealt = deal(Generator(1000))
    x, y = share(0, X, Generator(2000)), share(1, Y, Generator(3000))
    everyone = range(PARTIES)
    # The first exchange: the product and the inner product, and the output that waits for neither.
    linear = [[(3 * x[p][i] - y[p][i] + ([5, -5][i] if p == 0 else 0)) & MASK for i in (0, 1)] for p in everyone]
    triple = lambda p, at: less(x[p], dealt[p][at : at + 2]) + less(y[p], dealt[p][at + 2 : at + 4])
    first = opened(2, [triple(p, 0) + triple(p, 12) + linear[p] for p in everyone])
    d, e, g, h, out = first[0:2], first[2:4], first[4:6], first[6:8], first[8:10]
    wide = []
    inner = []
    for p in everyone:
        w = dealt[p]
        wide.append([(t + c) & MASK for t, c in zip(product(p, d, e, w[0:2], w[2:4], 2), w[4:6])])
        inner.append([(sum(product(p, g, h, w[12:14], w[14:16], 2)) + w[16]) & MASK])
    shift = lambda p: 1 << 62 if p == 0 else 0
    masked = [[(v + r + shift(p)) & MASK for v, r in zip(wide[p], dealt[p][6:8])] for p in everyone]
    second = opened(3, [masked[p] + inner[p] for p in everyone])
    short = []
    for p in everyone:
        one = 1 if p == 0 else 0
        words = []
        for c, r_t, r_m in zip(second[0:2], dealt[p][8:10], dealt[p][10:12]):
            v = r_m if c >> 63 == 0 else one - r_m
            words.append((one * ((c % 2**63 >> 8) - (1 << 54)) + v * (1 << 55) - r_t) & MASK)
        short.append(words)
    third = opened(4, short)
    signed = lambda words: [w - 2**64 if w >> 63 else w for w in words]
    assert signed(out) == [3 * X[0] - Y[0] + 5, 3 * X[1] - Y[1] - 5]
    assert signed(second[2:3]) == [sum(a * b for a, b in zip(X, Y))]
    assert all(abs(256 * t - a * b) < 256 for t, a, b in zip(signed(third), X, Y))
    for values in (signed(third), signed(second[2:3]), signed(out)):
        print("output", *values)


main()
