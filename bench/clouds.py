#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What it costs on S3 and Cassandra: requests per operation, rate, CPU, a mail from the cache.

Requests are counted by proxies between the platform and its servers (tests/kit/faultproxy.py), so they
are what really went over the network, with everything that follows an answer within a moment. Rates
and CPU are measured without proxies; CPU is the platform's alone, and in brackets that of the servers,
which share the machine. Run it on an otherwise quiet machine; it starts MinIO and Cassandra itself:

    bench/clouds.py                     all
    bench/clouds.py requests rates      those whose names begin so
    bench/clouds.py --smoke             small and quick: only that it works"""

import argparse
import functools
import pathlib
import sys
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP / "tests"))
sys.path.insert(0, str(TOP / "bench"))

import run  # noqa: E402
from faults.clouds_kit import Cloud  # noqa: E402
from kit import mails  # noqa: E402
from kit.imap import Literal  # noqa: E402
from kit.instance import Instance  # noqa: E402
from kit.storage import Storage  # noqa: E402
from servers import servers  # noqa: E402

SETTLED_S = 1.5  # changed flags wait for a second for others
SETTLE_WITHIN_S = 15
MAIL_BYTES = 20000
PASSED_BY = ("connections", "OPTIONS", "STARTUP", "REGISTER", "bytes in", "bytes out")


class Requests:
    """The table of requests per operation."""

    def __init__(self, build, scale):
        self.scale = scale
        self.settled_s = SETTLED_S if scale == 1 else 0.2
        self.cloud = Cloud(functools.partial(Instance.create, build=build), config="")
        self.instance = self.cloud.instance

    def count(self, number):
        return max(5, int(number * self.scale))

    def settle(self):
        """Waits until nothing more follows; {kind: requests} of both servers."""
        deadline = time.monotonic() + SETTLE_WITHIN_S
        before = None
        while True:
            now = {**self.cloud.s3.counts(), **self.cloud.cql.counts()}
            if now == before or time.monotonic() > deadline:
                return now
            before = now
            time.sleep(self.settled_s)

    def measure(self, name, do, times=1, mails_each=1):
        """A row: `do(i)` for so many times, each of them about so many mails."""
        self.settle()
        self.cloud.s3.reset()
        self.cloud.cql.reset()
        began = time.monotonic()
        for i in range(times):
            do(i)
        took = (time.monotonic() - began) / times
        counts = {kind: n for kind, n in self.settle().items()
                  if kind not in PASSED_BY and not kind.startswith("PREPARE")}
        s3 = {k: n for k, n in counts.items() if k.split()[0] in ("GET", "PUT", "HEAD", "DELETE", "POST")}
        cql = {k: n for k, n in counts.items() if k not in s3}
        per = f"{sum(s3.values()) / times:8.2f} to S3 {sum(cql.values()) / times:8.2f} to Cassandra"
        kinds = ", ".join(f"{k} {n / times:.2f}".replace("EXECUTE ", "") for k, n in sorted(counts.items()))
        print(f"{name:34} {per}  {took * 1000:9.1f} ms  ({kinds})", flush=True)

    def run(self):
        instance = self.instance
        user = instance.new_user()
        many = self.count(1000)
        mail = mails.marked("count~", MAIL_BYTES)
        instance.deliver(mail, user)
        with instance.lmtp() as lmtp:
            self.measure("delivery, one user", lambda i: lmtp.deliver(mail, user), self.count(100))
            fresh = [instance.new_user() for _ in range(self.count(20))]
            self.measure("delivery, user never seen", lambda i: lmtp.deliver(mail, fresh[i]), len(fresh))
            five = [instance.new_user() for _ in range(5)]
            lmtp.deliver(mail, *five)
            self.measure("delivery to five users", lambda i: lmtp.deliver(mail, *five), self.count(20))
        self.measure("login, no mailbox", lambda i: instance.imap(user).close(), self.count(20))

        def login_and_select(i):
            with instance.imap(user) as client:
                client.select()

        self.measure("login, SELECT, logout", login_and_select, self.count(20))
        self.mailbox(user, many)
        self.cold(user)

    def mailbox(self, user, many):
        instance = self.instance
        with instance.imap(user) as client:
            client.select()
            here = client.select().exists
            missing = max(0, many - here)
            with instance.lmtp() as lmtp:
                for _ in range(missing):
                    lmtp.deliver(mails.marked("count~", 2000), user)
            client.do("NOOP")
            self.measure("NOOP", lambda i: client.do("NOOP"), self.count(20))
            self.measure("APPEND", lambda i: client.do(
                "APPEND INBOX", Literal(mails.marked("count~", MAIL_BYTES))), self.count(20))
            self.measure("STORE of a flag", lambda i: client.do(f"STORE {i + 1} +FLAGS (\\Flagged)"), self.count(20))
            self.measure("FETCH of a body, cached", lambda i: client.fetch(str(i + 1), "BODY.PEEK[]"), self.count(20))
            self.cloud.empty_cache()
            self.measure("FETCH of a body, not cached", lambda i: client.fetch(str(i + 1), "BODY.PEEK[]"),
                         self.count(20))
            self.cloud.empty_cache()
            hundred = self.count(100)
            self.measure(f"FETCH of {hundred} bodies, not cached",
                         lambda i: client.fetch(f"1:{hundred}", "BODY.PEEK[]"))
            self.measure(f"STORE of {many}", lambda i: client.do(f"STORE 1:{many} +FLAGS.SILENT (\\Seen)"))
            client.do("CREATE Copies")
            self.measure(f"COPY of {many}", lambda i: client.do(f"COPY 1:{many} Copies"))
            self.measure("COPY of 20", lambda i: client.do("COPY 1:20 Copies"))
            client.do("CREATE Moved")
            client.select("Copies")
            self.measure("MOVE of 20", lambda i: client.do("MOVE 1:20 Moved"))
            self.measure(f"MOVE of {many}", lambda i: client.do(f"MOVE 1:{many} Moved"))
            client.select("Moved")
            client.do("STORE 1:20 +FLAGS.SILENT (\\Deleted)")
            self.measure("EXPUNGE of 20", lambda i: client.do("EXPUNGE"))
            client.do("STORE 1:* +FLAGS.SILENT (\\Deleted)")
            self.measure(f"EXPUNGE of {many}", lambda i: client.do("EXPUNGE"))

    def cold(self, user):
        """As on a host that has never seen the user."""
        instance = self.instance
        instance.stop()
        self.cloud.lose_local_state()
        instance.start()

        def login_and_select(i):
            with instance.imap(user) as client:
                client.select()

        self.measure("login, SELECT, nothing local", login_and_select)
        with instance.imap(user) as client:
            some = min(client.select().exists, 50)
            self.measure(f"FETCH 1:{some} ENVELOPE, nothing local", lambda i: client.fetch(f"1:{some}", "ENVELOPE"))


class Rates:
    """Rows of bench/run.py on this storage."""

    def __init__(self, build, scale, servers, storage):
        storage_of = Storage(storage, cache_mb=2048)
        self.instance = Instance.create(build=build, users=run.USERS, config=run.CONFIG, storage=storage_of)
        self.bench = run.Bench(self.instance, scale)
        self.servers = servers

    def measure(self, scenario):
        before = {name: server.cpu_seconds() for name, server in self.servers.items()}
        rows = len(self.bench.rows)
        began = time.monotonic()
        getattr(self.bench, scenario)()
        took = time.monotonic() - began
        used = ", ".join(f"{name.removeprefix('POMBAL_TEST_')} {server.cpu_seconds() - before[name]:.1f} s"
                         for name, server in self.servers.items())
        print(f"    (servers' CPU in {took:.1f} s of {len(self.bench.rows) - rows} rows: {used})", flush=True)


def requests(args, servers, scale):
    table = Requests(args.build, scale)
    try:
        table.run()
        table.instance.stop()
    finally:
        table.instance.destroy()


def rates(args, servers, scale):
    scenarios = ("deliveries", "append", "store", "logins") if scale == 1 else ("deliveries", "append")
    measure_on(args, servers, scale, "s3-cql", scenarios)


def cache(args, servers, scale):
    """The same mails from plain files, and from the cache before S3: the difference is a hit's cost."""
    for storage in ("local", "s3-cql") if scale == 1 else ():
        print(f"{storage}:")
        measure_on(args, servers, scale, storage, ("fetch",))


def measure_on(args, servers, scale, storage, scenarios):
    rows = Rates(args.build, scale, servers, storage)
    try:
        for scenario in scenarios:
            rows.measure(scenario)
        rows.instance.stop()
    finally:
        rows.instance.destroy()
    if rows.bench.failed:
        raise SystemExit("a scenario failed")


SCENARIOS = {"requests": requests, "rates": rates, "cache": cache}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("scenarios", nargs="*", help=f"of: {' '.join(SCENARIOS)}")
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--build", type=pathlib.Path, default=TOP / "build")
    args = parser.parse_args()
    scale = 0.02 if args.smoke else 1
    with servers() as clouds:
        for name, scenario in SCENARIOS.items():
            if not args.scenarios or any(name.startswith(word) for word in args.scenarios):
                print(f"== {name}", flush=True)
                scenario(args, clouds.running, scale)


if __name__ == "__main__":
    main()
