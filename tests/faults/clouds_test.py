# SPDX-License-Identifier: Apache-2.0
"""One fault at a time between the platform and its S3 and Cassandra, and what a client sees of it.

clouds.py does the same under load. The runner's part `clouds` runs these, with real roles and with all
roles in one process under the sanitizers."""

import functools
import time

from faults.checks import assert_has, assert_told, deliver_some, errors_since, marks_in, refusal, same_processes
from faults.clouds_kit import Cloud
from kit import mails
from kit.imap import ConnectionEnded, Literal, quote
from kit.lmtp import LmtpEnded
from kit.waiting import wait_until

OWN_INSTANCE = True
TIMEOUT_S = 300
BACK_WITHIN_S = 60
SIZE = 3000
WRITES = ["EXECUTE INSERT", "EXECUTE UPDATE", "EXECUTE DELETE", "BATCH"]


def body_of(client, number, mark):
    """True: the mail came as it was; False: it was refused for now. Anything else is an error."""
    reply = client.run(f"FETCH {number} BODY.PEEK[]")
    if reply.status == "OK":
        (got,) = [line for line in reply.lines if line[1:2] == [b"FETCH"]]
        assert got[2][-1].endswith(mails.marked(mark, SIZE)), f"mail {number} ({mark}) has other bytes"
        return True
    assert is_for_now(reply), reply
    return False


def is_for_now(reply):
    return reply.status == "NO" and reply.code in ([b"UNAVAILABLE"], [b"SERVERBUG"])


def nobody_gets_in(instance):
    """A user whom no process knows yet: not now, by LOGIN or by SELECT."""
    with instance.connect() as client:
        told = client.run("LOGIN", quote(instance.new_user()), quote(instance.password))
        if told.status == "OK":
            told = client.run("SELECT INBOX")
        assert is_for_now(told), told


def append(client, mark):
    return client.run("APPEND INBOX", Literal(mails.marked(mark, SIZE)))


def works_again(instance, user, mark):
    """Delivers one mail, as soon as it is taken; (its mark, those that were tried before)."""
    began = time.monotonic()
    tried = []
    while True:
        this = f"{mark}.{len(tried)}~"
        try:
            saved, reply = deliver_some(instance, user, this.rstrip("~"), 1, SIZE)
        except (LmtpEnded, OSError) as e:
            saved, reply = [], e
        if saved:
            return saved[0], tried
        tried.append(f"{this.rstrip('~')}.0~")
        assert time.monotonic() - began < BACK_WITHIN_S, f"no delivery {BACK_WITHIN_S} s after the fault: {reply}"
        time.sleep(0.2)


def start(make, count=5, **options):
    """(cloud, user, marks of his mails)"""
    cloud = Cloud(make, **options)
    user = cloud.instance.new_user()
    saved, refused = deliver_some(cloud.instance, user, "before", count, SIZE)
    assert refused is None, refused
    return cloud, user, saved


def end(instance):
    """A clean end, and nothing in the logs that no healthy run has."""
    instance.stop()
    assert not instance.problems(), instance.problems()[:30]


def test_nothing_is_kept_on_the_host(make):
    """Local state lost: everything is there, with its flags and mailboxes."""
    cloud, user, saved = start(make)
    instance = cloud.instance
    with instance.imap(user) as client:
        client.do("CREATE Kept")
        client.select()
        client.do("COPY 1:2 Kept")
        client.do("STORE 3 +FLAGS (\\Flagged)")
        client.do("STORE 5 +FLAGS (\\Deleted)")
        client.do("EXPUNGE")
    instance.stop()
    cloud.lose_local_state()
    instance.start()
    with instance.imap(user) as client:
        assert marks_in(client) == saved[:4]
        assert b"\\Flagged" in client.fetch("3", "FLAGS")[3]["FLAGS"]
        for number, mark in enumerate(saved[:4], 1):
            assert body_of(client, number, mark)
        assert marks_in(client, "Kept") == saved[:2]
    end(instance)


def test_store_down(make):
    """What is cached is read; what needs the store is refused for now; flags and copies go on."""
    cloud, user, saved = start(make)
    instance = cloud.instance
    with same_processes(instance), instance.imap(user) as client:
        at = len(instance.log_text())
        with cloud.s3.fault("down"):
            client.select()
            for number, mark in enumerate(saved, 1):
                assert body_of(client, number, mark), "it was delivered here, and is not in the cache"
            refusal(instance, user)
            assert is_for_now(append(client, "appended~"))
            client.do("STORE 1 +FLAGS (\\Flagged)")
            client.do("CREATE Kept")
            client.do("COPY 2 Kept")
            cloud.empty_cache()
            assert not body_of(client, 1, saved[0])
        assert_told(instance, at, str(cloud.s3.port))
        mark, _ = works_again(instance, user, "after")
        for number, each in enumerate(saved, 1):
            assert body_of(client, number, each)
    assert_has(instance, user, [*saved, mark])
    end(instance)


