#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the seeds of fuzz targets that are not written by hand: fuzz/corpus/<target>/.

    make_corpus.py [--build DIR]

Protocol texts stand here. Bytes of stored formats (rows, heads, log, snapshot, frozen objects) are taken
from a small instance that is started, used by a client and stopped. Run it again when a format or a
grammar has grown, look at what changed, and commit it: a corpus is a few kB a target."""

import argparse
import hashlib
import pathlib
import sqlite3
import struct
import sys
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP / "tests"))

from kit import mails  # noqa: E402
from kit.imap import Literal  # noqa: E402
from kit.instance import Instance  # noqa: E402

SEEDS_A_TARGET = 24
SEED_BYTES_MAX = 4096

# The first byte chooses the parser (fuzz_imap_command.c).
SEARCH, FETCH, MAILBOX, FLAGS, DATE_TIME, SET, STRING, OTHERS = range(8)
IMAP_COMMANDS = [
    (SEARCH, " CHARSET UTF-8 OR (FROM {3+}\r\nbob NOT SEEN) SINCE 1-Feb-1994 UID 1:4,7:*"),
    (SEARCH, ' RETURN (MIN MAX COUNT ALL SAVE) MODSEQ "/flags/\\\\draft" all 620162338 LARGER 5'),
    (SEARCH, " OLDER 3600 YOUNGER 60 KEYWORD $Label1 HEADER Message-ID <a@b> SENTON 04-Mar-2025"),
    (FETCH, " 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE MODSEQ)"),
    (FETCH, " 2,4:7 (BODY.PEEK[HEADER.FIELDS (DATE FROM)]<0.512> BINARY[1.2] BINARY.SIZE[1])"),
    (FETCH, " * BODY[1.2.MIME] (CHANGEDSINCE 17 VANISHED)"),
    (MAILBOX, ' "Entw&APw-rfe/&2D3eAA-"'), (MAILBOX, " {5+}\r\ninbox"), (MAILBOX, " inBox"),
    (FLAGS, "(\\Seen \\Deleted $Forwarded keyword)"),
    (DATE_TIME, '" 4-Mar-2025 10:20:30 +0100"'),
    (SET, "1,3:5,9:*,*:2"), (SET, "$"),
    (STRING, '"a \\"quoted\\" \\\\ string"'), (STRING, "~{3+}\r\na\0b"), (STRING, "atom]"),
    (OTHERS, 'a1 LOGIN "user" {8+}\r\npassword'), (OTHERS, ' "INBOX" (CONDSTORE QRESYNC (1 90 1:7 (1 2)))'),
    (OTHERS, " PLAIN AGEAYg=="), (OTHERS, ' (SUBSCRIBED) "" ("%" "a/*") RETURN (CHILDREN STATUS (UNSEEN))'),
    (OTHERS, ' ("name" "x" "version" NIL)'), (OTHERS, ' Sent (USE (\\Sent \\Archive))'),
    (OTHERS, ' 1:3 (UNCHANGEDSINCE 12) -FLAGS.SILENT (\\Seen a)'),
    (OTHERS, ' (\\Seen) "17-Jul-1996 02:44:25 -0700" {4}'),
]
IMAP_STREAMS = [
    (3, 0, "a LOGIN {4}\r\nuser {8+}\r\npassword\r\nb NOOP\r\nc LOGOUT\r\n"),
    (0, 2, "a APPEND x (\\Seen) {10}\r\n0123456789 {3+}\r\nabc\r\nDONE\r\n"),
    (7, 1, "a FETCH 1 (((((((\r\nb \"unterminated\r\nc {99999999999999999999}\r\n\r\n"),
]
# 0: command lines, 1: the DATA stream, 2: lines (fuzz_smtp.c).
SMTP = [
    (0, 0, "LHLO client.example.org"), (0, 0, "RCPT TO:<@a,@b:\"quoted user\"@[IPv6:::1]> NOTIFY=SUCCESS,DELAY"),
    (0, 0, "MAIL FROM:<a@b.example> SIZE=1000 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=QQ+2B31 AUTH=<>"),
    (0, 0, "RCPT TO:<user+detail@example.org> ORCPT=rfc822;user+40example.org"),
    (0, 0, "BDAT 1000 LAST"), (0, 0, "XCLIENT ADDR=IPV6:::1 PORT=25 NAME=[UNAVAILABLE] LOGIN=a+20b PROTO=ESMTP"),
    (0, 0, "STARTTLS"), (0, 0, "MAIL FROM:<>"), (0, 0, "VRFY postmaster"),
    (1, 3, "a\r\n..b\r\n.\r\n"), (1, 0, "\r\n.\rx\r\n.\n.\r\n"), (1, 7, "Subject: x\r\n\r\n...\r\n\r.\r\n.\r\nQUIT\r\n"),
    (2, 1, "LHLO a\r\nMAIL FROM:<a>\nRCPT\rTO:<b>\r\n"),
]
SASL = ["AGFsaWNlAHNlY3JldA==", "=", "*", "YWxpY2U=", "Ym9zcwBhbGljZQBzZWNyZXQ=", "\0alice\0secret", "AAA"]
SEARCH_MATCH = [
    "BODY meeting NOT TEXT {3+}\r\nabc OR SUBJECT x FROM y\nSubject: x\r\nFrom: y@z\r\n\r\nmeeting\r\n",
    "HEADER X-A b SMALLER 100 SENTSINCE 1-Jan-2020\nX-A: =?utf-8?q?b?=\r\nDate: Tue, 4 Mar 2025 10:20:30 +0100\r\n\r\n",
]
ADDRESSES = ["127.0.0.1:143", "[::1]:993", "fe80::1%lo", "10.0.0.0/8", "2001:db8::/32", "::ffff:1.2.3.4/128"]
CODECS = ["&2D3eAA-&APw-", "SGFsbG8=", "deadBEEF", "a+20b+2B", "18446744073709551615", "-0007"]
# The first byte: two bits of the reference's length, six of the pattern's (fuzz_list_match.c).
LIST_PATTERNS = [b"\x03a/%a/b", b"\x41a*ab/c", b"\x05%%*%%INBOX/x", b"\x06inbox*INBOX/y"]


def write(target, seeds):
    """Each seed a file, named by what is in it."""
    folder = TOP / "fuzz" / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds[:SEEDS_A_TARGET]:
        seed = seed.encode() if isinstance(seed, str) else seed
        (folder / hashlib.sha1(seed).hexdigest()[:12]).write_bytes(seed[:SEED_BYTES_MAX])
    print(f"{target}: {len(seeds[:SEEDS_A_TARGET])} seeds")


def chosen(items):
    return [bytes(item[:-1]) + item[-1].encode() for item in items]


def write_texts():
    write("fuzz_imap_command", chosen(IMAP_COMMANDS))
    write("fuzz_imap_framing", chosen(IMAP_STREAMS))
    write("fuzz_smtp", chosen(SMTP))
    write("fuzz_sasl", SASL)
    write("fuzz_imap_search_match", SEARCH_MATCH)
    write("fuzz_address", ADDRESSES)
    write("fuzz_codec", CODECS)
    write("fuzz_list_match", LIST_PATTERNS)


def use(instance, user):
    """A mailbox with a past: everything that is stored somehow."""
    with instance.imap(user) as client:
        for number in range(6):
            client.do("APPEND INBOX (\\Seen $Label1)", Literal(mails.small(f"seed {number}"), plus=True))
        client.do("CREATE Work/Deep")
        client.do("CREATE Gone")
        client.do("RENAME Work Play")
        client.do("SUBSCRIBE Play/Deep")
        client.do("DELETE Gone")
        client.select()
        client.do("STORE 1:3 +FLAGS (\\Flagged urgent)")
        client.do("COPY 1:2 Play/Deep")
        client.do("MOVE 3 Play/Deep")
        client.do("STORE 1 +FLAGS (\\Deleted)")
        client.do("EXPUNGE")
    time.sleep(1.5)  # the flags journal


def write_stored(build):
    write("fuzz_base", base_seeds())
    write("fuzz_rows", row_seeds())
    instance = Instance.create(build=build, users=3)
    try:
        user = instance.new_user()
        use(instance, user)
        instance.stop()
        local = next((instance.dir / "state" / "metacache").glob(f"*/{user}"))
        logs = sorted(local.glob("*/log"))
        for path in logs:  # without it the mailbox is written anew, as a snapshot
            path.rename(path.with_suffix(".kept"))
        instance.start()
        with instance.imap(user) as client:
            client.select()
        instance.stop()
        write("fuzz_log", [seed for path in local.glob("*/log.kept") for seed in log_seeds(path.read_bytes())])
        write("fuzz_snapshot", [path.read_bytes() for path in local.glob("*/snapshot")])
        write("fuzz_rows", row_values(instance.dir / "state" / "catalog"))
    finally:
        instance.destroy()


def row_seeds():
    """Rows that only several writers have: merges, a floor with what was seen, the void of a batch."""
    first, second = (bytes([1, 2, 3, 4, 5, 6, 0, n, 0, 0, 0, 99 + n, 0, 0, 0, 0]) for n in (1, 2))
    merges = b"\x01\x08\x02" + first + b"\xef\x07\xf0\xa2\x04\x07" + second + b"\xf0\x07\xf1\xa2\x04\x08"
    floor = b"\x01\x06\xf1\x07\xf2\xa2\x04\x02" + first + b"\xef\x07" + second + b"\xf0\x07"
    return [merges, floor, b"\x01\x09\x09" + bytes(15)]


def base_seeds():
    """Sections without a file around them (fuzz_base.c): type, items, length, bytes."""

    def section(kind, items, data):
        return struct.pack("<bHH", kind, items, len(data)) + data

    name = bytes(range(16))
    meta = section(1, 1, b"\x0a\x00\x01\x05\x00\x00" + name + b"\x01\x02\x00")
    facts = section(2, 1, b"\x04work") + section(3, 1, b"\x01\x05")
    gone = section(4, 1, b"\x0a\x04" + b"\x20\x01\x00\x07abcd")
    stamps = section(5, 1, b"\x20\x04\x03")
    hot = section(6, 2, b"\x00\x01" + b"\x08\x01" + b"\x04\x02" + b"\x01\x01\x01")
    names = b"\x20\x02" + b"\x00\x01" + b"\x00\x07\x00" + b"abcdefgh"
    ids = b"\x00\x01" + 2 * name + name
    cold = section(7, 2, names + ids + 8 * b"\x02\x04" + b"\x00\x00")
    segment = section(8, 1, b"\x06\x01" + name + b"\x01\x09\x05\x64\x7f")
    texts = section(9, 1, b"\x00\x04" + name[:8]) + section(10, 1, b"text")
    return [meta + facts + gone + stamps + segment + hot + cold, meta + hot + cold, texts, meta + gone]


def log_seeds(data):
    """The file, and some of its records without frame but with the serial (fuzz_log.c)."""
    yield data[:SEED_BYTES_MAX]
    serial = data[44:48]
    at = 96
    while at + 8 < len(data):
        (length,) = struct.unpack_from("<I", data, at)
        yield serial + data[at + 8 : at + 8 + length]
        at += 8 + length


def row_values(folder):
    """Values of rows and heads, the shortest first, of each length once."""
    found = {}
    for path in folder.glob("*.sqlite"):
        database = sqlite3.connect(path)
        names = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for name in names:
            for row in database.execute(f"SELECT * FROM {name}"):
                found.update({len(cell): cell for cell in row if isinstance(cell, bytes) and len(cell) > 20})
    return [found[length] for length in sorted(found) if length <= SEED_BYTES_MAX]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=pathlib.Path, default=TOP / "build")
    args = parser.parse_args()
    write_texts()
    write_stored(args.build)


if __name__ == "__main__":
    main()
