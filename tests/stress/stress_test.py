#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fifty sessions of ten users change the same mailboxes at once; every picture must be the same.

Two processes (load.py) play five users each, with five sessions a user; mails are delivered all the
time. Each session builds its mirror from what it is told. After some seconds all stop, NOOP, and every
mirror is compared with a fresh session, every mail with what was acknowledged (ledger.py); then it
goes on. Two mbsync replicas follow one of the users, changing his mail too, and must hold the same in
the end. One JSON line per result goes to standard output (tests/runner.py).

With --storm the mails are in S3 and Cassandra, which fail all the time but for the comparisons
(faults/storm.py): what is refused with [UNAVAILABLE] or 451 may have been done, once, or not. In the end
local state is compared with the catalog, and thrown away: from the catalog alone all is the same.

    stress_test.py --seconds 600 --seed 7      the seed decides what sessions do, not how they meet"""

import argparse
import functools
import json
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import threading
import time

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS))

from faults.clouds_kit import QUICK, Cloud  # noqa: E402
from faults.storm import Storm  # noqa: E402
from kit.doveadm import differences  # noqa: E402
from kit.instance import Instance  # noqa: E402
from kit.report import tell  # noqa: E402
from kit.storage import PAIRS, Storage  # noqa: E402
from kit.testenv import Skip  # noqa: E402

PROCESSES = 2
USERS_EACH = 5
SHARED_USER = 1
BACK_WITHIN_S = 6
CONFIG = "mail_worker_count = 2\nmail_max_userip_connections = 100\n"


class LoadProcess:
    def __init__(self, instance, index, args, *more, storm=None):
        self.name = f"sessions-{index + 1}"
        self.storm = storm
        self.acts = self.rounds = 0
        self.failure = ""
        self.is_over = threading.Event()  # all but the look from elsewhere
        self.replicas = None
        command = [sys.executable, TESTS / "stress" / "load.py", "--attach", instance.dir]
        command += ["--first-user", str(1 + index * USERS_EACH), "--users", str(USERS_EACH)]
        command += ["--sessions", str(args.sessions), "--seed", f"{args.seed}-{index}", "--prefix", "abc"[index]]
        command += ["--shared-user", str(SHARED_USER), "--seconds", str(args.seconds), *more]
        command += ["--storm"] if storm else []
        command += ["--record", args.keep / f"{self.name}.log"] if args.keep else []
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def read(self):
        other = []
        for line in self.process.stdout:
            said = json.loads(line) if line.startswith("{") else None
            if said is None:
                other.append(line)
            elif "weather" in said:
                self.storm.wish(self, said["weather"] == "bad")
                self.answer()
            elif "elsewhere" in said:
                self.is_over.set()
            elif "replicas" in said:
                self.replicas = (said["status"], said["seconds"], said["replicas"])
            elif "failed" in said:
                lines = said["failed"]
                for transcript in said["transcripts"]:
                    lines += ["---- " + transcript[0], *transcript[-30:]]
                self.failure = "\n".join(lines)
            else:
                self.rounds += 1
                self.acts += sum(said["acts"].values())
        if self.storm:
            self.storm.wish(self, True)
        if self.process.wait() != 0 and not self.failure:
            self.failure = "".join(other[-30:]) or f"exit status {self.process.returncode}"
        self.is_over.set()

    def answer(self):
        self.process.stdin.write("so be it\n")
        self.process.stdin.flush()

    def end(self, limit_s):
        self.thread.join(limit_s)
        if self.thread.is_alive():
            self.process.kill()
            self.thread.join()
            self.failure = self.failure or "hangs"


def stress(instance, args, cloud=None):
    began = time.monotonic()
    storm = Storm({"s3": cloud.s3, "cql": cloud.cql}, args.seed, PROCESSES) if cloud else None
    loads = [LoadProcess(instance, index, args, storm=storm) for index in range(PROCESSES)]
    try:
        if cloud:
            look_from_elsewhere(cloud, loads, args.seconds * 3 + 240)
        for load in loads:
            load.end(args.seconds * 3 + 240)
            text = f"seed {args.seed}\n{load.failure}" if load.failure else f"{load.rounds} rounds, {load.acts} acts"
            tell(load.name, "fail" if load.failure else "ok", time.monotonic() - began, text)
            if load.replicas:
                tell("replicas", *load.replicas)
    finally:
        for load in loads:
            load.process.kill()
        if storm:
            tell("storm", "ok", time.monotonic() - began, storm.end())


def look_from_elsewhere(cloud, loads, limit_s):
    """When all loads are at rest."""
    deadline = time.monotonic() + limit_s
    if not all(load.is_over.wait(deadline - time.monotonic()) for load in loads):
        return
    began = time.monotonic()
    users = [cloud.instance.user(number) for number in range(1, 1 + PROCESSES * USERS_EACH)]
    problems = differences(cloud.instance, *users)
    cloud.instance.stop()
    cloud.lose_local_state()
    cloud.instance.start()
    for load in loads:
        if load.process.poll() is None:
            load.answer()
    tell("local-state", "fail" if problems else "ok", time.monotonic() - began, "\n".join(problems))


def control(instance, args):
    """Sessions that miss a response now and then must be found out; else the comparison is blind."""
    began = time.monotonic()
    load = LoadProcess(instance, PROCESSES, args, "--deaf-every", "25", "--seconds", "4", "--round-seconds", "4")
    load.end(120)
    first = load.failure.splitlines()[0] if load.failure else "nothing was noticed: the test is blind"
    is_found = load.failure and "UNAVAILABLE" not in first  # a refusal would be no finding
    tell("control-misses-responses", "ok" if is_found else "fail", time.monotonic() - began, first)


def end_cleanly(instance):
    began = time.monotonic()
    problems = []
    try:
        instance.stop()
    except Exception as e:
        problems.append(str(e))
    problems += instance.problems()
    problems += [line for line in instance.log_text().splitlines() if "killed with signal" in line]
    tell("clean-end", "fail" if problems else "ok", time.monotonic() - began, "\n".join(problems[:40]))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--sessions", type=int, default=5, help="of each of the ten users")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--build", type=pathlib.Path, default=TESTS.parent / "build")
    parser.add_argument("--all-in-one", action="store_true")
    parser.add_argument("--storage", choices=list(PAIRS), default="local")
    parser.add_argument("--storm", action="store_true")
    parser.add_argument("--keep", type=pathlib.Path, help="an empty folder for all dialogues and the server's logs")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    make = functools.partial(Instance.create, build=args.build, is_all_in_one=args.all_in_one)
    try:
        cloud = Cloud(make, CONFIG + QUICK, users=20) if args.storm else None
        instance = cloud.instance if cloud else make(users=20, config=CONFIG, storage=Storage(args.storage))
    except Skip as e:
        tell("start", "skip", 0, str(e))
        return
    except Exception as e:
        tell("start", "fail", 0, str(e))
        return
    try:
        stress(instance, args, cloud)
        if cloud:
            time.sleep(BACK_WITHIN_S)
        control(instance, args)
        end_cleanly(instance)
    finally:
        if args.keep:
            shutil.copytree(instance.dir / "log", args.keep / "log")
        instance.destroy()


if __name__ == "__main__":
    main()
