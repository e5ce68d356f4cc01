#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a mail worker's memory holds per user: one who stays open after his last session (metacache_close_delay), with
a mailbox of so many mails, and one who is only known to the account of local state (store/cache). Heap is what the
worker counts itself (doveadm process status), Pss what the kernel says.

    bench/cached_users.py             1,000 users of 10 mails; 20,000 that are only known
    bench/cached_users.py --smoke     few: only that it works"""

import argparse
import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP / "tests"))

from kit import mails  # noqa: E402
from kit.instance import Instance  # noqa: E402

RECIPIENTS = 50  # of one mail


def memory(instance):
    """(heap, Pss) of the only mail worker, in bytes."""
    (row,) = [row for row in instance.process_table() if row["name"] == "mail"]
    text = pathlib.Path(f"/proc/{row['pid']}/smaps_rollup").read_text()
    return int(row["memory"]), 1024 * int(re.search(r"^Pss:\s+(\d+)", text, re.M)[1])


def tell(what, count, before, after):
    heap, pss = ((after[i] - before[i]) / count for i in (0, 1))
    print(f"{what:40} {count:7,} {heap:9,.0f} heap {pss:9,.0f} Pss  bytes a user")


def shelf(user):
    value = 0xCBF29CE484222325
    for byte in user.encode():
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return f"{value & 0xFF:02x}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=TOP / "build")
    parser.add_argument("--smoke", action="store_true")
    args = parser.parse_args()
    users, known, count = (60, 300, 2) if args.smoke else (1000, 20000, 10)
    instance = Instance.create(build=args.build, users=users, config="mail_worker_count = 1\nmetacache_close_delay = 1h\n")
    try:
        instance.deliver(mails.small("first"), instance.user(1))
        before = memory(instance)
        for start in range(1, users + 1, RECIPIENTS):
            everybody = [instance.user(i) for i in range(start, min(start + RECIPIENTS, users + 1))]
            for i in range(count):
                instance.deliver(mails.small(f"n {i}"), *everybody)
        tell(f"open without a session, {count} mails", users, before, memory(instance))
        names = [f"u{i}@known.example.test" for i in range(known)]
        for name in names:
            (instance.dir / "state" / "metacache" / shelf(name) / name).mkdir(parents=True)
        before = memory(instance)
        done = instance.doveadm("metacache", "rescan")
        assert done.returncode == 0, done
        tell("known to the account", known, before, memory(instance))
    finally:
        instance.destroy()


if __name__ == "__main__":
    main()
