#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Objects and catalog under power loss: what was acknowledged is there; the controls lose something.

    store_test.py POWERLOSS.SO STORE_PROBE [ROUNDS]
"""
import os
import random
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))


class Rig:
    def __init__(self, library, probe, directory, objects, catalog):
        self.preload, self.probe = library, probe
        self.root, self.state = os.path.join(directory, "root"), os.path.join(directory, "state")
        os.mkdir(self.root)
        self.stores = [objects.format(self.root), catalog.format(self.root)]
        self.acknowledged = []
        self.tool("prepare")

    def tool(self, *words):
        command = [sys.executable, os.path.join(HERE, "powerloss.py"), words[0], self.root, self.state]
        subprocess.run(command + list(words[1:]), check=True, stdout=subprocess.DEVNULL)

    def write_and_kill(self, seconds, first, **environment):
        env = dict(os.environ, LD_PRELOAD=self.preload, POWERLOSS_DIR=self.root,
                   POWERLOSS_STATE=self.state, **environment)
        with tempfile.TemporaryFile() as output:
            child = subprocess.Popen([self.probe, "write", *self.stores, str(first)],
                                     env=env, stdout=output)
            time.sleep(seconds)
            if child.poll() is not None:
                raise SystemExit("store_probe ended by itself")
            child.kill()
            child.wait()
            output.seek(0)
            # A number whose line was cut short was not acknowledged.
            self.acknowledged += [n.decode() for n in output.read().split(b"\n")[:-1]]

    def lost(self):
        done = subprocess.run([self.probe, "check", *self.stores], text=True, check=False,
                              input="\n".join(self.acknowledged), capture_output=True)
        if done.returncode:  # not even opened
            return [done.stderr.strip()]
        return done.stdout.split()


def run(library, probe, objects, catalog, rounds, rng, **environment):
    """Returns (acknowledged, lost)."""
    with tempfile.TemporaryDirectory() as directory:
        rig = Rig(library, probe, directory, objects, catalog)
        for number in range(rounds):
            rig.write_and_kill(rng.uniform(0.1, 0.6), number * 1000000, **environment)
            seed = [] if number % 2 == 0 else [str(rng.randrange(1 << 30))]
            rig.tool("restore", *seed)
            lost = rig.lost()
            if lost:
                return len(rig.acknowledged), lost
        return len(rig.acknowledged), []


def main(argv):
    if len(argv) < 3:
        raise SystemExit(__doc__)
    library, probe = map(os.path.abspath, argv[1:3])
    rounds = int(argv[3]) if len(argv) > 3 else 4
    seed = random.SystemRandom().randrange(1 << 30)
    print(f"seed {seed}")
    rng = random.Random(seed)
    good = "compress(zstd):posix({}/objects)", "sqlite({}/catalog,2)"
    failed = False
    for name, stores, must_lose, environment in [
        ("synced", good, False, {}),
        ("synced, each object by itself", ("posix({}/objects,nojournal)", good[1]), False, {}),
        ("synced, small journals", ("posix({}/objects,journal=20000)", good[1]), False, {}),
        ("synced, named files", ("posix({}/objects,named)", good[1]), False, {}),
        ("control: syncs do not count", good, True, {"POWERLOSS_IGNORE_SYNC": "1"}),
        ("control: objects without fsync", ("posix({}/objects,nosync)", good[1]), True, {}),
        ("control: catalog without fsync", (good[0], "sqlite({}/catalog,2,off)"), True, {}),
    ]:
        saved, lost = run(library, probe, *stores, 1 if must_lose else rounds, rng, **environment)
        ok = saved > 0 and bool(lost) == must_lose
        failed |= not ok
        print(f"{'ok  ' if ok else 'FAIL'} {name}: {saved} acknowledged, {len(lost)} lost {lost[:3]}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
