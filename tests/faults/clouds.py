#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Object store and Cassandra misbehave under load, round after round; no promise may be broken.

The load and the promises are those of the crash tests (crash/load.py, crash/ledger.py): deliveries
and one reader per user that changes everything, a mail never sent twice. Between the program and its
servers are proxies (kit/faultproxy.py). In each round something fails for some seconds; clients may be
told "not now". Then all is well again: without a restart, within BACK_WITHIN_S, mails are taken and
read, everything acknowledged is there once, and every process is the one it was.

    clouds.py                        each fault for about a second
    clouds.py --long                 as long as outages last; and a cluster of three nodes (nodes.py)
    clouds.py --only cql --seed 7    the faults whose names have that word

One JSON line per round goes to standard output (tests/runner.py)."""

import argparse
import contextlib
import functools
import pathlib
import random
import signal
import sys
import time
import traceback

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS))

from crash.ledger import Ledger, mark_of  # noqa: E402
from crash.load import CONNECTION_ERRORS, Load  # noqa: E402
from faults.checks import same_processes  # noqa: E402
from faults.clouds_kit import QUICK, Cloud  # noqa: E402
from faults.nodes import run_nodes  # noqa: E402
from kit import mails  # noqa: E402
from kit.imap import ImapError, fetched  # noqa: E402
from kit.instance import Instance  # noqa: E402
from kit.report import tell  # noqa: E402
from kit.testenv import Skip  # noqa: E402
from kit.waiting import wait_for_success  # noqa: E402

USER_COUNT = 4
BACK_WITHIN_S = 60
ROUND_LIMIT_S = 180
WRITES = ["EXECUTE INSERT", "EXECUTE UPDATE", "EXECUTE DELETE", "BATCH"]

# Name: (proxy, fault, options, seconds, seconds with --long)
FAULTS = {
    "s3-down": ("s3", "down", {}, 2, 30),
    "s3-slow": ("s3", "slow", {"seconds": 1}, 3, 30),
    "s3-blackhole": ("s3", "blackhole", {}, 3, 30),
    "s3-503": ("s3", "refuse", {"status": 503}, 3, 60),
    "s3-truncated": ("s3", "truncated", {"kinds": ["GET"], "every": 2}, 2, 20),
    "s3-corrupt": ("s3", "corrupt", {"kinds": ["GET"], "every": 2}, 2, 20),
    "s3-reset": ("s3", "reset", {"kinds": ["GET"], "every": 2}, 2, 20),
    "s3-lost-answer": ("s3", "lost_answer", {"kinds": ["PUT", "DELETE", "POST"], "every": 3}, 2, 20),
    "s3-late": ("s3", "late", {"kinds": ["PUT"], "every": 5, "seconds": 1}, 2, 20),
    "cql-down": ("cql", "down", {}, 2, 30),
    "cql-slow": ("cql", "slow", {"seconds": 1}, 3, 30),
    "cql-blackhole": ("cql", "blackhole", {}, 3, 30),
    "cql-overloaded": ("cql", "refuse", {"kinds": ["EXECUTE", "BATCH"], "every": 3}, 2, 30),
    "cql-unavailable": ("cql", "refuse", {"kinds": ["EXECUTE", "BATCH"], "code": 0x1000, "every": 3}, 2, 30),
    "cql-lost-answer": ("cql", "lost_answer", {"kinds": WRITES, "every": 7}, 3, 30),
    "cql-dropped": ("cql", "dropped", {"kinds": WRITES, "every": 9}, 4, 30),
    "cql-late": ("cql", "late", {"kinds": WRITES, "every": 9, "seconds": 1}, 3, 30),
    "both-down": ("both", "down", {}, 2, 30),
}
# Of an outage of minutes the slow answers are slow too.
LONG_SLOW_S = 5


def log_in(instance, user):
    """A session, as soon as the service is back."""
    return wait_for_success(lambda: instance.imap(user, timeout=20), "login after the fault", BACK_WITHIN_S)


def works_again(instance):
    """A mail goes in and comes out."""
    user = instance.new_user()

    def deliver():
        (reply,) = instance.deliver(mails.marked(f"again.{time.monotonic_ns()}~"), user)
        if reply.code != 250:
            raise AssertionError(reply)

    wait_for_success(deliver, "delivery after the fault", BACK_WITHIN_S)
    with log_in(instance, user) as client:
        assert client.select().exists >= 1
        client.fetch("1", "BODY.PEEK[]")


def run_round(cloud, ledgers, rng, fault):
    """Load with a fault in its midst, then the check; (what is wrong, what it hit)."""
    instance = cloud.instance
    load = Load(instance, ledgers, seed=f"{rng.randrange(1 << 40):x}")
    with same_processes(instance):
        time.sleep(0.5)
        hits = fault(load)
        began = time.monotonic()
        works_again(instance)
        took = time.monotonic() - began
        time.sleep(0.5)
        broken = load.stop(60)
        load.end_doubts(BACK_WITHIN_S)
        for ledger in ledgers:
            broken += ledger.check(functools.partial(log_in, instance, ledger.user), rng)
    return broken, f"{hits} requests hit, back after {took:.1f} s"


def proxy_fault(cloud, name, is_long):
    place, fault, options, short, long = FAULTS[name]
    options = dict(options)
    if is_long and fault == "slow":
        options["seconds"] = LONG_SLOW_S

    def misbehave(load):
        proxies = [cloud.s3, cloud.cql] if place == "both" else [getattr(cloud, place)]
        for proxy in proxies:
            proxy.set(fault, **options)
        end = time.monotonic() + (long if is_long else short)
        if options.get("kinds") == ["GET"]:
            read_bodies(cloud, load, end)
        load.stopping.wait(max(0, end - time.monotonic()))
        hits = sum(proxy.hits() for proxy in proxies)
        for proxy in proxies:
            proxy.clear()
        if fault != "down" and not hits:
            load.problems.append("the fault hit nothing: this round is blind")
        return hits

    return misbehave


def read_bodies(cloud, load, end):
    """Reads from the store, past the cache: what comes is what was sent."""
    while time.monotonic() < end:
        cloud.empty_cache()
        for ledger in load.ledgers:
            try:
                with cloud.instance.imap(ledger.user, timeout=20) as client:
                    exists = client.select().exists
                    for number in range(1, min(exists, 4) + 1):
                        check_body(load, ledger, client.run(f"FETCH {number} BODY.PEEK[]"))
            except (*CONNECTION_ERRORS, ImapError):
                continue


def check_body(load, ledger, reply):
    for items in fetched(reply.lines).values():
        if "BODY[]" not in items:  # somebody changed flags meanwhile
            continue
        mark = mark_of(items)
        if not items["BODY[]"].endswith(mails.marked(mark)):
            load.problems.append(f"{ledger.user}: {mark} was read with other bytes")


class Rounds:
    def __init__(self, args):
        self.args = args
        self.rng = random.Random(args.seed)
        self.failed = 0

    def prepare(self, cloud):
        ledgers = [Ledger(cloud.instance.new_user()) for _ in range(USER_COUNT)]
        for ledger in ledgers:
            connect = functools.partial(cloud.instance.imap, ledger.user)
            with connect() as client:
                client.do("CREATE Kept")
            assert not ledger.check(connect, self.rng)
        return ledgers

    def run(self, cloud, ledgers, name, fault, notes=()):
        """`notes`: what the fault has to say besides, filled while it runs."""
        def too_late(*_):
            raise TimeoutError(f"the round took more than {limit} s")

        limit = ROUND_LIMIT_S * (3 if self.args.long else 1)
        signal.signal(signal.SIGALRM, too_late)
        began = time.monotonic()
        signal.alarm(limit)
        note = ""
        try:
            broken, note = run_round(cloud, ledgers, self.rng, fault)
        except Exception as e:
            broken = [f"{type(e).__name__}: {e}\n{traceback.format_exc(limit=-4)}"]
        signal.alarm(0)
        note = "; ".join([note, *notes])
        took = time.monotonic() - began
        if broken:
            lines = "\n".join(broken[:30])
            tell(name, "fail", took, f"seed {self.args.seed}, {note}, {len(broken)} broken promises\n{lines}")
            self.failed += 1
            return False
        tell(name, "ok", took, note)
        return True

    def finish(self, cloud, name="clean-end"):
        began = time.monotonic()
        problems = cloud.instance.problems()
        try:
            cloud.instance.stop()
        except Exception as e:
            problems.append(str(e))
        tell(name, "fail" if problems else "ok", time.monotonic() - began, "\n".join(problems[:30]))
        self.failed += bool(problems)


@contextlib.contextmanager
def cloud_for(args, config, cluster=None):
    def make(**options):
        return Instance.create(build=args.build, is_all_in_one=args.all_in_one, **options)

    cloud = Cloud(make, config, cluster=cluster)
    try:
        yield cloud
    finally:
        cloud.instance.destroy()


def run_proxied(rounds, names):
    with cloud_for(rounds.args, "" if rounds.args.long else QUICK) as cloud:
        ledgers = rounds.prepare(cloud)
        for name in names:
            if not rounds.run(cloud, ledgers, name, proxy_fault(cloud, name, rounds.args.long)):
                ledgers = rounds.prepare(cloud)  # what is known is wrong from here on
        rounds.finish(cloud)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--only", default="", help="a word in the names of the faults")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--all-in-one", action="store_true")
    parser.add_argument("--build", type=pathlib.Path, default=TESTS.parent / "build")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    rounds = Rounds(args)
    try:
        names = [name for name in FAULTS if args.only in name]
        if names:
            run_proxied(rounds, names)
        if args.long:
            run_nodes(rounds, cloud_for, args.only)
    except Skip as e:
        tell("start", "skip", 0, str(e))
        return 0
    except Exception as e:
        tell("start", "fail", 0, f"{type(e).__name__}: {e}\n{traceback.format_exc(limit=-3)}")
        return 1
    return 1 if rounds.failed else 0


if __name__ == "__main__":
    sys.exit(main())
