# SPDX-License-Identifier: Apache-2.0
"""Mails that are not cached are read several at a time where each is a round trip: FETCH, SEARCH."""

from faults.clouds_kit import Cloud
from kit import mails

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
