# SPDX-License-Identifier: Apache-2.0
"""What a user costs where he has never been, and where he is at home: requests to S3 and Cassandra, counted
by the proxies between."""

import os
import time

from faults.clouds_kit import QUICK
from kit.imap import Literal
from kit import mails
from takeover.backends import (
    CLOSED_S, Picture, assert_follows, assert_verified, backends, deliver, end, fill, log_in, look, requests,
    reset_counts, start,
)

OWN_INSTANCE = True
FORMS = ("roles",)
STORAGES = ("s3-cql",)
TIMEOUT_S = 900
MAILS = 20
MANY_NAMES = 2_500  # of which GUIDs alone have 40 kB
LARGE = 50_000 if os.environ.get("POMBAL_TEST_LONG") else 3_000


def wake(cloud):
    """Every worker has served somebody: what a process does once is done."""
    for number in range(6):  # users of nobody else
        cloud.instance.imap(cloud.instance.user(cloud.instance.user_count - number)).close()


def counted(cloud, act):
    """(what `act()` gives, requests to S3, requests to Cassandra)"""
    reset_counts(cloud)
    got = act()
    return got, *requests(cloud)


def reads(kinds):
    return {kind: n for kind, n in kinds.items() if kind.startswith(("GET", "HEAD", "EXECUTE SELECT"))}


def writes(kinds):
    return {kind: n for kind, n in kinds.items() if kind not in reads(kinds)}


def test_warm_delivery(make):
    """One object, one row, and nothing is read."""
    a, _, user, _ = start(make, config=QUICK)
    with log_in(a.instance, user) as client:
        client.select()
        deliver(a, user, "first", 1)
        _, s3, cql = counted(a, lambda: deliver(a, user, "warm", MAILS))
        assert s3 == {"PUT mails": MAILS}, s3
        assert not reads(cql) and sum(cql.values()) == MAILS, cql
    end(a)


def test_delivery_to_a_user_without_sessions(make):
    """He is opened for it and closed again: a head is written at either end, and his heads are read to know
    him and once more behind the first head, since another backend may have come at the same moment."""
    a, _, user, _ = start(make, config=QUICK)
    time.sleep(CLOSED_S)

    def deliver_and_let_go():
        deliver(a, user, "lonely", 1)
        time.sleep(CLOSED_S)

    _, s3, cql = counted(a, deliver_and_let_go)
    assert s3 == {"PUT mails": 1}, s3
    assert set(reads(cql)) == {"EXECUTE SELECT user_heads"} and sum(reads(cql).values()) <= 2, cql
    assert sum(writes(cql).values()) <= 3, cql
    end(a)


def test_cold_login(make):
    """One query, and nothing is written."""
    a, b, user, _ = start(make)
    a.instance.stop()
    wake(b)
    time.sleep(CLOSED_S)
    names, s3, cql = counted(b, lambda: list_names(b, user))
    assert "Kept" in names
    assert sum(s3.values()) <= 1 and not writes(s3), s3
    assert cql == {"EXECUTE SELECT user_heads": 1}, cql
    time.sleep(CLOSED_S)
    _, s3, cql = counted(b, lambda: list_names(b, user))
    assert not s3 and sum(cql.values()) <= 1, (s3, cql)
    end(b)


def list_names(cloud, user):
    with log_in(cloud.instance, user) as client:
        return client.list_names()


def test_cold_login_after_changes_of_names(make):
    """Whoever closes the user leaves nothing for others to read in the journal."""
    a, b, user, _ = start(make)
    wake(b)
    for number, cloud in enumerate((a, b, a)):
        with log_in(cloud.instance, user) as client:
            client.do(f"CREATE more-{number}")
            client.do(f"SUBSCRIBE more-{number}")
        time.sleep(CLOSED_S)
    names, s3, cql = counted(b, lambda: list_names(b, user))
    assert {"more-0", "more-1", "more-2"} <= set(names), names
    assert cql == {"EXECUTE SELECT user_heads": 1} and not s3, (s3, cql)
    end(a, b)


def test_cold_login_with_thousands_of_names(make):
    """They are an object, which the heads name: one GET, and the journal of names is not read."""
    a, b, user, _ = start(make)
    wake(b)
    with log_in(a.instance, user, timeout=600) as client:
        for first in range(0, MANY_NAMES, 100):
            tags = [client.start(f"CREATE many/{number}") for number in range(first, first + 100)]
            assert all(client.read_reply(tag).status == "OK" for tag in tags)
    time.sleep(CLOSED_S)
    names, s3, cql = counted(b, lambda: list_names(b, user))
    assert {f"many/{number}" for number in range(MANY_NAMES)} <= set(names), len(names)
    assert cql == {"EXECUTE SELECT user_heads": 1} and s3 == {"GET idx": 1}, (s3, cql)
    end(a, b)


def test_cold_inbox(make):
    """Heads, and what no base holds; a base if there is one. A large mailbox costs no more."""
    a, b = backends(make, config=QUICK)
    wake(b)
    for count in (10, LARGE):
        user = a.instance.new_user()
        with log_in(a.instance, user, timeout=600) as client:
            fill(client, count)
            before = Picture(client)
        time.sleep(CLOSED_S)
        a.instance.stop()
        with log_in(b.instance, user) as client:
            reset_counts(b)
        time.sleep(CLOSED_S)
        selected, s3, cql = counted(b, lambda: select(b, user))
        assert selected.exists == count
        assert sum(s3.values()) <= 1 and not writes(s3), (count, s3)
        assert sum(cql.values()) <= 2 and not writes(cql), (count, cql)
        assert_follows(look(b, user), before, is_equal=True)
        assert_verified(b, user)
        a.instance.start()
    end(a, b)


def select(cloud, user):
    with log_in(cloud.instance, user) as client:
        return client.select()


def test_warm_login(make):
    """Nothing at all while the user is open."""
    a, _, user, _ = start(make, config=QUICK)
    with log_in(a.instance, user) as client:
        client.select()
        selected, s3, cql = counted(a, lambda: select(a, user))
        assert selected.exists == 5 and not s3 and not cql, (s3, cql)
    end(a)


def test_append_and_flags(make):
    """An APPEND is an object and a row; a hundred flags are one row."""
    a, _, user, _ = start(make, config=QUICK, count=MAILS)
    with log_in(a.instance, user) as client:
        client.select()
        client.do("STORE 1 +FLAGS (\\Answered)")
        _, s3, cql = counted(a, lambda: client.do("APPEND INBOX", Literal(mails.marked("one~"))))
        assert s3 == {"PUT mails": 1} and sum(cql.values()) == 1 and not reads(cql), (s3, cql)
        _, s3, cql = counted(a, lambda: client.do("STORE 1:* +FLAGS.SILENT (\\Seen)"))
        assert not s3 and sum(cql.values()) == 1 and not reads(cql), (s3, cql)
    end(a)
