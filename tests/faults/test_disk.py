# SPDX-License-Identifier: Apache-2.0
"""A disk that is full, read-only, not there, or not ours: a clear answer, a clear line in the log, and
when it is mended the service goes on, without a restart and without a loss."""

import os

from faults.checks import assert_has, assert_told, deliver_some, refusal, same_processes
from faults.disk import SmallDisk
from kit import mails
from kit.imap import Literal
from kit.instance import InstanceError
from kit.lmtp import LmtpEnded
from kit.testenv import Skip

OWN_INSTANCE = True
FORMS = ("roles", "all-in-one")
STORAGES = ("local",)
TIMEOUT_S = 240
USERS = 5
MAIL_BYTES = 100_000


def test_full_disk(make):
    disk = SmallDisk("state", "16m")
    instance = make(users=USERS, prepare=disk.mount)
    user = instance.new_user()
    saved, reply = deliver_some(instance, user, "before", 1000, MAIL_BYTES)
    assert reply and 400 <= reply.code < 500, reply
    assert saved
    at = 0
    with same_processes(instance):
        with instance.imap(user) as client:
            refused = client.run("APPEND INBOX", Literal(mails.marked("appended~", MAIL_BYTES)))
            assert refused.status == "NO", refused
            client.select()
            assert client.fetch("1", "BODY.PEEK[]")[1]["BODY[]"].endswith(mails.marked(saved[0], MAIL_BYTES))
            client.do("NOOP")
        assert_told(instance, at, "o space")
        assert_has(instance, user, saved)
        disk.resize("64m")
        more, reply = deliver_some(instance, user, "after", 20, MAIL_BYTES)
        assert reply is None, f"there is room again, but: {reply}"
        assert_has(instance, user, saved + more)
    instance.restart()
    assert_has(instance, user, saved + more)
    instance.stop()


def test_disk_full_of_other_things(make):
    """Everything that is written fails, flags and mailboxes too; the session lives on."""
    disk = SmallDisk("state", "16m")
    instance = make(users=USERS, prepare=disk.mount)
    user = instance.new_user()
    saved, _ = deliver_some(instance, user, "before", 10)
    with same_processes(instance), instance.imap(user) as client:
        client.select()
        disk.fill()
        replies = [client.run(f"STORE {n} +FLAGS (\\Flagged)") for n in range(1, 8)]
        replies += [client.run("CREATE Other"), client.run("COPY 1:5 INBOX")]
        assert all(reply.status in ("OK", "NO") for reply in replies), replies
        refusal(instance, user, 200_000)
        disk.empty()
        client.do("NOOP")
        client.do("CREATE Another")
        client.do("STORE 9 +FLAGS (\\Answered)")
        flags = {n: items["FLAGS"] for n, items in client.fetch("1:9", "FLAGS").items()}
        for n, reply in enumerate(replies[:7], 1):
            assert reply.status != "OK" or b"\\Flagged" in flags[n], (n, reply, flags)
        more, reply = deliver_some(instance, user, "after", 5)
        assert reply is None, reply
    instance.restart()
    with instance.imap(user) as client:
        client.select()
        again = {n: set(items["FLAGS"]) - {b"\\Recent"} for n, items in client.fetch("1:9", "FLAGS").items()}
        for n, before in flags.items():
            assert again[n] == set(before) - {b"\\Recent"}, (n, before, again[n])
    instance.stop()


def test_full_spool(make):
    """Mails that come in need room as well; small ones do not need it, nor any in one process."""
    disk = SmallDisk("spool", "1m")
    instance = make(users=USERS, prepare=disk.mount)
    user = instance.new_user()
    at = len(instance.log_text())
    early = []
    with same_processes(instance):
        try:
            early, reply = deliver_some(instance, user, "early", 1, 8_000_000)
            assert early or 400 <= reply.code < 500, reply
        except (OSError, LmtpEnded):
            pass  # refused before all of it was sent, and the rest not waited for
        if not early:
            assert_told(instance, at, "o space")
        small, reply = deliver_some(instance, user, "small", 3)
        assert reply is None, reply
        disk.resize("32m")
        big, reply = deliver_some(instance, user, "big", 1, 8_000_000)
        assert reply is None, f"there is room again, but: {reply}"
    assert_has(instance, user, early + big + small)
    instance.stop()


