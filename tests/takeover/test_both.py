# SPDX-License-Identifier: Apache-2.0
"""Two backends serve one user at once: one stood still and goes on, or clients reach both. What either
acknowledged is there, once, and all see the same in the end."""

import contextlib
import time

from faults.checks import deliver_some
from kit import mails
from kit.imap import ConnectionEnded, Literal
from kit.lmtp import LmtpEnded
from takeover.backends import (
    CLOSED_S, SURE, Idler, assert_follows, assert_resync, change, deliver, end, end_verified, log_in, look, start,
)

OWN_INSTANCE = True
FORMS = ("roles",)
STORAGES = ("s3-cql",)
TIMEOUT_S = 240
SAME_WITHIN_S = 40
CONFIG_OF_BOTH = f"{SURE}metacache_forced_refresh_interval = 3s\n"


def unsurely(cloud, user, prefix, count):
    """Delivers at a backend that may have lost the user; (marks acknowledged, marks of unknown fate)."""
    saved, unsure = [], []
    for number in range(count):
        mark = f"{prefix}{number}"
        try:
            done, reply = deliver_some(cloud.instance, user, mark, 1)
        except (LmtpEnded, OSError):
            done, reply = [], None
        assert done or reply is None or 400 <= reply.code < 500, f"refused for good: {reply}"
        saved += done
        unsure += [] if done else [f"{mark}.0~"]
    return saved, unsure


def same_at(clouds, user, name="INBOX"):
    """Until all backends show the same mailbox: what they show."""
    deadline = time.monotonic() + SAME_WITHIN_S
    while True:
        pictures = [look(cloud, user, name) for cloud in clouds]
        if all((p.mails, p.uid_validity) == (pictures[0].mails, pictures[0].uid_validity) for p in pictures):
            return pictures[0]
        assert time.monotonic() < deadline, f"not the same within {SAME_WITHIN_S} s: " + "; ".join(
            str(sorted(p.mails.items())) for p in pictures)
        time.sleep(CLOSED_S)


def assert_all_there(picture, marks, unsure=()):
    missing = sorted(set(marks) - set(picture.marks))
    assert not missing, f"acknowledged, and lost: {missing}"
    assert len(picture.marks) == len(set(picture.marks)), f"there more than once: {sorted(picture.marks)}"
    strange = set(picture.marks) - set(marks) - set(unsure)
    assert not strange, f"came from nowhere: {strange}"


def append(client, mark):
    """Was it acknowledged? None: the session has ended."""
    try:
        reply = client.run("APPEND INBOX", Literal(mails.marked(mark)))
    except (ConnectionEnded, OSError):
        return None
    assert reply.status in ("OK", "NO"), reply
    return reply.status == "OK"


def test_frozen_backend_goes_on_after_a_takeover(make):
    """Its sessions and deliveries are told the truth: taken and kept, or refused for now."""
    a, b, user, before = start(make, config=CONFIG_OF_BOTH)
    idlers = [Idler(a, user) for _ in range(2)]
    session = log_in(a.instance, user)
    session.select()
    session.do("STORE 1 +FLAGS (\\Flagged)")
    before = look(a, user)
    a.instance.freeze()
    try:
        there = deliver(b, user, "at-b", 3)
        now = change(b, user, "changed")
        assert_follows(look(b, user), now, is_equal=True)
    finally:
        a.instance.thaw()
    saved, unsure = unsurely(a, user, "woken", 4)
    (saved if append(session, "by-the-session~") else unsure).append("by-the-session~")
    with contextlib.suppress(ConnectionEnded, OSError):
        session.run("NOOP")
    session.close()
    more = deliver(b, user, "later", 2)
    picture = same_at((a, b), user)
    gone = [before.marks[3]]  # change() expunges the fourth
    assert_all_there(picture, [*(m for m in before.marks if m not in gone), "changed~", *there, *saved, *more], unsure)
    for idler in idlers:
        marks = idler.goes_on()
        assert marks is None or sorted(marks) == sorted(picture.marks), (marks, picture.marks)
        idler.comes_back(b)
    assert_resync(a, user, before.known())
    assert_resync(b, user, now.known())
    end_verified(user, a, b)


def test_frozen_longer_than_its_sessions_live(make):
    """Nothing is sent to it when it goes on: it lets go of the user, and harms nothing that way."""
    a, b, user, before = start(make, config=CONFIG_OF_BOTH)
    deliver(a, user, "cached", 1)  # so that it has the user open
    a.instance.freeze()
    try:
        there = deliver(b, user, "at-b", 2)
        now = look(b, user)
    finally:
        a.instance.thaw()
    time.sleep(CLOSED_S)
    assert_follows(look(b, user), now, is_equal=True)
    more = deliver(b, user, "later", 1)
    picture = same_at((a, b), user)
    assert_follows(picture, now)
    assert_all_there(picture, [*before.marks, "cached.0~", *there, *more])
    end_verified(user, a, b)


def test_deliveries_at_both(make):
    """By turns, each within the time in which the other still has the user open."""
    a, b, user, before = start(make, config=CONFIG_OF_BOTH)
    marks, unsure = list(before.marks), []
    for number in range(8):
        saved, lost = unsurely((a, b)[number % 2], user, f"turn{number}", 2)
        marks += saved
        unsure += lost
    assert len(marks) > len(before.marks), "nothing was taken"
    picture = same_at((a, b), user)
    assert_all_there(picture, marks, unsure)
    assert_follows(picture, before)
    assert_resync(a, user, before.known())
    end_verified(user, a, b)


def test_sessions_at_both(make):
    """Each changes what the other does not; in the end both see all of it."""
    a, b, user, before = start(make, config=CONFIG_OF_BOTH)
    marks, unsure = list(before.marks), []
    clients = [log_in(cloud.instance, user) for cloud in (a, b)]
    try:
        for client in clients:
            client.select()
        uids = sorted(before.mails)
        for number, client in enumerate(clients):
            for turn in range(3):
                mark = f"by{number}.{turn}~"
                (marks if append(client, mark) else unsure).append(mark)
        flagged = [uids[number] for number, client in enumerate(clients) if is_done(
            client, f"UID STORE {uids[number]} +FLAGS (\\Draft)")]
    finally:
        for client in clients:
            client.close()
    picture = same_at((a, b), user)
    assert_all_there(picture, marks, unsure)
    for uid in flagged:
        mark = before.mails[uid][0]
        (flags,) = [flags for each, flags in picture.mails.values() if each == mark]
        assert b"\\Draft" in flags, f"the flag of {mark} was acknowledged, and is lost"
    assert_resync(b, user, before.known())
    end_verified(user, a, b)


def is_done(client, command):
    try:
        return client.run(command).status == "OK"
    except (ConnectionEnded, OSError):
        return False


def test_mailboxes_made_at_both(make):
    """Names that either made are there, and hold what was put into them."""
    a, b, user, _ = start(make, config=CONFIG_OF_BOTH)
    clients = [log_in(cloud.instance, user) for cloud in (a, b)]
    made = [f"from-{number}" for number, client in enumerate(clients) if is_done(client, f"CREATE from-{number}")]
    for client in clients:
        client.close()
    assert made
    deadline = time.monotonic() + SAME_WITHIN_S
    while True:
        names = []
        for cloud in (a, b):
            with log_in(cloud.instance, user) as client:
                names.append(set(client.list_names()))
        if names[0] == names[1] and set(made) <= names[0]:
            break
        assert time.monotonic() < deadline, names
        time.sleep(CLOSED_S)
    end(a, b)
