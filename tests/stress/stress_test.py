#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fifty sessions of ten users change the same mailboxes at once; every picture must be the same.

Two processes (load.py) play five users each, with five sessions a user; mails are delivered all the
time. Each session builds its mirror from what it is told. After some seconds all stop, NOOP, and every
mirror is compared with a fresh session, every mail with what was acknowledged (ledger.py); then it
goes on. Two mbsync replicas follow one of the users, changing his mail too, and must hold the same in
the end. One JSON line per result goes to standard output (tests/runner.py).

    stress_test.py --seconds 600 --seed 7      the seed decides what sessions do, not how they meet"""

import argparse
import json
import pathlib
import random
import signal
import subprocess
import sys
import threading
import time
import traceback

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS))

from kit import mails  # noqa: E402
from kit.instance import Instance  # noqa: E402
from kit.mbsync import Replica, server_contents  # noqa: E402
from kit.testenv import Skip  # noqa: E402
from stress.actor import STABLE  # noqa: E402

PROCESSES = 2
USERS_EACH = 5
SHARED_USER = 1
CONFIG = "mail_worker_count = 2\nmail_max_userip_connections = 100\n"


def tell(name, status, seconds, reason=""):
    print(json.dumps({"name": name, "status": status, "seconds": seconds, "reason": reason}), flush=True)


class Replicas:
    """Two Maildirs of one user, synchronised and changed all the time in a thread."""

    def __init__(self, instance, seed):
        self.instance = instance
        self.user = instance.user(SHARED_USER)
        self.rng = random.Random(f"{seed}-replicas")
        self.replicas = [Replica(instance, self.user, " ".join(STABLE)) for _ in range(2)]
        self.stopping = threading.Event()
        self.rounds = self.failures = 0
        self.thread = threading.Thread(target=self.run)

    def run(self):
        number = 0
        while not self.stopping.wait(0.2):
            for replica in self.replicas:
                number += 1
                # Its session may see a mailbox change in the middle; what counts is the end.
                self.failures += replica.run().returncode != 0
                self.change(replica, number)
            self.rounds += 1

    def change(self, replica, number):
        for name in STABLE:
            files = replica.files(name)
            if files:
                replica.set_flags(self.rng.choice(files), self.rng.choice(("S", "FS", "F", "RS", "")))
            if len(files) > 5 and self.rng.random() < 0.3:
                self.rng.choice(replica.files(name)).unlink()
        replica.add("INBOX", mails.small(f"r{number}.{replica.dir.name}~"), number)

    def converge(self):
        """After all is quiet: the replicas and the server hold the same."""
        self.stopping.set()
        self.thread.join(150)
        for _ in range(2):
            for replica in self.replicas:
                replica.sync()
        self.replicas[0].sync()
        with self.instance.imap(self.user) as client:
            truth = server_contents(client, STABLE)
        for replica in self.replicas:
            have = replica.contents()
            for name in STABLE:
                assert have[name] == truth[name], difference(name, have[name], truth[name])
        return f"{self.rounds} rounds, {self.failures} disturbed, {sum(map(len, truth.values()))} mails"

    def remove(self):
        self.stopping.set()
        for replica in self.replicas:
            replica.remove()


def difference(name, have, truth):
    return (f"{name}: {len(have)} mails, the server has {len(truth)}; only here: "
            f"{sorted(set(have) - set(truth))[:10]}, only there: {sorted(set(truth) - set(have))[:10]}")


class LoadProcess:
    def __init__(self, instance, index, args):
        self.name = f"sessions-{index + 1}"
        self.acts = self.rounds = 0
        self.failure = ""
        command = [sys.executable, TESTS / "stress" / "load.py", "--attach", instance.dir]
        command += ["--first-user", str(1 + index * USERS_EACH), "--users", str(USERS_EACH)]
        command += ["--sessions", str(args.sessions), "--seed", f"{args.seed}-{index}", "--prefix", "ab"[index]]
        command += ["--shared-user", str(SHARED_USER), "--seconds", str(args.seconds)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def read(self):
        other = []
        for line in self.process.stdout:
            said = json.loads(line) if line.startswith("{") else None
            if said is None:
                other.append(line)
            elif "failed" in said:
                lines = said["failed"]
                for transcript in said["transcripts"]:
                    lines += ["---- " + transcript[0], *transcript[-30:]]
                self.failure = "\n".join(lines)
            else:
                self.rounds += 1
                self.acts += sum(said["acts"].values())
        if self.process.wait() != 0 and not self.failure:
            self.failure = "".join(other[-30:]) or f"exit status {self.process.returncode}"

    def end(self, limit_s):
        self.thread.join(limit_s)
        if self.thread.is_alive():
            self.process.kill()
            self.thread.join()
            self.failure = self.failure or "hangs"


def stress(instance, args):
    """True when all is well."""
    began = time.monotonic()
    with instance.imap(instance.user(SHARED_USER)) as client:
        for name in STABLE[1:]:
            client.run(f"CREATE {name}")
    try:
        replicas = Replicas(instance, args.seed)
        replicas.thread.start()
    except Skip as e:
        tell("replicas", "skip", 0, str(e))
        replicas = None
    loads = [LoadProcess(instance, index, args) for index in range(PROCESSES)]
    try:
        for load in loads:
            load.end(args.seconds * 3 + 180)
            text = f"seed {args.seed}\n{load.failure}" if load.failure else f"{load.rounds} rounds, {load.acts} acts"
            tell(load.name, "fail" if load.failure else "ok", time.monotonic() - began, text)
        if replicas:
            converge(replicas, args.seed)
    finally:
        for load in loads:
            load.process.kill()
        if replicas:
            replicas.remove()


def converge(replicas, seed):
    began = time.monotonic()
    try:
        tell("replicas", "ok", time.monotonic() - began, replicas.converge())
    except Exception as e:
        text = f"seed {seed}\n{type(e).__name__}: {e}\n{traceback.format_exc(limit=-3)}"
        tell("replicas", "fail", time.monotonic() - began, text)


def end_cleanly(instance):
    began = time.monotonic()
    problems = []
    try:
        instance.stop()
    except Exception as e:
        problems.append(str(e))
    problems += instance.problems()
    tell("clean-end", "fail" if problems else "ok", time.monotonic() - began, "\n".join(problems[:40]))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--sessions", type=int, default=5, help="of each of the ten users")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--build", type=pathlib.Path, default=TESTS.parent / "build")
    parser.add_argument("--all-in-one", action="store_true")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        instance = Instance.create(build=args.build, is_all_in_one=args.all_in_one, users=20, config=CONFIG)
    except Exception as e:
        tell("start", "fail", 0, str(e))
        return
    try:
        stress(instance, args)
        end_cleanly(instance)
    finally:
        instance.destroy()


if __name__ == "__main__":
    main()
