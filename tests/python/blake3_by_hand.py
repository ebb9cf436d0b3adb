"""BLAKE3 (O'Connor, Aumasson, Neves and Wilcox-O'Hearn 2020) in its mode for deriving keys, written out from its paper: slow, and another one than the code under test."""

import struct

IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
ORDER = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
MIXED = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15), (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))
CHUNK_START, CHUNK_END, PARENT, ROOT, CONTEXT, MATERIAL = 1, 2, 4, 8, 32, 64


def compress(value, block, counter, flags):
    """The first eight words of the compression function's output."""
    words = struct.unpack("<16I", block.ljust(64, b"\0"))
    state = [*value, *IV[:4], counter & 0xFFFFFFFF, counter >> 32, len(block), flags]
    for _ in range(7):
        for place, (a, b, c, d) in enumerate(MIXED):
            for word, first, second in ((words[2 * place], 16, 12), (words[2 * place + 1], 8, 7)):
                state[a] = (state[a] + state[b] + word) & 0xFFFFFFFF
                turned = state[d] ^ state[a]
                state[d] = (turned >> first | turned << (32 - first)) & 0xFFFFFFFF
                state[c] = (state[c] + state[d]) & 0xFFFFFFFF
                turned = state[b] ^ state[c]
                state[b] = (turned >> second | turned << (32 - second)) & 0xFFFFFFFF
        words = [words[place] for place in ORDER]
    return [state[i] ^ state[i + 8] for i in range(8)]


def chunk(data, key, number, flags):
    blocks = [data[i : i + 64] for i in range(0, len(data), 64)] or [b""]
    value = key
    for place, block in enumerate(blocks[:-1]):
        value = compress(value, block, number, flags & ~ROOT | (CHUNK_START if place == 0 else 0))
    start = CHUNK_START if len(blocks) == 1 else 0
    return compress(value, blocks[-1], number, flags | start | CHUNK_END)


def tree(data, key, flags, number=0, root=ROOT):
    if len(data) <= 1024:
        return chunk(data, key, number, flags | root)
    left = 1 << ((len(data) - 1) // 1024).bit_length() - 1
    halves = tree(data[: left * 1024], key, flags, number, 0) + tree(data[left * 1024 :], key, flags, number + left, 0)
    return compress(key, struct.pack("<16I", *halves), 0, flags | PARENT | root)


def derive_key(context, material):
    """32 bytes from a context of text and material of bytes."""
    key = tree(context.encode(), IV, CONTEXT)
    return struct.pack("<8I", *tree(material, key, MATERIAL))
