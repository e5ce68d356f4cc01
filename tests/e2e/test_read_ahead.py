# SPDX-License-Identifier: Apache-2.0
"""Mails that are not cached are read several at a time where each is a round trip: FETCH, SEARCH."""

import base64
import concurrent.futures
import random

from faults.clouds_kit import Cloud
from kit import mails
from kit.waiting import wait_for_success

FORMS = ("roles",)
STORAGES = ("s3-cql",)
OWN_INSTANCE = True
COUNT = 40
LATENCY_S = 0.2


def filled(make, config=""):
    """(cloud, user); his mails are in the store alone, and each answer of it comes late."""
    cloud = Cloud(make, config=config, users=5)
    user = cloud.instance.new_user()
    with cloud.instance.lmtp() as client:
        for number in range(COUNT):
            client.deliver(mails.small(f"mail {number}", body=f"word{number}.\r\n" * 500), user)
    cloud.instance.stop()
    cloud.empty_cache()
    cloud.instance.start()
    cloud.s3.set("slow", seconds=LATENCY_S, kinds=["GET mails"])
    return cloud, user


def selected(cloud, user):
    client = cloud.instance.imap(user)
    client.select()
    cloud.s3.reset()
    return client


def test_bodies_are_fetched_many_at_a_time(make):
    cloud, user = filled(make)
    with selected(cloud, user) as client:
        client.fetch("1:*", "(ENVELOPE BODYSTRUCTURE BODY.PEEK[HEADER.FIELDS (SUBJECT FROM DATE)])")
        assert cloud.s3.counts().get("GET mails", 0) == 0, "what summaries say took bodies"
        client.fetch("7", "BODY.PEEK[]")
        assert cloud.s3.counts()["GET mails"] == 1, "a single mail brings no others"
        cloud.s3.reset()
        got = client.fetch("1:*", "BODY.PEEK[]")
        assert all(f"word{n - 1}.".encode() in got[n]["BODY[]"] for n in range(1, COUNT + 1))
        counts = cloud.s3.counts()
        assert counts["GET mails"] == COUNT - 1 and counts["at once"] >= 5, counts


def test_single_mails_in_a_row_bring_the_next_ones(make):
    """A client that fetches one mail by each command: from the third on the next ones are on their way."""
    cloud, user = filled(make)
    with selected(cloud, user) as client:
        for number in range(1, COUNT + 1):
            assert f"word{number - 1}.".encode() in client.fetch(str(number), "BODY.PEEK[]")[number]["BODY[]"]
            counts = cloud.s3.counts()
            asked = max(number, min(number + 10, COUNT) if number >= 3 else 0)
            assert counts["GET mails"] <= asked, (number, counts)
        assert counts["GET mails"] == COUNT and counts["at once"] >= 5, counts


def test_other_commands_end_the_row(make):
    cloud, user = filled(make)
    with selected(cloud, user) as client:
        for number in range(1, 7):
            client.fetch(str(number), "BODY.PEEK[]")
            client.search("ALL")
        for number in range(20, 8, -2):  # nor is there one backwards
            client.fetch(str(number), "BODY.PEEK[]")
        counts = cloud.s3.counts()
        assert counts["GET mails"] == 12 and counts["at once"] == 1, counts


def test_one_after_the_other_if_so_set(make):
    cloud, user = filled(make, "mail_prefetch_count = 0\n")
    with selected(cloud, user) as client:
        assert len(client.fetch("1:8", "BODY.PEEK[]")) == 8
        counts = cloud.s3.counts()
        assert counts["GET mails"] == 8 and counts["at once"] == 1, counts


def test_texts_are_searched_many_at_a_time(make):
    cloud, user = filled(make)
    with selected(cloud, user) as client:
        assert client.search("BODY word7.") == [8]
        counts = cloud.s3.counts()
        assert counts["GET mails"] == COUNT and counts["at once"] >= 5, counts


def test_a_mail_that_cannot_be_read_is_told_alone(make):
    """What fails ahead of its turn is read again in its turn."""
    cloud, user = filled(make, "imap_fetch_failure = no-after\n")
    cloud.s3.clear()
    with selected(cloud, user) as client:
        with cloud.s3.fault("refuse", kinds=["GET mails"], status=503, every=4):
            got = client.fetch("1:*", "BODY.PEEK[]")
        assert len(got) == COUNT


def incompressible(seed, size):
    text = base64.encodebytes(random.Random(seed).randbytes(size * 3 // 4)).replace(b"\n", b"\r\n")
    return mails.small(f"large {seed}") + text


def test_large_mails_of_many_sessions_are_read_in_turns(make):
    """All at once they are more than the process may hold: who must wait waits, nobody is cut off."""
    count, large = 10, 12 << 20
    cloud = Cloud(make, config="mail_worker_count = 1\nservice imap {\n  vsz_limit = 200M\n}\n", users=2 * count)
    users = [cloud.instance.new_user() for _ in range(count)]
    clients = []
    for number, user in enumerate(users):
        clients.append(cloud.instance.imap(user))
        clients[-1].append("INBOX", incompressible(number, large))
        clients[-1].select()
    before = cloud.instance.pids_of("mail")
    cloud.s3.set("slow", seconds=LATENCY_S, kinds=["GET mails"])

    def body(client):  # refused while others take theirs: tried again
        return wait_for_success(lambda: client.fetch("1", "BODY.PEEK[]"), "a large mail")[1]["BODY[]"]

    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        got = list(pool.map(body, clients))
    assert all(got[number] == incompressible(number, large) for number in range(count))
    assert cloud.instance.pids_of("mail") == before, "a worker ended"
    for client in clients:
        client.close()


def test_a_mail_as_large_as_an_upload_in_parts(make):
    """Sent in parts, given back as it was; its ranges too."""
    cloud = Cloud(make, config="fs_s3_multipart_size = 5M\n", users=5)
    mail = incompressible(1, 76 << 20)
    with cloud.instance.imap(cloud.instance.new_user()) as client:
        client.append("INBOX", mail)
        assert cloud.s3.counts()["PUT mails"] >= 10 and cloud.s3.counts()["POST"] == 2, cloud.s3.counts()
        client.select()
        assert client.fetch("1", "BODY.PEEK[]")[1]["BODY[]"] == mail
        assert client.fetch("1", "BODY.PEEK[]<70000000.1000>")[1]["BODY[]<70000000>"] == mail[70000000:70001000]
