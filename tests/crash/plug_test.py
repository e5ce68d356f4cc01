#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Power loss under load: everything dies, and what was not synced is gone (tests/powerloss).

Each round the instance runs with the recorder preloaded, is killed under load, loses its unsynced
writes (every second time all of them, else a random part), starts again without the recorder, and must
keep every promise of ledger.py. The last round is the control: syncs do not count, so that promises
must be broken; a test that loses nothing then is blind."""

import argparse
import functools
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import uuid

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS))

from crash.ledger import Ledger  # noqa: E402
from crash.load import Load  # noqa: E402
from kit.instance import Instance  # noqa: E402
from kit.report import tell  # noqa: E402

USER_COUNT = 4
FLAGS_LAG_S = 3  # obox_flags_journal = async: written within a second, when the disk is quick
ROUND_LIMIT_S = 180


VARIABLES = ("POWERLOSS_DIR", "POWERLOSS_STATE", "POWERLOSS_BOOT_ID", "POWERLOSS_IGNORE_SYNC")
CONFIG = "mail_worker_count = 2\nimport_environment {\n" + "".join(
    f"  {name} = %{{env:{name}}}\n" for name in VARIABLES) + "}\n"


class Recorder:
    """The journal of one instance, on the same file system, outside the watched tree."""

    def __init__(self, instance, library):
        self.tree = instance.dir / "state"
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="pombal-plug-"))
        self.dir.chmod(0o777)
        self.preload = library
        self.boot_id = pathlib.Path(f"{self.dir}.boot_id")

    def reboot(self):
        """Environment of a start without recording, on a machine that has been booted anew."""
        self.boot_id.write_text(f"{uuid.uuid4()}\n")
        return {"LD_PRELOAD": str(self.preload), "POWERLOSS_BOOT_ID": str(self.boot_id)}

    def environment(self, ignores_sync):
        values = {
            **self.reboot(),
            "POWERLOSS_DIR": str(self.tree),
            "POWERLOSS_STATE": str(self.dir),
        }
        if ignores_sync:
            values["POWERLOSS_IGNORE_SYNC"] = "1"
        return values

    def prepare(self):
        self.tool("prepare")
        # Roles of several users write it.
        journal = self.dir / "journal"
        journal.touch()
        journal.chmod(0o666)

    def restore(self, *seed):
        return self.tool("restore", *seed)

    def tool(self, action, *words):
        command = [sys.executable, TESTS / "powerloss" / "powerloss.py", action, self.tree, self.dir]
        done = subprocess.run([*command, *words], capture_output=True, text=True, timeout=120)
        if done.returncode != 0:
            raise RuntimeError(f"powerloss.py {action}: {done.stderr}")
        return done.stdout.strip()

    def remove(self):
        shutil.rmtree(self.dir, ignore_errors=True)
        self.boot_id.unlink(missing_ok=True)


def check_all(instance, ledgers, rng):
    broken = []
    for ledger in ledgers:
        broken += ledger.check(functools.partial(instance.imap, ledger.user), rng)
    return broken


def run_round(instance, recorder, ledgers, rng, number, is_control):
    """(broken promises, what the power loss took)"""
    instance.stop()
    recorder.prepare()
    instance.environment = recorder.environment(is_control)
    instance.start()
    load = Load(instance, ledgers, seed=f"p{number}x{rng.randrange(1 << 30):x}")
    time.sleep(rng.uniform(1.0, 2.0 + 2 * FLAGS_LAG_S))
    for ledger in ledgers:
        ledger.crashed_at = time.monotonic()
    instance.kill()
    broken = load.stop()
    seed = [] if is_control or number % 2 else [str(rng.randrange(1 << 30))]
    undone = recorder.restore(*seed)
    instance.environment = recorder.reboot()
    try:
        instance.start()
        broken += check_all(instance, ledgers, rng)
    except Exception as e:
        if not is_control:
            raise
        broken.append(f"not even opened: {e}")
    return broken, undone


def run_rounds(instance, recorder, rng, rounds):
    ledgers = [Ledger(instance.new_user(), FLAGS_LAG_S) for _ in range(USER_COUNT)]
    for ledger in ledgers:  # so that everyone's mailboxes exist before the first power loss
        with instance.imap(ledger.user) as client:
            client.do("CREATE Kept")
    assert not check_all(instance, ledgers, rng)

    def too_late(*_):
        raise TimeoutError(f"the round took more than {ROUND_LIMIT_S} s")

    signal.signal(signal.SIGALRM, too_late)
    for number in range(1, rounds + 2):
        is_control = number > rounds
        name = "control-without-sync" if is_control else f"round-{number}"
        began = time.monotonic()
        signal.alarm(ROUND_LIMIT_S)
        try:
            broken, undone = run_round(instance, recorder, ledgers, rng, number, is_control)
        except Exception as e:
            broken, undone = [f"{type(e).__name__}: {e}\n{traceback.format_exc(limit=-4)}"], ""
            is_control = False
        signal.alarm(0)
        took = time.monotonic() - began
        mails = sum(ledger.count() for ledger in ledgers)
        if not mails:
            broken, is_control = ["the load did nothing"], False
        if bool(broken) != is_control:
            what = "\n".join(broken[:30]) or "nothing was lost although no sync counted: the test is blind"
            tell(name, "fail", took, f"{undone}, {mails} mails\n{what}")
            return 1
        tell(name, "ok", took, f"{undone}, {mails} mails, {len(broken)} promises broken")
    return 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--build", type=pathlib.Path, default=TESTS.parent / "build")
    args = parser.parse_args()
    library = args.build / "tests" / "powerloss" / "powerloss.so"
    if not library.exists():
        tell("recorder", "fail", 0, f"{library} is not built")
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    os.umask(0o022)
    try:
        instance = Instance.create(build=args.build, users=50, config=CONFIG)
    except Exception as e:
        tell("start", "fail", 0, str(e))
        return 1
    recorder = Recorder(instance, library.resolve())
    try:
        return run_rounds(instance, recorder, random.Random(args.seed), args.rounds)
    finally:
        instance.destroy()
        recorder.remove()


if __name__ == "__main__":
    sys.exit(main())