def test_store_refuses(make):
    """503: retried a few times, then the client hears of it."""
    cloud, user, saved = start(make)
    instance = cloud.instance
    with same_processes(instance), instance.imap(user) as client:
        client.select()
        with cloud.s3.fault("refuse", status=503, limit=1):
            more, refused = deliver_some(instance, user, "one-503", 1, SIZE)
            assert refused is None, f"one 503 was not retried: {refused}"
            assert cloud.s3.hits() == 1
        with cloud.s3.fault("refuse", status=503):
            refusal(instance, user)
            cloud.empty_cache()
            assert not body_of(client, 1, saved[0])
        mark, _ = works_again(instance, user, "after")
        assert body_of(client, 1, saved[0])
    assert_has(instance, user, [*saved, *more, mark])
    end(instance)


def test_broken_answers(make):
    """Bodies that are cut off, reset or changed: the right bytes after another try, or none."""
    cloud, user, saved = start(make)
    instance = cloud.instance
    with same_processes(instance), instance.imap(user) as client:
        client.select()
        for name in ("truncated", "reset", "corrupt"):
            cloud.empty_cache()
            with cloud.s3.fault(name, kinds=["GET"]):
                for number, mark in enumerate(saved, 1):
                    assert not body_of(client, number, mark), f"{name}: where did the mail come from?"
                assert cloud.s3.hits(), cloud.s3.counts()
            for number, mark in enumerate(saved, 1):
                told = f"mail {number} read after {name}"
                wait_until(functools.partial(body_of, client, number, mark), told, BACK_WITHIN_S)
        for name in ("truncated", "reset"):
            cloud.empty_cache()
            with cloud.s3.fault(name, kinds=["GET"], limit=1):
                assert body_of(client, 1, saved[0]), f"one {name} answer was not asked for again"
                assert cloud.s3.hits() == 1
    assert_has(instance, user, saved)
    end(instance)


def test_store_is_slow(make):
    """Slow answers are waited for; answers that never come are not."""
    cloud, user, saved = start(make)
    instance = cloud.instance
    with same_processes(instance), instance.imap(user) as client:
        client.select()
        with cloud.s3.fault("slow", seconds=1):
            more, refused = deliver_some(instance, user, "slow", 2, SIZE)
            assert refused is None, refused
            cloud.empty_cache()
            assert body_of(client, 1, saved[0])
        with cloud.s3.fault("blackhole"):
            refusal(instance, user)
            cloud.empty_cache()
            assert not body_of(client, 1, saved[0])
        mark, _ = works_again(instance, user, "after")
    assert_has(instance, user, [*saved, *more, mark])
    end(instance)


def test_uploads_whose_answers_are_lost(make):
    """They are tried again, and find that they have been done."""
    cloud, user, saved = start(make)
    instance = cloud.instance
    with same_processes(instance):
        with cloud.s3.fault("lost_answer", kinds=["PUT"], every=2):
            more, refused = deliver_some(instance, user, "lost", 10, SIZE)
            assert refused is None, refused
            assert cloud.s3.hits() >= 5
    assert_has(instance, user, saved + more)
    end(instance)


def test_catalog_down(make):
    """A session reads what it has; nothing is taken; later all goes on."""
    cloud, user, saved = start(make)
    instance = cloud.instance
    with same_processes(instance), instance.imap(user) as client:
        client.select()
        assert body_of(client, 1, saved[0])
        at = len(instance.log_text())
        with cloud.cql.fault("down"):
            for number, mark in enumerate(saved, 1):
                assert body_of(client, number, mark)
            refusal(instance, user)
            assert is_for_now(append(client, "appended~"))
            told = client.run("CREATE Other")
            assert is_for_now(told), told
            nobody_gets_in(instance)
        assert_told(instance, at, "assandra")
        mark, tried = works_again(instance, user, "after")
        client.do("NOOP")
        client.do("STORE 1 +FLAGS (\\Flagged)")
        client.do("CREATE Other")
    assert_has(instance, user, [*saved, mark], ["appended~", "refused.0~", *tried])
    end(instance)


