# SPDX-License-Identifier: Apache-2.0
"""An instance whose mails are in a RING behind an emulated sproxyd, and what goes wrong between."""

import re

from faults.checks import assert_has, deliver_some, refusal
from kit import mails
from kit.faultproxy import Proxy
from kit.sproxyd import Sproxyd
from kit.storage import Storage, remove_below

OWN_INSTANCE = True
STORAGES = ("local",)
TIMEOUT_S = 120

QUICK = """
imap_fetch_failure = no-after
fs_sproxyd {
  http_client_request_timeout = 2s
  http_client_connect_timeout = 1s
}
"""
MAIL = 0x01
SIZE = 3000


class Ring:
    """The emulator, a proxy before it, and an instance."""

    def __init__(self, make, config=""):
        self.sproxyd = Sproxyd().start()
        self.proxy = Proxy("http", f"127.0.0.1:{self.sproxyd.port}").start()
        try:
            url = self.sproxyd.url.replace(str(self.sproxyd.port), str(self.proxy.port))
            env = {"POMBAL_TEST_SPROXYD": url, "POMBAL_TEST_CA": ""}
            storage = Storage("sproxyd-sqlite", env=env)
            self.instance = make(storage=storage, config=QUICK + config, users=5)
        except BaseException:
            self.stop()
            raise
        self.instance.on_destroy.append(self.stop)
        self.user = self.instance.new_user()

    def stop(self):
        self.proxy.stop()
        self.sproxyd.stop()

    def deliver(self, mark):
        saved, reply = deliver_some(self.instance, self.user, mark, 1, SIZE)
        assert saved, reply
        return saved[0]

    def forget(self):
        """What is read next comes from the RING."""
        remove_below(self.instance.dir / "state" / "cache")

    def has(self, client, number, mark):
        self.forget()
        reply = client.run(f"FETCH {number} BODY.PEEK[]")
        if reply.status != "OK":
            assert reply.code == [b"UNAVAILABLE"], reply
            return False
        (line,) = [line for line in reply.lines if line[1:2] == [b"FETCH"]]
        assert line[2][-1].endswith(mails.marked(mark, SIZE)), f"mail {number} has other bytes"
        return True


def test_mails_are_objects_with_keys_of_the_ring(make):
    ring = Ring(make, config="fs_sproxyd_class = 1\n")
    first, second = ring.deliver("first"), ring.deliver("second")
    with ring.instance.imap(ring.user) as client:
        client.select()
        assert ring.has(client, 1, first) and ring.has(client, 2, second)
    found = [name.rpartition("/")[2] for name in ring.sproxyd.objects]
    kinds = []
    for key in found:
        assert re.fullmatch(r"[0-9a-f]{30}83[0-9a-f]{4}0010", key), key
        kinds.append(int(key[34:36], 16))
    assert kinds.count(MAIL) >= 2, found
    for name, (body, meta, _) in ring.sproxyd.objects.items():
        if name[-6:-4] == "01":
            assert b"first" not in body and b"second" not in body, "it lies there in plain text"
    ring.instance.stop()


def test_refusals_and_broken_answers_are_asked_again(make):
    ring = Ring(make)
    first = ring.deliver("first")
    marks = [first]
    with ring.instance.imap(ring.user) as client:
        client.select()
        for fault, options in (
            ("refuse", {"status": 503, "kinds": ["GET", "HEAD"], "limit": 2}),
            ("refuse", {"status": 423, "kinds": ["GET", "HEAD"], "limit": 2}),
            ("truncated", {"kinds": ["GET"], "limit": 1}),
            ("reset", {"kinds": ["GET"], "limit": 1}),
            ("slow", {"seconds": 0.5, "limit": 1}),
        ):
            with ring.proxy.fault(fault, **options):
                assert ring.has(client, 1, first), fault
        for number, (fault, options) in enumerate((
            ("refuse", {"status": 503, "kinds": ["PUT"], "limit": 2}),
            ("refuse", {"status": 423, "kinds": ["PUT"], "limit": 2}),
            ("lost_answer", {"kinds": ["PUT"], "limit": 1}),
        ), 2):
            with ring.proxy.fault(fault, **options):
                mark = ring.deliver(f"mail-{number}")
            client.do("NOOP")
            assert ring.has(client, number, mark), fault
            marks.append(mark)
    assert_has(ring.instance, ring.user, marks)
    ring.instance.stop()


def test_ring_that_is_gone_comes_back(make):
    ring = Ring(make)
    first = ring.deliver("first")
    with ring.instance.imap(ring.user) as client:
        client.select()
        with ring.proxy.fault("down"):
            assert not ring.has(client, 1, first)
            refusal(ring.instance, ring.user)
        assert ring.has(client, 1, first)
    assert_has(ring.instance, ring.user, [first, ring.deliver("after")])
    ring.instance.stop()
