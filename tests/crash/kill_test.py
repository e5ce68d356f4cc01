#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 under load, of one mail worker or of everything, round after round.

After each kill the service must be back by itself (a worker) or by ./run (everything), and keep
every promise of ledger.py. One JSON line per round goes to standard output (tests/runner.py)."""

import argparse
import json
import pathlib
import random
import signal
import sys
import time
import traceback

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS))

from crash.ledger import GONE, SAVED, Ledger  # noqa: E402
from crash.load import Load  # noqa: E402
from kit.instance import Instance, kill_process  # noqa: E402

USER_COUNT = 6
BACK_WITHIN_S = 20
ROUND_LIMIT_S = 120


def tell(name, status, seconds, reason=""):
    print(json.dumps({"name": name, "status": status, "seconds": seconds, "reason": reason}), flush=True)


def log_in(instance, user):
    """A session, as soon as the service is back."""
    deadline = time.monotonic() + BACK_WITHIN_S
    while True:
        try:
            return instance.imap(user, timeout=20)
        except Exception as e:
            if time.monotonic() > deadline:
                raise AssertionError(f"no login within {BACK_WITHIN_S} s after the kill: {e}") from e
            time.sleep(0.1)


def kill_a_worker(instance, rng):
    workers = instance.pids_of("mail")
    assert workers, f"no mail worker among {instance.processes()}"
    kill_process(rng.choice(workers))


def run_round(instance, ledgers, rng, number, kills_all):
    """Load, kill, come back, check; the list of what is wrong."""
    load = Load(instance, ledgers, seed=f"r{number}x{rng.randrange(1 << 30):x}")
    time.sleep(rng.uniform(0.5, 2.5))
    if kills_all:
        instance.kill()
        broken = load.stop()
        instance.start()
    else:
        kill_a_worker(instance, rng)
        time.sleep(rng.uniform(0.2, 1.0))  # other workers, and the new one, are under load
        broken = load.stop()
    for ledger in ledgers:
        with log_in(instance, ledger.user) as client:
            broken += ledger.check(client, rng)
    return broken


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--build", type=pathlib.Path, default=TESTS.parent / "build")
    args = parser.parse_args()
    rng = random.Random(args.seed)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        instance = Instance.create(build=args.build, users=50, config="mail_worker_count = 2\n")
    except Exception as e:
        tell("start", "fail", 0, str(e))
        return 1
    try:
        return run_rounds(instance, rng, args)
    finally:
        instance.destroy()


def run_rounds(instance, rng, args):
    ledgers = [Ledger(instance.new_user()) for _ in range(USER_COUNT)]

    def too_late(*_):
        raise TimeoutError(f"the round took more than {ROUND_LIMIT_S} s")

    signal.signal(signal.SIGALRM, too_late)
    for number in range(1, args.rounds + 1):
        kills_all = number % 2 == 0
        name = f"round-{number}-{'everything' if kills_all else 'worker'}"
        began = time.monotonic()
        signal.alarm(ROUND_LIMIT_S)
        try:
            broken = run_round(instance, ledgers, rng, number, kills_all)
        except Exception as e:
            broken = [f"{type(e).__name__}: {e}\n{traceback.format_exc(limit=-4)}"]
        signal.alarm(0)
        took = time.monotonic() - began
        if broken:
            lines = "\n".join(broken[:30])
            tell(name, "fail", took, f"seed {args.seed}, {len(broken)} broken promises\n{lines}")
            return 1
        saved, gone = (sum(ledger.count(state) for ledger in ledgers) for state in (SAVED, GONE))
        tell(name, "ok", took, f"{saved} mails there, {gone} gone for good")
    return finish(instance)


def finish(instance):
    began = time.monotonic()
    problems = instance.problems()
    try:
        instance.stop()
    except Exception as e:
        problems.append(str(e))
    tell("clean-end", "fail" if problems else "ok", time.monotonic() - began, "\n".join(problems[:30]))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
