# SPDX-License-Identifier: Apache-2.0
"""Random weather between an instance and its clouds: one fault after the other, at either proxy or both,
with pauses. The seed decides which ones and how long, not what they hit."""

import random
import threading
import time

WRITES = ["EXECUTE INSERT", "EXECUTE UPDATE", "EXECUTE DELETE", "BATCH"]

# (proxy, fault, options)
WEATHER = (
    ("s3", "refuse", {"status": 503, "every": 2}),
    ("s3", "reset", {"kinds": ["GET"], "every": 2}),
    ("s3", "truncated", {"kinds": ["GET"], "every": 3}),
    ("s3", "slow", {"seconds": 0.7}),
    ("s3", "lost_answer", {"kinds": ["PUT", "DELETE", "POST"], "every": 3}),
    ("s3", "late", {"kinds": ["PUT", "DELETE"], "every": 4, "seconds": 1.5}),
    ("s3", "down", {}),
    ("cql", "refuse", {"kinds": ["EXECUTE", "BATCH"], "every": 3}),
    ("cql", "refuse", {"kinds": ["EXECUTE", "BATCH"], "code": 0x1000, "every": 2}),
    ("cql", "slow", {"seconds": 0.5}),
    ("cql", "lost_answer", {"kinds": WRITES, "every": 5}),
    ("cql", "dropped", {"kinds": WRITES, "every": 6}),
    ("cql", "late", {"kinds": WRITES, "every": 6, "seconds": 3}),
    ("cql", "down", {}),
    ("both", "down", {}),
)
LONGEST_S = 3


class Storm:
    """A thread that sets faults until end(). `proxies`: {"s3": ..., "cql": ...}. Of `parties` there is bad
    weather only while all wish for it."""

    def __init__(self, proxies, seed, parties=0):
        self.proxies = proxies
        self.rng = random.Random(f"storm-{seed}")
        self.ending = threading.Event()
        self.parties = parties
        self.for_it = set()
        self.changed = threading.Condition()
        self.is_bad = False
        self.hits = 0
        self.log = []  # when, and which fault at which proxy, for reports
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.ending.wait(self.rng.uniform(0.2, 1.5)):
            with self.changed:
                self.is_bad = len(self.for_it) >= self.parties
                if not self.is_bad:
                    continue
            place, fault, options = self.rng.choice(WEATHER)
            proxies = list(self.proxies.values()) if place == "both" else [self.proxies[place]]
            for proxy in proxies:
                proxy.set(fault, **options)
            self.log.append(f"{time.strftime('%H:%M:%S')} {place}-{fault}")
            self.last(LONGEST_S if fault == "down" else self.rng.uniform(0.3, LONGEST_S))
            with self.changed:
                for proxy in proxies:
                    self.hits += proxy.hits()
                    proxy.clear()
                self.is_bad = False
                self.changed.notify_all()

    def last(self, seconds):
        with self.changed:
            self.changed.wait_for(
                lambda: self.ending.is_set() or len(self.for_it) < self.parties, seconds)

    def wish(self, who, is_for_it):
        """Returns when no fault is set any more, if that is what is wished for."""
        with self.changed:
            (self.for_it.add if is_for_it else self.for_it.discard)(who)
            self.changed.notify_all()
            self.changed.wait_for(lambda: is_for_it or not self.is_bad)

    def end(self):
        """All is well again; what it has done."""
        self.ending.set()
        with self.changed:
            self.changed.notify_all()
        self.thread.join()
        return f"{len(self.log)} faults hit {self.hits} requests"
