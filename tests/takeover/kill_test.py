#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 of a backend under load, and the other one takes over; back and forth, round after round.

Deliveries and IMAP changes run against one backend, all its processes die at once, and the other must
serve its users at once and keep every promise of crash/ledger.py: nothing acknowledged lost or there
twice, the same UIDs for the same mails, numbers that never fall, clients that were away end in the
truth; so do those that idled when it died, from what they were told until then. Then the load goes on
there, until it dies in its turn, and the first one comes back to what it had, which is old. One JSON
line per round goes to standard output (tests/runner.py)."""

import argparse
import pathlib
import random
import signal
import sys
import time
import traceback

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS))

from crash.keep import Keep  # noqa: E402
from crash.kill_test import check_all, log_in, prepare  # noqa: E402
from crash.load import Load  # noqa: E402
from kit.instance import Instance  # noqa: E402
from kit.report import tell  # noqa: E402
from kit.testenv import Skip  # noqa: E402
from takeover.backends import Idler, assert_verified, backends  # noqa: E402

ROUND_LIMIT_S = 180
# The asynchronous journal writes flags within a second; their row needs some time, too.
FLAGS_LAG_S = 1.5


def run_round(old, new, keep, ledgers, rng, number):
    """Load at `old`, which dies; `new` takes over; (what is wrong, what it took)."""
    keep.begin_round(number)
    load = Load(old.instance, ledgers, seed=f"t{number}x{rng.randrange(1 << 30):x}")
    idlers = [Idler(old, ledger.user) for ledger in ledgers]
    time.sleep(rng.uniform(1.0, 4.0))
    for ledger in ledgers:
        ledger.crashed_at = time.monotonic()
        ledger.flags_lag_s = FLAGS_LAG_S
    old.instance.kill()
    keep.note_all("==== is dead")
    broken = load.stop()
    for idler in idlers:
        idler.hears_the_end()
    if rng.random() < 0.3:
        old.instance.start()  # nobody sends users there: that it lives must not matter
    began = time.monotonic()
    for ledger in ledgers:
        log_in(new.instance, ledger).close()
    took = (time.monotonic() - began) / len(ledgers)
    broken += check_all(new.instance, ledgers, rng)
    for idler in idlers:
        idler.comes_back(new)
    assert_verified(new, *(ledger.user for ledger in ledgers))
    if not old.instance.is_serving():
        old.instance.start()
    told = sum(idler.told for idler in idlers)
    return broken, f"a login at the other backend {took * 1000:.0f} ms, {told} lines to clients that idled"


def run_rounds(clouds, rng, args):
    keep = Keep(args.keep)
    ledgers = prepare(clouds[0].instance, keep, rng)

    def too_late(*_):
        raise TimeoutError(f"the round took more than {ROUND_LIMIT_S} s")

    signal.signal(signal.SIGALRM, too_late)
    for number in range(1, args.rounds + 1):
        began = time.monotonic()
        signal.alarm(ROUND_LIMIT_S)
        try:
            broken, note = run_round(clouds[(number - 1) % 2], clouds[number % 2], keep, ledgers, rng, number)
        except Exception as e:
            broken, note = [f"{type(e).__name__}: {e}\n{traceback.format_exc(limit=-4)}"], ""
        signal.alarm(0)
        took = time.monotonic() - began
        if broken:
            keep.failed(clouds[number % 2].instance)
            lines = "\n".join(broken[:30])
            tell(f"round-{number}", "fail", took, f"seed {args.seed}, {len(broken)} broken promises\n{lines}")
            return 1
        count = sum(ledger.count() for ledger in ledgers)
        tell(f"round-{number}", "ok", took, f"{count} mails, {note}")
    return finish(clouds)


def finish(clouds):
    began = time.monotonic()
    problems = [text for cloud in clouds for text in cloud.instance.problems()]
    for cloud in clouds:
        try:
            cloud.instance.stop()
        except Exception as e:
            problems.append(str(e))
    tell("clean-end", "fail" if problems else "ok", time.monotonic() - began, "\n".join(problems[:30]))
    return 1 if problems else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--build", type=pathlib.Path, default=TESTS.parent / "build")
    parser.add_argument("--keep", type=pathlib.Path, help="a new folder for what crash/keep.py names")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    made = []

    def make(**options):
        made.append(Instance.create(build=args.build, **options))
        return made[-1]

    try:
        return run_rounds(backends(make, users=50), random.Random(args.seed), args)
    except Skip as e:
        tell("start", "skip", 0, str(e))
        return 0
    except Exception as e:
        tell("start", "fail", 0, f"{e}\n{traceback.format_exc(limit=-4)}")
        return 1
    finally:
        for instance in made:
            instance.destroy()


if __name__ == "__main__":
    sys.exit(main())
