# SPDX-License-Identifier: Apache-2.0
"""From one backend to the other: handed over, cold, with old files left behind, and with clients that
follow."""

import time

from faults.clouds_kit import QUICK
from kit import mails
from kit.imap import Literal, set_numbers
from kit.mbsync import Replica, server_contents
from takeover.backends import (
    CLOSED_S, Idler, assert_follows, assert_resync, assert_verified, change, deliver, end, end_verified, log_in,
    look, patiently, requests, reset_counts, start,
)

OWN_INSTANCE = True
FORMS = ("roles",)
STORAGES = ("s3-cql",)


def test_clean_handover(make):
    """Stopped here, opened there: the same numbers, and the next UID is the next one."""
    a, b, user, before = start(make)
    kept = look(a, user, "Kept")
    a.instance.stop()
    reset_counts(b)
    after = look(b, user)
    assert_follows(after, before, is_equal=True)
    assert after.uid_next == before.uid_next and after.modseq == before.modseq, vars(after)
    s3, cql = requests(b)
    assert not any(kind.startswith(("INSERT", "BATCH", "DELETE", "UPDATE")) for kind in cql), f"reading wrote: {cql}"
    assert_follows(look(b, user, "Kept"), kept, is_equal=True)
    deliver(b, user, "next", 1)
    assert before.uid_next in look(b, user).mails, "a UID was left out at a clean hand-over"
    assert_resync(b, user, before.known())
    end_verified(user, b)


def test_back_and_forth_while_both_run(make):
    """Nobody is stopped: who has let go of a user believes nothing of what he had when the user returns."""
    a, b, user, picture = start(make)
    for number in range(4):
        time.sleep(CLOSED_S)
        cloud = (b, a)[number % 2]
        assert_follows(look(cloud, user), picture, is_equal=True)
        deliver(cloud, user, f"r{number}", 2)
        old, picture = picture, change(cloud, user, f"round{number}")
        assert_resync(cloud, user, old.known())
        assert_verified(cloud, user)
    end(a, b)


def test_stale_files_of_a_killed_backend(make):
    """What a dead backend kept locally is old when it comes back."""
    a, b, user, before = start(make)
    a.instance.kill()
    taken = look(b, user)
    assert_follows(taken, before, is_equal=True)
    deliver(b, user, "at-b", 3)
    now = change(b, user, "changed")
    b.instance.stop()
    a.instance.start()
    after = look(a, user)
    assert_follows(after, now, is_equal=True)
    assert_resync(a, user, before.known())
    end_verified(user, a)


def test_flags_that_a_killed_backend_did_not_journal(make):
    """They are in its own log alone. Whoever takes over does not know them, and they do not come back when
    the dead backend does: by then they are older than what was told."""
    a, b, user, before = start(make, config=QUICK)
    time.sleep(2)  # what was told earlier is in the journal
    with a.instance.imap(user) as client:
        client.select()
        client.do("STORE 1 +FLAGS (\\Draft)")
        a.instance.kill()
    seen = look(b, user)
    assert {uid: mark for uid, (mark, _) in seen.mails.items()} == {uid: mark for uid, (mark, _) in before.mails.items()}
    b.instance.stop()
    a.instance.start()
    assert_follows(look(a, user), seen, is_equal=True)
    assert_resync(a, user, before.known())
    end_verified(user, a)


def test_idling_clients_come_back_elsewhere(make):
    a, b, user, before = start(make)
    idlers = [Idler(a, user) for _ in range(3)]
    deliver(a, user, "pushed", 2)
    a.instance.kill()
    for idler in idlers:
        idler.hears_the_end()
    deliver(b, user, "at-b", 2)
    change(b, user, "changed")
    for idler in idlers:
        idler.comes_back(b)
    picture = look(b, user)
    assert [mark for mark in picture.marks if mark.startswith(("pushed", "at-b"))] == [
        "pushed.0~", "pushed.1~", "at-b.0~", "at-b.1~"]
    end_verified(user, b)


def test_new_idlers_are_woken_after_a_takeover(make):
    a, b, user, _ = start(make)
    a.instance.kill()
    idler = Idler(b, user)
    deliver(b, user, "woken", 1)
    idler.client.wait_untagged(lambda line: line[1:2] == [b"EXISTS"], 10)
    idler.client.close()
    end(b)


def test_mbsync_follows_from_backend_to_backend(make):
    """A replica that changes mail too is the same as the server after each move."""
    a, b, user, _ = start(make)
    replica = Replica(a.instance, user)
    try:
        replica.sync()
        here, there = a, b
        for number in range(3):
            replica.add("INBOX", mails.marked(f"local{number}~"), number)
            (first, *_) = replica.files("INBOX")
            replica.set_flags(first, "FS")
            deliver(here, user, f"far{number}", 2)
            here.instance.kill()
            replica.follow(there.instance)
            replica.sync()
            replica.sync()  # what the first run made of both sides
            with log_in(there.instance, user) as client:
                truth = server_contents(client)
            assert replica.contents() == truth, (number, replica.contents(), truth)
            here.instance.start()
            here, there = there, here
        assert_verified(here, user)
    finally:
        replica.remove()
    end(a, b)


def test_uids_that_were_told_name_the_same_mails(make):
    """APPENDUID and COPYUID of the last moment before a kill hold at the other backend."""
    a, b, user, before = start(make)
    with a.instance.imap(user) as client:
        client.select()
        appended = set_numbers(client.do("APPEND INBOX", Literal(mails.marked("last~"))).code[2])[0]
        copied = set_numbers(client.do("COPY 1 Kept").code[3])[0]
        a.instance.kill()
    assert look(b, user).mails[appended][0] == "last~"
    assert look(b, user, "Kept").mails[copied][0] == before.marks[0]
    patiently(lambda: deliver(b, user, "after", 1))
    assert max(look(b, user).mails) > appended
    end_verified(user, b)
