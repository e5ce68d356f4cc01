# SPDX-License-Identifier: Apache-2.0
"""Ways in which a file goes bad. Each takes the path and a random generator, and changes the file in
place; owner and mode stay."""

import os


def truncate(path, rng):
    os.truncate(path, rng.randrange(path.stat().st_size or 1))


def empty(path, rng):
    os.truncate(path, 0)


def half_written_tail(path, rng):
    """What a crash in the middle of an append leaves, and what the disk had there before."""
    size = path.stat().st_size
    os.truncate(path, max(0, size - rng.randint(1, min(200, size or 1))))
    with open(path, "ab") as file:
        file.write(rng.randbytes(rng.randint(1, 300)))


def garbage_at_the_end(path, rng):
    with open(path, "ab") as file:
        file.write(rng.randbytes(5000))


def flipped_bytes(path, rng):
    data = bytearray(path.read_bytes())
    for _ in range(min(20, len(data))):
        data[rng.randrange(len(data))] ^= rng.randint(1, 255)
    _rewrite(path, data)


def zero_page(path, rng):
    data = bytearray(path.read_bytes())
    at = rng.randrange(max(1, len(data))) // 4096 * 4096
    data[at : at + 4096] = bytes(len(data[at : at + 4096]))
    _rewrite(path, data)


def all_garbage(path, rng):
    _rewrite(path, rng.randbytes(path.stat().st_size))


def damaged_head(path, rng):
    data = bytearray(path.read_bytes())
    data[:64] = rng.randbytes(min(64, len(data)))
    _rewrite(path, data)


def removed(path, rng):
    path.unlink()


def _rewrite(path, data):
    with open(path, "r+b") as file:
        file.write(data)


WAYS = (truncate, empty, half_written_tail, garbage_at_the_end, flipped_bytes, zero_page, all_garbage,
        damaged_head, removed)
