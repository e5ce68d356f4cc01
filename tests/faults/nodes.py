# SPDX-License-Identifier: Apache-2.0
"""A Cassandra of three nodes of which some end or stand still: part of `clouds.py --long`.

With one node gone all goes on: every delivery and every login meanwhile works, and none takes long. With
two gone the quorum is lost: clients are told "not now", soon. Then all comes back by itself."""

import signal
import tempfile
import threading
import time

from kit import mails
from kit.cassandra import Cluster
from kit.imap import ConnectionEnded, ImapError
from kit.lmtp import LmtpEnded, LmtpError

OUTAGE_S = 20
# A few requests follow each other, each may meet the lost node first and wait for the retry interval of
# the preset (0.5 s); a loaded machine needs the rest.
GOES_ON_WITHIN_S = 5
# Nodes that live tell of a lost quorum after their own limits (2 s for writes, 5 s for reads), twice at most.
TOLD_WITHIN_S = 20

# Name: (how many nodes go, do they end or stand still)
NODE_FAULTS = {
    "node-down": (1, "end"),
    "node-frozen": (1, "freeze"),
    "quorum-down": (2, "end"),
    "quorum-frozen": (2, "freeze"),
    "all-down": (3, "end"),
}


class Probe:
    """One user's delivery and login after the other: how long each took, and what was refused."""

    def __init__(self, instance, user):
        self.instance, self.user = instance, user
        self.stopping = threading.Event()
        self.taken, self.refused = [], []  # seconds; (seconds, text)
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        while not self.stopping.wait(0.1):
            for what in (self._deliver, self._look):
                self._measure(what)

    def _measure(self, what):
        began = time.monotonic()
        try:
            what()
        except (ConnectionEnded, ImapError, LmtpEnded, LmtpError, OSError) as e:
            self.refused.append((time.monotonic() - began, f"{what.__name__}: {e}"))
        else:
            self.taken.append(time.monotonic() - began)

    def _deliver(self):
        (reply,) = self.instance.deliver(mails.marked(f"probe.{time.monotonic_ns()}~"), self.user)
        if reply.code != 250:
            raise OSError(str(reply))

    def _look(self):
        with self.instance.imap(self.user, timeout=70) as client:
            client.select()

    def stop(self):
        self.stopping.set()
        self.thread.join(100)
        longest = max([*self.taken, *(took for took, _ in self.refused)], default=0)
        return f"{len(self.taken)} done, {len(self.refused)} refused, longest {longest:.1f} s"

    def problems(self, is_served):
        """What an outage with, or without, a quorum must not do to clients."""
        limit = GOES_ON_WITHIN_S if is_served else TOLD_WITHIN_S
        slow = [took for took in [*self.taken, *(took for took, _ in self.refused)] if took > limit]
        out = [f"clients waited {max(slow):.1f} s, more than {limit} s, {len(slow)} times"] if slow else []
        if is_served and self.refused:
            out.append(f"{len(self.refused)} refused though there is a quorum: {self.refused[:3]}")
        if not is_served and not self.refused:
            out.append("nothing was refused: this round is blind")
        return out


def run_nodes(rounds, cloud_for, word):
    """The rounds of NODE_FAULTS whose names have `word`."""
    names = [name for name in NODE_FAULTS if word in name]
    if not names:
        return
    with tempfile.TemporaryDirectory(prefix="pombal-nodes-") as folder:
        cluster = Cluster(folder, nodes=3, heap_mb=768)
        try:
            cluster.start()
            with cloud_for(rounds.args, "", cluster) as cloud:
                ledgers = rounds.prepare(cloud)
                for name in names:
                    note = []
                    if not rounds.run(cloud, ledgers, name, node_fault(cloud, cluster, name, note), note):
                        ledgers = rounds.prepare(cloud)
                rounds.finish(cloud, "nodes-clean-end")
        finally:
            cluster.stop()


def node_fault(cloud, cluster, name, note):
    count, how = NODE_FAULTS[name]
    hosts = cluster.hosts[-count:]

    def misbehave(load):
        user = cloud.instance.new_user()
        cloud.instance.deliver(mails.marked("first~"), user)
        for host in hosts:
            take_away(cluster, host, how)
        probe = Probe(cloud.instance, user)
        load.stopping.wait(OUTAGE_S)
        note.append(probe.stop())
        load.problems += probe.problems(is_served=count == 1)
        for host in hosts:
            bring_back(cluster, host, how)
        return count

    return misbehave


def take_away(cluster, host, how):
    if how == "end":
        cluster.nodes[host].kill()
    else:
        cluster.nodes[host].signal(signal.SIGSTOP)


def bring_back(cluster, host, how):
    if how == "end":
        cluster.start_node(host)
    else:
        cluster.nodes[host].signal(signal.SIGCONT)
