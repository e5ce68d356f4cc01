#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 under load, of one process or of everything, round after round.

A mail worker, the login process, auth or the master dies, or all at once. Then the service must be back
by itself (but for the master: by ./run), and keep every promise of ledger.py. One JSON line per round
goes to standard output (tests/runner.py).

With --storm the mails are in clouds (S3, Cassandra) that fail all the time (faults/storm.py), until the
check. And more may be lost than processes: all local state, or the host, whose users another one serves;
it comes back later with what it had, which is old. Flags of the last round may then be lost.

What a dead process asked for may still be on its way: it happens late, or never, and by the contract both are
right (storage contract §6). So the mailboxes are taken over and mail is delivered until all of it has
arrived; then everything is killed once more, and who comes then must find each change whole, or nothing of it."""

import argparse
import functools
import pathlib
import random
import signal
import sys
import time
import traceback

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS))

from crash.keep import Keep  # noqa: E402
from crash.ledger import Ledger  # noqa: E402
from crash.load import Load  # noqa: E402
from faults.clouds_kit import QUICK, Cloud  # noqa: E402
from faults.storm import Storm  # noqa: E402
from kit.doveadm import differences  # noqa: E402
from kit.instance import Instance, is_running, kill_process  # noqa: E402
from kit.report import tell  # noqa: E402
from kit.storage import PAIRS, Storage, remove_below  # noqa: E402
from kit.testenv import Skip  # noqa: E402
from kit.waiting import wait_until  # noqa: E402

USER_COUNT = 6
BACK_WITHIN_S = 60
ROUND_LIMIT_S = 300
# Workers hold the mail: they die most often.
VICTIMS = ("mail", "everything", "login", "mail", "auth", "master", "mail")
STORM_VICTIMS = ("mail", "state", "host", "everything", "mail", "moved", "host", "auth", "master")
FLAGS_LAG_S = 60  # while the catalog is away nothing is written there


def log_in(instance, ledger):
    """A session, as soon as the service is back."""
    deadline = time.monotonic() + BACK_WITHIN_S
    while True:
        try:
            client = instance.imap(ledger.user)
            client.note = ledger.note
            return client
        except Exception as e:
            if time.monotonic() > deadline:
                raise AssertionError(f"no login within {BACK_WITHIN_S} s after the kill: {e}") from e
            time.sleep(0.1)


def kill_one(instance, rng, role):
    victims = instance.pids_of(role)
    assert victims, f"no process has the role {role} among {instance.processes()}"
    kill_process(rng.choice(victims))


def kill_master(instance):
    """Without its master every other process ends by itself; then ./run starts all again."""
    others = [pid for pid, _ in instance.processes()]
    kill_process(instance.pid)
    deadline = time.monotonic() + BACK_WITHIN_S
    while left := [pid for pid in [instance.pid, *others] if is_running(pid)]:
        assert time.monotonic() < deadline, f"processes {left} outlive the master"
        time.sleep(0.02)


def run_round(instance, keep, ledgers, rng, number, victim):
    """Load, kill, come back, check; the list of what is wrong."""
    keep.begin_round(number)
    load = Load(instance, ledgers, seed=f"r{number}x{rng.randrange(1 << 30):x}")
    time.sleep(rng.uniform(0.5, 2.5))
    broken = lose(instance, load, rng, victim)
    return broken + check_all(instance, ledgers, rng)


def run_storm_round(cloud, keep, ledgers, rng, number, victim):
    """The same while the clouds fail, and then until all that they hold back has arrived."""
    instance = cloud.instance
    keep.begin_round(number, cloud.cql)
    load = Load(instance, ledgers, seed=f"r{number}x{rng.randrange(1 << 30):x}")
    storm = Storm({"s3": cloud.s3, "cql": cloud.cql}, rng.randrange(1 << 30))
    try:
        time.sleep(rng.uniform(2, 8))
        for ledger in ledgers:
            ledger.crashed_at = time.monotonic()
            ledger.flags_lag_s = FLAGS_LAG_S if victim in ("state", "host") else 0
        if victim == "moved":
            storm.end()
        keep.note_all(f"==== {victim} is lost")
        broken = lose(instance, load, rng, victim)
        keep.note_all("==== is back")
    finally:
        storm.end()
        keep.end_round(number, storm)
    for ledger in ledgers:
        end_doubts(instance, ledger)
    broken += outlive_late_requests(cloud, ledgers, f"l{number}x{rng.randrange(1 << 30):x}")
    instance.kill()
    keep.note_all("==== everything is lost again")
    instance.start()
    return broken + check_all(instance, ledgers, rng)


def outlive_late_requests(cloud, ledgers, seed):
    """Who came after the dead has all mailboxes open, and mail is delivered, while their requests arrive."""
    load = Load(cloud.instance, ledgers, seed, has_readers=False)
    try:
        for ledger in ledgers:
            with log_in(cloud.instance, ledger) as client:
                for name, attributes in client.list_names().items():
                    if "\\Noselect" not in attributes:
                        client.select(name)
        wait_until(lambda: not cloud.s3.held() and not cloud.cql.held(), "all requests have been passed on")
    finally:
        broken = load.stop()
    return broken


def end_doubts(instance, ledger):
    """The first change after an outage settles what was in doubt before, if the process still lives."""
    deadline = time.monotonic() + BACK_WITHIN_S
    while True:
        with log_in(instance, ledger) as client:
            # Both, also after a refusal: the mailbox may be there from the last time.
            done = [client.run(f"{verb} settled").status == "OK" for verb in ("CREATE", "DELETE")]
            if all(done):
                return
        assert time.monotonic() < deadline, f"nothing is written {BACK_WITHIN_S} s after the outage"
        time.sleep(0.2)


def check_all(instance, ledgers, rng):
    broken = []
    for ledger in ledgers:
        broken += ledger.check(functools.partial(log_in, instance, ledger), rng)
    return broken + differences(instance, *(ledger.user for ledger in ledgers))


def lose(instance, load, rng, victim):
    """Takes the victim away under load, brings it back; what the load has to say."""
    if victim in ("state", "host", "moved"):
        return lose_host(instance, load, victim)
    if victim in ("everything", "master"):
        if victim == "master":
            kill_master(instance)
        else:
            instance.kill()
        broken = load.stop()
        instance.start()
    else:
        kill_one(instance, rng, victim)
        time.sleep(rng.uniform(0.2, 1.0))  # other processes, and the new one, are under load
        broken = load.stop()
    return broken


def lose_host(instance, load, victim):
    """"moved" is stopped cleanly."""
    if victim == "moved":
        broken = load.stop()
        instance.stop()
    else:
        instance.kill()
        broken = load.stop()
    if victim == "state":
        remove_below(instance.dir / "state")
    else:
        instance.move()
    instance.start()
    return broken


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--storm", action="store_true")
    parser.add_argument("--victim", choices=sorted({*VICTIMS, *STORM_VICTIMS}), help="the same in each round")
    parser.add_argument("--all-in-one", action="store_true", help="with --storm")
    parser.add_argument("--storage", choices=list(PAIRS), default="local")
    parser.add_argument("--build", type=pathlib.Path, default=TESTS.parent / "build")
    parser.add_argument("--keep", type=pathlib.Path, help="a new folder for what keep.py names")
    args = parser.parse_args()
    rng = random.Random(args.seed)
    keep = Keep(args.keep)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        if args.storm:
            make = functools.partial(Instance.create, build=args.build, is_all_in_one=args.all_in_one)
            cloud = Cloud(make, QUICK, users=50)
            instance = cloud.instance
            one_round = functools.partial(run_storm_round, cloud, keep)
        else:
            storage = Storage(args.storage)
            instance = Instance.create(
                build=args.build, users=50, config="mail_worker_count = 2\n", storage=storage)
            one_round = functools.partial(run_round, instance, keep)
    except Skip as e:
        tell("start", "skip", 0, str(e))
        return 0
    except Exception as e:
        tell("start", "fail", 0, str(e))
        return 1
    try:
        return run_rounds(instance, keep, one_round, rng, args)
    finally:
        instance.destroy()


def prepare(instance, keep, rng):
    users = [instance.new_user() for _ in range(USER_COUNT)]
    ledgers = [Ledger(user, note=keep.noter(user)) for user in users]
    for ledger in ledgers:
        connect = functools.partial(instance.imap, ledger.user)
        with connect() as client:
            client.do("CREATE Kept")
        assert not ledger.check(connect, rng)
    return ledgers


def run_rounds(instance, keep, one_round, rng, args):
    ledgers = prepare(instance, keep, rng)
    victims = STORM_VICTIMS if args.storm else VICTIMS

    def too_late(*_):
        raise TimeoutError(f"the round took more than {ROUND_LIMIT_S} s")

    signal.signal(signal.SIGALRM, too_late)
    for number in range(1, args.rounds + 1):
        victim = args.victim or victims[(number - 1) % len(victims)]
        name = f"round-{number}-{victim}"
        began = time.monotonic()
        signal.alarm(ROUND_LIMIT_S)
        try:
            broken = one_round(ledgers, rng, number, victim)
        except Exception as e:
            broken = [f"{type(e).__name__}: {e}\n{traceback.format_exc(limit=-4)}"]
        signal.alarm(0)
        took = time.monotonic() - began
        if broken:
            keep.failed(instance)
            lines = "\n".join(broken[:30])
            tell(name, "fail", took, f"seed {args.seed}, {len(broken)} broken promises\n{lines}")
            return 1
        tell(name, "ok", took, f"{sum(ledger.count() for ledger in ledgers)} mails")
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
