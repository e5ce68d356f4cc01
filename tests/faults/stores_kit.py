# SPDX-License-Identifier: Apache-2.0
"""An instance whose mails are in a store behind a proxy that can be told to misbehave, with the catalog on
its host: what every kind of store must stand."""

import urllib.parse

from faults.checks import assert_has, deliver_some, refusal
from kit import mails
from kit.faultproxy import Proxy
from kit.storage import Storage, remove_below

SIZE = 3000
READS = (
    ("refuse", {"status": 503, "kinds": ["GET", "HEAD"], "limit": 2}),
    ("truncated", {"kinds": ["GET"], "limit": 1}),
    ("reset", {"kinds": ["GET"], "limit": 1}),
    ("lost_answer", {"kinds": ["GET"], "limit": 1}),
    ("slow", {"seconds": 0.5, "limit": 1}),
)
WRITES = (
    ("refuse", {"status": 503, "kinds": ["PUT"], "limit": 2}),
    ("lost_answer", {"kinds": ["PUT"], "limit": 1}),
    ("late", {"seconds": 0.2, "kinds": ["PUT"], "limit": 1}),
)


class Place:
    """`storage`: a name of kit/storage.py. `variable` says there where the server is: at `url`."""

    def __init__(self, make, storage, variable, url, config=""):
        parts = urllib.parse.urlsplit(url)
        self.proxy = Proxy("http", f"{parts.hostname}:{parts.port}").start()
        self.on_stop = []
        netloc = parts.netloc.replace(f":{parts.port}", f":{self.proxy.port}")
        env = {variable: parts._replace(netloc=netloc).geturl()}
        try:
            self.instance = make(storage=Storage(storage, env=env), config=config, users=5)
        except BaseException:
            self.proxy.stop()
            raise
        self.instance.on_destroy.append(self.proxy.stop)
        self.user = self.instance.new_user()

    def deliver(self, mark):
        saved, reply = deliver_some(self.instance, self.user, mark, 1, SIZE)
        assert saved, reply
        return saved[0]

    def has(self, client, number, mark):
        """False: it was refused for now. What is read comes from the store."""
        remove_below(self.instance.dir / "state" / "cache")
        reply = client.run(f"FETCH {number} BODY.PEEK[]")
        if reply.status != "OK":
            assert reply.code == [b"UNAVAILABLE"], reply
            return False
        (line,) = [line for line in reply.lines if line[1:2] == [b"FETCH"]]
        assert line[2][-1].endswith(mails.marked(mark, SIZE)), f"mail {number} has other bytes"
        return True


def check_faults(place, reads=(), writes=()):
    """Nothing of this is seen by clients; nothing is lost, nothing there twice."""
    marks = [place.deliver("first")]
    with place.instance.imap(place.user) as client:
        client.select()
        for fault, options in (*READS, *reads):
            with place.proxy.fault(fault, **options):
                assert place.has(client, 1, marks[0]), fault
        for number, (fault, options) in enumerate((*WRITES, *writes), 2):
            with place.proxy.fault(fault, **options):
                marks.append(place.deliver(f"mail-{number}"))
            client.do("NOOP")
            assert place.has(client, number, marks[-1]), fault
    assert_has(place.instance, place.user, marks)


def check_outage(place):
    """Temporary errors while the store is away, then all is as before."""
    first = place.deliver("first")
    with place.instance.imap(place.user) as client:
        client.select()
        with place.proxy.fault("down"):
            assert not place.has(client, 1, first)
            refusal(place.instance, place.user)
        assert place.has(client, 1, first)
    assert_has(place.instance, place.user, [first, place.deliver("after")])
