#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What it costs when a user comes to a backend that has never seen him: handed over, or after kill -9.

Mailboxes of several sizes are made at one backend and opened at another one, on the same S3 and Cassandra
(tests/takeover/backends.py). Requests and bytes are counted by proxies between, through which all goes, so
times are those of a slow network. Memory is the proportional share of all mail processes of the backend.

    bench/takeover.py                     mailboxes of 1,000 and 50,000 mails
    bench/takeover.py --sizes 1000000     others; a million takes minutes to make
    bench/takeover.py --smoke             small and quick: only that it works"""

import argparse
import pathlib
import sys
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP / "tests"))

from kit.imap import Literal  # noqa: E402
from kit import mails  # noqa: E402
from kit.instance import Instance  # noqa: E402
from servers import servers  # noqa: E402
from takeover.backends import CLOSED_S, backends, fill, log_in, requests, reset_counts, settle  # noqa: E402
import run  # noqa: E402 it puts this folder first, where a takeover is, too

SIZES = (1_000, 50_000)
PATIENCE_S = 3600


def memory_kb(instance):
    """Proportional set size of the mail workers."""
    return run.memory_kb(instance)["mail"]


def cpu_s(instance):
    """User and system time of the mail workers."""
    return sum(seconds for (role, _), seconds in run.cpu_seconds(instance).items() if role == "mail")


class Bench:
    def __init__(self, build):
        self.made = []
        self.build = build
        self.a, self.b = backends(self.make, config="", users=50)

    def make(self, **options):
        self.made.append(Instance.create(build=self.build, **options))
        return self.made[-1]

    def end(self):
        for instance in self.made:
            instance.destroy()

    def row(self, name, took, cloud, note=""):
        s3, cql = requests(cloud)
        in_s3, in_cql = (proxy.counts().get("bytes in", 0) for proxy in (cloud.s3, cloud.cql))
        out_s3 = cloud.s3.counts().get("bytes out", 0)
        kinds = ", ".join(f"{k} {n}".replace("EXECUTE ", "") for k, n in sorted({**s3, **cql}.items()))
        print(f"{name:38} {took * 1000:10.1f} ms  {sum(s3.values()):4} to S3 {sum(cql.values()):5} to Cassandra"
              f"  read {in_s3 + in_cql:>11,} B, put {out_s3:>10,} B  {note}({kinds})", flush=True)

    def timed(self, name, cloud, act):
        before = memory_kb(cloud.instance)
        reset_counts(cloud)
        busy = cpu_s(cloud.instance)
        began = time.monotonic()
        got = act()
        took = time.monotonic() - began
        grown = memory_kb(cloud.instance) - before
        self.row(name, took, cloud, f"{grown:+,} kB, {cpu_s(cloud.instance) - busy:.2f} s CPU  ")
        return got

    def open(self, cloud, user):
        """A session that has selected INBOX."""
        client = log_in(cloud.instance, user, timeout=PATIENCE_S)
        client.exists = client.select().exists
        return client

    def look(self, name, cloud, user, count):
        """Opens INBOX, and reads what a client shows first."""
        client = self.timed(f"{name}: login, SELECT", cloud, lambda: self.open(cloud, user))
        assert client.exists == count, client.exists
        last = f"{max(1, count - 49)}:{count}"
        self.timed(f"{name}: ENVELOPE of the last 50", cloud, lambda: client.fetch(last, "(FLAGS ENVELOPE)"))
        self.timed(f"{name}: FLAGS of all", cloud, lambda: client.do("FETCH 1:* FLAGS"))
        return client

    def run(self, count):
        a, b = self.a, self.b
        print(f"== {count:,} mails", flush=True)
        user = a.instance.new_user()
        with log_in(a.instance, user, timeout=PATIENCE_S) as client:
            began = time.monotonic()
            fill(client, count)
            print(f"(made in {time.monotonic() - began:.0f} s)", flush=True)
        self.timed("closed by its first backend", a, lambda: time.sleep(CLOSED_S))
        settle(a, within_s=120)
        self.look("cold", b, user, count).close()
        time.sleep(CLOSED_S)
        self.one_change(user)
        self.timed("warm files: login, SELECT", b, lambda: self.open(b, user)).close()
        time.sleep(CLOSED_S)
        self.kill(user, count)

    def one_change(self, user):
        """What a base costs when one flag of one mail changed."""
        with self.open(self.b, user) as client:
            client.do("STORE 1 +FLAGS (\\Seen)")
            settle(self.b)
            self.timed("base after one flag", self.b, lambda: self.flush(user))
        time.sleep(CLOSED_S)

    def flush(self, user):
        done = self.b.instance.doveadm("metacache", "flush", "-u", user, timeout=PATIENCE_S)
        assert done.returncode == 0, done

    def kill(self, user, count):
        """The first backend has old files, the second one dies in the middle of a session."""
        a, b = self.a, self.b
        with self.open(b, user) as client:
            for number in range(10):
                client.do("APPEND INBOX", Literal(mails.marked(f"more{number}~", 300)))
            client.do("STORE 1:5 +FLAGS (\\Seen)")
            time.sleep(2)
            b.instance.kill()
        self.look("after kill -9, old files", a, user, count + 10).close()
        a.instance.stop()
        b.instance.start()
        time.sleep(CLOSED_S)
        self.timed("back: login, SELECT", b, lambda: self.open(b, user)).close()
        a.instance.start()
        time.sleep(CLOSED_S)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--build", type=pathlib.Path, default=TOP / "build")
    args = parser.parse_args()
    with servers():
        bench = Bench(args.build)
        try:
            for count in (200,) if args.smoke else args.sizes:
                bench.run(count)
        finally:
            bench.end()


if __name__ == "__main__":
    main()