def test_catalog_is_slow(make):
    cloud, user, saved = start(make)
    instance = cloud.instance
    with same_processes(instance):
        with cloud.cql.fault("slow", seconds=0.5):
            more, refused = deliver_some(instance, user, "slow", 2, SIZE)
            assert refused is None, refused
            assert_has(instance, user, saved + more)
        with cloud.cql.fault("blackhole"):
            refusal(instance, user)
        mark, tried = works_again(instance, user, "after")
    assert_has(instance, user, [*saved, *more, mark], ["refused.0~", *tried])
    end(instance)


def test_catalog_refuses(make):
    """Overloaded and unavailable, now and then: asked again or told, never twice."""
    cloud, user, saved = start(make)
    instance = cloud.instance
    unsure = []
    with same_processes(instance):
        for name, code in (("overloaded", 0x1001), ("unavailable", 0x1000), ("bootstrapping", 0x1002)):
            with cloud.cql.fault("refuse", kinds=["EXECUTE", "BATCH"], code=code, every=2):
                deliver_unsurely(instance, user, name, 6, saved, unsure)
        mark, tried = works_again(instance, user, "after")
    assert_has(instance, user, [*saved, mark], unsure + tried)
    end(instance)


def deliver_unsurely(instance, user, name, count, saved, unsure):
    """Mails with names of their own; each is acknowledged, or may be there."""
    for number in range(count):
        prefix = f"{name}{number}"
        try:
            done, _ = deliver_some(instance, user, prefix, 1, SIZE)
        except (LmtpEnded, OSError):
            done = []
        if done:
            saved += done
        else:
            unsure.append(f"{prefix}.0~")


def test_writes_that_were_applied_after_all(make):
    """The connection is cut, the answer never comes, or the write comes seconds after its time-out."""
    cloud, user, saved = start(make)
    instance = cloud.instance
    unsure = []
    ways = (("lost_answer", {}), ("dropped", {}), ("late", {"seconds": 3}))
    with same_processes(instance):
        for name, options in ways:
            with cloud.cql.fault(name, kinds=WRITES, every=3, **options):
                deliver_unsurely(instance, user, name, 5, saved, unsure)
                with instance.imap(user) as client:
                    change_unsurely(client)
        time.sleep(3.5)  # what is late has come
        mark, tried = works_again(instance, user, "after")
    assert_has(instance, user, [*saved, mark], unsure + tried)
    instance.restart()
    assert_has(instance, user, [*saved, mark], unsure + tried)
    instance.stop()
    cloud.lose_local_state()
    instance.start()
    assert_has(instance, user, [*saved, mark], unsure + tried)
    end(instance)


def change_unsurely(client):
    """Flags, a copy and a mailbox; whatever of it is refused for now."""
    try:
        replies = [client.run("SELECT INBOX"), client.run("STORE 1 +FLAGS (\\Flagged)")]
        replies += [client.run("CREATE Kept"), client.run("COPY 1 Kept")]
    except ConnectionEnded:
        return
    for reply in replies:
        assert reply.status in ("OK", "NO"), reply


def test_all_down(make):
    """Everybody is told so, and everything comes back by itself."""
    cloud, user, saved = start(make)
    instance = cloud.instance
    with same_processes(instance):
        with cloud.s3.fault("down"), cloud.cql.fault("down"):
            refusal(instance, user)
            nobody_gets_in(instance)
        mark, tried = works_again(instance, user, "after")
    assert_has(instance, user, [*saved, mark], ["refused.0~", *tried])
    end(instance)


def test_outages_are_told_once(make):
    """A refused delivery is one line of the log at most; that a store is down, or up again, is one line."""
    cloud, user, _ = start(make)
    instance = cloud.instance
    for proxy, down, up in ((cloud.s3, " is down: ", " is up again"), (cloud.cql, "Cassandra is down", "Cassandra is up")):
        at = len(instance.log_text())
        refused = 0
        with proxy.fault("down"):
            deadline = time.monotonic() + BACK_WITHIN_S
            while down not in instance.log_text()[at:]:
                refusal(instance, user)
                refused += 1
                assert time.monotonic() < deadline, f"not told after {refused} refused deliveries"
            for _ in range(3):
                refusal(instance, user)
        _, tried = works_again(instance, user, "after")
        lines = errors_since(instance, at)
        told = [line for line in lines if user in line]
        assert len(told) <= refused + 3 + len(tried), told
        assert all("failed to save mail" in line and "msgid=" in line for line in told), told
        place = told[0].split()[3]  # which process it is: others have a view of their own
        state = [line for line in lines if line.split()[3] == place and (down in line or up in line)]
        assert len(state) == 2 and down in state[0] and up in state[1], state
    end(instance)
