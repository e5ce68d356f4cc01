# SPDX-License-Identifier: Apache-2.0
"""Large mails, whose bytes are copied in steps, while others delete them, the cache loses them, and clients leave
in the middle."""

import base64
import concurrent.futures
import random
import socket
import struct
import time

from faults.clouds_kit import QUICK, Cloud
from kit import mails
from kit.imap import Literal
from kit.waiting import wait_for_success

FORMS = ("roles", "all-in-one")
STORAGES = ("s3-cql",)
OWN_INSTANCE = True
COUNT = 6
SIZE = 7 << 20  # above what compression and encryption do on the spot, many steps
ROUNDS = 8


def large(number):
    text = base64.encodebytes(random.Random(number).randbytes(SIZE * 3 // 4)).replace(b"\n", b"\r\n")
    return mails.small(f"large {number}") + text


def cut_off(client):
    """The client is gone at once, with all that is under way."""
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def leave_in_the_middle(instance, user, rng, *command):
    client = instance.imap(user)
    client.select()
    client.send(b"x " + b" ".join(command) + b"\r\n")
    time.sleep(rng.uniform(0, 0.25))
    cut_off(client)


def read_whole(instance, user, bodies, rng):
    """What comes is one of the mails, whole; that it is gone may be said instead."""
    with instance.imap(user) as client:
        client.select()
        reply = client.run(f"FETCH {rng.randint(1, COUNT)} BODY.PEEK[]")
        assert reply.status in ("OK", "NO", "BAD"), reply
        for line in reply.lines:
            if line[1:2] == [b"FETCH"] and isinstance(line[2][-1], (bytes, Literal)):
                assert bytes(line[2][-1]) in bodies, "a mail has other bytes"


def replace_one(instance, user, bodies, rng):
    """The oldest goes, another copy comes, and an APPEND breaks off."""
    with instance.imap(user) as client:
        client.select()
        client.run(r"STORE 1 +FLAGS.SILENT (\Deleted)")
        client.run("EXPUNGE")
        wait_for_success(lambda: client.append("INBOX", rng.choice(bodies)), "an APPEND")
    body = rng.choice(bodies)
    client = instance.imap(user)
    client.send(b"x APPEND INBOX {%d+}\r\n" % len(body) + body[: rng.randrange(len(body))])
    cut_off(client)


def test_nobody_sees_anything_but_whole_mails(make):
    cloud = Cloud(make, config=QUICK + "mail_worker_count = 1\nmail_max_userip_connections = 100\n", users=5)
    instance, user = cloud.instance, cloud.instance.new_user()
    bodies = [large(number) for number in range(COUNT)]
    with instance.imap(user) as client:
        for body in bodies:
            client.append("INBOX", body)
    before = instance.pids_of("mail")

    def reader(seed):
        rng = random.Random(seed)
        for _ in range(ROUNDS):
            read_whole(instance, user, bodies, rng)

    def leaver(seed):
        rng = random.Random(seed)
        for _ in range(3 * ROUNDS):
            leave_in_the_middle(instance, user, rng, b"FETCH 1:*", b"BODY.PEEK[]")

    def deleter(seed):
        rng = random.Random(seed)
        for _ in range(ROUNDS):
            replace_one(instance, user, bodies, rng)
            cloud.empty_cache()

    with concurrent.futures.ThreadPoolExecutor() as pool:
        for ending in [pool.submit(act, seed) for seed, act in enumerate((reader, reader, leaver, leaver, deleter))]:
            ending.result()
    assert instance.pids_of("mail") == before, "a worker ended"
    with instance.imap(user) as client:
        client.select()
        got = client.fetch("1:*", "BODY.PEEK[]")
        assert len(got) == COUNT and all(mail["BODY[]"] in bodies for mail in got.values())
