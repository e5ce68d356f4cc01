#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Undoes what a power loss would take away: see powerloss.c.

    powerloss.py prepare DIR STATE          an empty journal: from here on DIR is watched
    powerloss.py restore DIR STATE [SEED]   after every process was killed

Without SEED everything that was not synced is undone. With it, of each file and each directory a
random part of the latest changes: a disk may have written some of them. Prints how much was undone.
"""
import os
import random
import shutil
import struct
import sys


def records(path):
    """Yields (type, payload). A record that a kill cut short is the last one."""
    with open(path, "rb") as journal:
        while len(head := journal.read(5)) == 5:
            kind, size = struct.unpack("<cI", head)
            payload = journal.read(size)
            if len(payload) < size:
                return
            yield kind, payload


def cut_text(payload, at):
    (size,) = struct.unpack_from("<H", payload, at)
    return os.fsdecode(payload[at + 2 : at + 2 + size]), at + 2 + size


def unsafe_changes(journal):
    """The changes that were not synced, as {inode: [...]} and {directory: [...]}, oldest first."""
    files, dirs = {}, {}
    for serial, (kind, payload) in enumerate(records(journal)):
        if kind == b"W":
            inode, size, offset = struct.unpack_from("<QQQ", payload)
            files.setdefault(inode, []).append((serial, size, offset, payload[24:]))
        elif kind in (b"S", b"N"):
            files.pop(struct.unpack("<Q", payload)[0], None)
        elif kind == b"E":
            state, link = struct.unpack_from("<BQ", payload)
            directory, at = cut_text(payload, 9)
            name, _ = cut_text(payload, at)
            dirs.setdefault(directory, []).append((serial, state, link, directory, name))
        elif kind == b"D":
            dirs.pop(cut_text(payload, 0)[0], None)
        elif kind == b"A":
            files, dirs = {}, {}
        else:
            raise SystemExit(f"{journal}: unknown record {kind!r}")
    return files, dirs


def keep_some(changes, rng):
    """The latest part of each list is undone."""
    return {key: some[rng.randint(0, len(some)) :] for key, some in changes.items()}


def undo_entry(state_dir, state, link, directory, name):
    path = os.path.join(directory, name)
    if not os.path.isdir(directory):
        return  # went with its parent
    if os.path.isdir(path) and not os.path.islink(path):
        if state == 2:
            return
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)
    if state == 1:
        os.link(os.path.join(state_dir, f"{link:016x}"), path)
    elif state == 2:
        os.mkdir(path, 0o700)


def undo_bytes(path, changes):
    with open(path, "r+b") as file:
        for _, size, offset, old in reversed(changes):
            file.truncate(size)
            file.seek(offset)
            file.write(old)


def files_below(root):
    """{inode: path}; drops what lives in shared memory."""
    found = {}
    for directory, _, names in os.walk(root):
        for name in names:
            path = os.path.join(directory, name)
            if name.endswith("-shm"):
                os.unlink(path)
            elif not os.path.islink(path):
                found[os.stat(path).st_ino] = path
    return found


def prepare(state_dir):
    os.makedirs(state_dir, exist_ok=True)
    for name in os.listdir(state_dir):
        os.unlink(os.path.join(state_dir, name))


def restore(root, state_dir, rng):
    files, dirs = unsafe_changes(os.path.join(state_dir, "journal"))
    if rng:
        files, dirs = keep_some(files, rng), keep_some(dirs, rng)
    entries = sorted((e for some in dirs.values() for e in some), reverse=True)
    for _, state, link, directory, name in entries:
        undo_entry(state_dir, state, link, directory, name)
    paths = files_below(root)
    undone = 0
    for inode, changes in files.items():
        if inode in paths and changes:
            undo_bytes(paths[inode], changes)
            undone += len(changes)
    prepare(state_dir)
    print(f"undone: {len(entries)} entries, {undone} writes")


def main(argv):
    if len(argv) < 4 or argv[1] not in ("prepare", "restore"):
        raise SystemExit(__doc__)
    if argv[1] == "prepare":
        prepare(argv[3])
    elif os.path.exists(os.path.join(argv[3], "journal")):
        rng = random.Random(int(argv[4])) if len(argv) > 4 else None
        restore(os.path.realpath(argv[2]), argv[3], rng)
    else:
        print("undone: nothing was recorded")


if __name__ == "__main__":
    main(sys.argv)
