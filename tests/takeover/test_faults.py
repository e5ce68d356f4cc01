# SPDX-License-Identifier: Apache-2.0
"""A takeover while something else is broken: temporary errors, then it goes on by itself."""

from faults.checks import same_processes
from faults.disk import SmallDisk
from kit.imap import ConnectionEnded, ImapError
from kit.storage import remove_below
from takeover.backends import (
    NOT_NOW, Picture, assert_follows, assert_resync, assert_verified, change, deliver, end, end_verified, look,
    patiently, start,
)

OWN_INSTANCE = True
FORMS = ("roles",)
STORAGES = ("s3-cql",)
WRITES = ["EXECUTE INSERT", "EXECUTE UPDATE", "EXECUTE DELETE", "BATCH"]


def opens(cloud, user):
    """INBOX there, or None: not now. Anything else is an error."""
    try:
        with cloud.instance.connect() as client:
            client.login(user, cloud.instance.password)
            return Picture(client)
    except ImapError as e:
        assert e.reply.code in NOT_NOW, e
    except (ConnectionEnded, OSError):
        pass
    return None


def check_after(cloud, user, before):
    """It serves as if nothing had happened."""
    after = patiently(lambda: look(cloud, user))
    assert_follows(after, before, is_equal=True)
    patiently(lambda: deliver(cloud, user, "after", 2))
    change(cloud, user, "changed")
    assert_resync(cloud, user, before.known())
    assert_verified(cloud, user)


def take_over_while(make, proxy_of, fault, must_refuse, **options):
    a, b, user, before = start(make)
    a.instance.kill()
    with same_processes(b.instance):
        with proxy_of(b).fault(fault, **options):
            seen = [opens(b, user) for _ in range(3)]
            if must_refuse:
                assert not any(seen), "where did it come from?"
            for picture in seen:
                if picture:
                    assert_follows(picture, before, is_equal=True)
        check_after(b, user, before)
    end(b)


def s3_of(cloud):
    return cloud.s3


def cql_of(cloud):
    return cloud.cql


def test_catalog_down(make):
    take_over_while(make, cql_of, "down", True)


def test_catalog_overloaded(make):
    take_over_while(make, cql_of, "refuse", False, kinds=["EXECUTE", "BATCH"], code=0x1001, every=2)


def test_answers_of_writes_are_lost(make):
    take_over_while(make, cql_of, "lost_answer", False, kinds=WRITES, every=2)


def test_writes_come_late(make):
    take_over_while(make, cql_of, "late", False, kinds=WRITES, every=2, seconds=3)


def test_catalog_is_slow(make):
    take_over_while(make, cql_of, "slow", False, seconds=0.5)


def test_store_down(make):
    take_over_while(make, s3_of, "down", False)


def test_store_refuses(make):
    take_over_while(make, s3_of, "refuse", False, status=503, every=2)


def test_each_request_fails_once(make):
    """Whichever request of a takeover fails, the next try does it all."""
    a, b, user, before = start(make)
    at = 0
    while True:
        at += 1
        a.instance.kill()
        with b.cql.fault("refuse", kinds=["EXECUTE", "BATCH"], code=0x1000, every=at, limit=1):
            for _ in range(3):
                opens(b, user)
            was_hit = b.cql.hits() > 0
        after = patiently(lambda: look(b, user))
        assert_follows(after, before, is_equal=True)
        if not was_hit:
            break
        assert at < 60
        deliver(b, user, f"n{at}", 1)
        before = look(b, user)
        a.instance.start()
        a, b = b, a
    assert at > 3, "the faults hit nothing"
    end_verified(user, b)


def test_local_files_are_lost(make):
    """All that the one who takes over has of earlier days is gone, before and while he serves."""
    a, b, user, before = start(make)
    look(b, user)
    b.instance.stop()
    a.instance.kill()
    remove_below(b.instance.dir / "state")
    b.instance.start()
    check_after(b, user, before)
    b.instance.stop()
    remove_below(b.instance.dir / "state" / "metacache")
    b.instance.start()
    assert_resync(b, user, before.known())
    end_verified(user, b)


def test_local_disk_is_full(make):
    """Local state only saves reading: who cannot write it still serves, or says not now."""
    disk = SmallDisk("state", "16m")
    made = []

    def make_second(prepare=None, **options):
        if not made:
            made.append(make(**options))
            return made[-1]

        def both(instance):
            prepare(instance)
            disk.mount(instance)

        made.append(make(prepare=both, **options))
        return made[-1]

    a, b, user, before = start(make_second)
    disk.fill()
    a.instance.kill()
    with same_processes(b.instance):
        seen = opens(b, user)
        if seen:
            assert_follows(seen, before, is_equal=True)
        disk.empty()
        check_after(b, user, before)
    b.instance.restart()
    end_verified(user, b)