def test_read_only_disk(make):
    """It does not start, and says why; when the disk may be written again it does, and has all."""
    disk = SmallDisk("state", "32m")
    instance = make(users=USERS, prepare=disk.mount)
    user = instance.new_user()
    saved, _ = deliver_some(instance, user, "before", 5)
    instance.stop()
    disk.set_read_only(True)
    try:
        instance.start()
        raise AssertionError("it started on a read-only disk")
    except InstanceError as e:
        assert "Read-only file system" in str(e) and str(disk.path) in str(e), e
    disk.set_read_only(False)
    instance.start()
    more, reply = deliver_some(instance, user, "after", 5)
    assert reply is None, reply
    assert_has(instance, user, saved + more)
    instance.stop()


def test_missing_directory(make):
    """Of the objects, while it runs: mails that are there cannot be read, and none is lost."""
    instance = make(users=USERS)
    user = instance.new_user()
    saved, _ = deliver_some(instance, user, "before", 5)
    instance.restart()
    objects = instance.dir / "state" / "objects"
    away = instance.dir / "state" / "away"
    with same_processes(instance):
        objects.rename(away)
        with instance.imap(user) as client:
            client.select()
            reply = client.run("FETCH 1 BODY.PEEK[]")
            assert reply.status in ("OK", "NO"), reply
        late, reply = deliver_some(instance, user, "late", 1)
        assert reply is None or 400 <= reply.code < 500, reply
        # What came meanwhile may have made the directory anew: both are one again.
        if objects.exists():
            merge(objects, away)
        away.rename(objects)
        more, reply = deliver_some(instance, user, "after", 5)
        assert reply is None, reply
        assert_has(instance, user, saved + late + more)
        read_all(instance, user)
    instance.stop()


def merge(source, target):
    for path in sorted(source.rglob("*")):
        place = target / path.relative_to(source)
        if path.is_dir():
            place.mkdir(exist_ok=True)
            place.chmod(0o700)
            os.chown(place, path.stat().st_uid, path.stat().st_gid)
        elif not place.exists():
            path.rename(place)
    for path in sorted(source.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    source.rmdir()


def read_all(instance, user):
    with instance.imap(user) as client:
        count = client.select().exists
        got = client.fetch("1:*", "BODY.PEEK[]")
        assert len(got) == count and all(items["BODY[]"] for items in got.values()), got.keys()


def test_wrong_permission(make):
    """A directory of the mail user belongs to root all of a sudden."""
    if os.geteuid() != 0:
        raise Skip("only root can take files away from the mail user")
    for part in ("objects", "metacache", "catalog"):
        check_permission(make, part)


def check_permission(make, part):
    instance = make(users=USERS)
    user, other = instance.new_user(), instance.new_user()
    saved, _ = deliver_some(instance, user, "before", 5)
    instance.restart()  # nothing is open
    folder = instance.dir / "state" / part
    paths = [folder, *folder.rglob("*")]
    owners = [(path, path.stat()) for path in paths]
    for path in paths:
        os.chown(path, 0, 0)
        os.chmod(path, 0o700 if path.is_dir() else 0o600)
    at = len(instance.log_text())
    accepted = []
    with same_processes(instance):
        for name, mark in ((user, "denied~"), (other, "denied too~")):
            if try_delivery(instance, name, mark) == 250 and name == user:
                accepted.append(mark)
        # Objects are named by their keys, which begin with the user.
        assert_told(instance, at, "ermission denied", user if part == "objects" else f"/{part}/")
        for path, stat in owners:
            if path.exists():
                os.chown(path, stat.st_uid, stat.st_gid)
        more, reply = deliver_some(instance, user, "after", 5)
        assert reply is None, f"{part}: the permission is right again, but: {reply}"
        assert_has(instance, user, saved + accepted + more)
    instance.stop()
    instance.destroy()


def try_delivery(instance, user, mark):
    """The code of the reply, which must be a saved mail or a refusal for now."""
    with instance.lmtp() as client:
        client.expect(250, "MAIL FROM:<a@example.org>")
        reply = client.command(f"RCPT TO:<{user}>")
        if reply.code == 250:
            (reply,) = client.send_data(mails.marked(mark), 1)
    assert reply.code == 250 or 400 <= reply.code < 500, reply
    return reply.code
