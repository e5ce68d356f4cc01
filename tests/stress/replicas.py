# SPDX-License-Identifier: Apache-2.0
"""Two mbsync replicas that follow a user under stress, and change his mail too."""

import random
import threading
from collections import Counter

from kit import mails
from kit.mbsync import Replica, server_contents, subject_of
from stress.actor import STABLE


class Replicas:
    """A thread that synchronises and changes two Maildirs of one user, except while paused."""

    def __init__(self, instance, ledger, seed, may_be_refused):
        self.instance = instance
        self.ledger = ledger
        self.user = ledger.user
        self.rng = random.Random(f"{seed}-replicas")
        self.removed = Counter()  # (mailbox, subject): what they expunged
        self.replicas = [Replica(instance, ledger.user, " ".join(STABLE)) for _ in range(2)]
        self.stopping = threading.Event()
        self.may_be_refused = may_be_refused  # mbsync does not try again what a server refused
        self.rounds = self.failures = 0
        self.may_run = threading.Lock()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        number = 0
        while not self.stopping.wait(0.2):
            for replica in self.replicas:
                number += 1
                with self.may_run:
                    # Mails may go while it works on them; what counts is the end.
                    self.failures += replica.run().returncode != 0
                self.change(replica, number)
            self.rounds += 1

    def pause(self):
        """Returns when no mbsync runs; until resume() none will."""
        self.may_run.acquire()

    def resume(self):
        self.may_run.release()

    def change(self, replica, number):
        for name in STABLE:
            files = replica.files(name)
            if files:
                replica.set_flags(self.rng.choice(files), self.rng.choice(("S", "FS", "F", "RS", "")))
            if len(files) > 5 and self.rng.random() < 0.3:
                path = self.rng.choice(replica.files(name))
                self.removed[name, subject_of(path.read_bytes())] += 1
                path.unlink()
        replica.add("INBOX", mails.small(f"r{number}.{replica.dir.name}~"), number)

    def converge(self):
        """After all is quiet: the replicas and the server must hold the same; what was done."""
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
                here, there = Counter(have[name]), Counter(truth[name])
                extra, missing = here - there, there - here
                is_same = all(self.is_refused(replica, entry) for entry in extra)
                is_same = is_same and all(self.is_revived(name, entry, n) for entry, n in missing.items())
                assert is_same, difference(name, have[name], truth[name])
        return f"{self.rounds} rounds, {self.failures} disturbed, {sum(map(len, truth.values()))} mails"

    def is_refused(self, replica, entry):
        """It is there alone, and began there."""
        return self.may_be_refused and entry[0].endswith(f".{replica.dir.name}~")

    def is_revived(self, name, entry, count):
        """It had \\Deleted, by a replica or by another session; a session set other flags instead between
        mbsync's FETCH and its CLOSE, which left the mail; mbsync has forgotten it."""
        return entry[0] in self.ledger.doomed_ids or count <= self.removed[name, entry[0]]

    def remove(self):
        self.stopping.set()
        for replica in self.replicas:
            replica.remove()


def difference(name, have, truth):
    here, there = (sorted((Counter(x) - Counter(y)).elements())[:10] for x, y in ((have, truth), (truth, have)))
    return f"{name}: {len(have)} mails, the server has {len(truth)}; only here: {here}, only there: {there}"
