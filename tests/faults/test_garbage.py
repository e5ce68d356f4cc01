# SPDX-License-Identifier: Apache-2.0
"""Garbage in the files of a mailbox, in an object, in the catalog.

Local files only save work: whatever is in them, clients see what they saw before. An object or a page
of the catalog that is broken costs the mails in it, with an error that names it; all others are served,
and nothing crashes."""

import random
import time

from faults import damage
from faults.checks import assert_has, assert_told, deliver_some, same_processes
from kit import mails
from kit.imap import ConnectionEnded, Literal
from kit.resync import flags_of

OWN_INSTANCE = True
FORMS = ("roles", "all-in-one")
STORAGES = ("local",)
TIMEOUT_S = 240
FILES = ("log", "summaries", "snapshot")
MAILS = 30
SEED = 20250304


def fill(instance, user):
    """A mailbox with a past: flags, expunges, copies."""
    with instance.imap(user) as client:
        for number in range(MAILS):
            client.do("APPEND INBOX", Literal(mails.marked(f"{number}~", 300), plus=True))
        client.select()
        client.do("STORE 1:10 +FLAGS (\\Seen $Label1)")
        client.do("STORE 5:7 +FLAGS (\\Deleted)")
        client.do("EXPUNGE")
        client.do("COPY 1:3 INBOX")
        client.do("STORE 2 FLAGS (\\Answered urgent)")


def picture(instance, user):
    """What a client sees of INBOX."""
    with instance.imap(user) as client:
        selected = client.select()
        found = client.fetch("1:*", "(UID FLAGS ENVELOPE BODYSTRUCTURE RFC822.SIZE BODY.PEEK[])")
        rows = [(int(items["UID"]), flags_of(items), str(items["ENVELOPE"]), str(items["BODYSTRUCTURE"]),
                 items["RFC822.SIZE"], items["BODY[]"]) for items in found.values()]
        return selected.uid_validity, selected.uid_next, rows


def local_files(instance, user, name):
    """The largest is INBOX's."""
    folder = next((instance.dir / "state" / "metacache").glob(f"*/{user}"))
    return sorted(folder.glob(f"*/{name}"), key=lambda path: -path.stat().st_size)


def damage_all(instance, users, rng):
    """A file and a way for each user; {user: text} of what was done."""
    done = {}
    cases = [(name, way) for name in FILES for way in damage.WAYS]
    for user, (name, way) in zip(users, cases):
        for path in local_files(instance, user, name)[:1]:
            way(path, rng)
            done[user] = f"{name}: {way.__name__}"
    return done


def test_garbage_in_local_files(make):
    rng = random.Random(SEED)
    users_needed = len(FILES) * len(damage.WAYS)
    instance = make(users=users_needed + 2)
    users = [instance.new_user() for _ in range(users_needed)]
    for user in users:
        fill(instance, user)
    truth = {user: picture(instance, user) for user in users}
    # Logs that are gone make every mailbox write a snapshot.
    instance.stop()
    for user in users:
        local_files(instance, user, "log")[0].unlink()
    instance.start()
    for number in range(3):
        for user in users:
            assert picture(instance, user) == truth[user], (number, user)
        is_clean = number % 2 == 0
        if is_clean:
            instance.stop()
        else:
            time.sleep(5)  # flags are in the catalog within a second
            instance.kill()
        done = damage_all(instance, users, rng)
        assert any("snapshot" in text for text in done.values()), done
        instance.start()
        with same_processes(instance):
            for user in users:
                seen = picture(instance, user)
                assert seen == truth[user], f"after {done.get(user)}: {difference(seen, truth[user])}"
    instance.stop()


def difference(seen, truth):
    rows = {row[0]: row for row in truth[2]}
    odd = [row[:2] for row in seen[2] if rows.get(row[0]) != row][:5]
    return f"{seen[:2]} instead of {truth[:2]}; {len(seen[2])} of {len(truth[2])} mails; {odd}"


def test_half_written_log_keeps_flags(make):
    """A kill in the middle of writing: all flags that were told stay, also those only the log has."""
    rng = random.Random(SEED)
    instance = make(users=6)
    user = instance.new_user()
    fill(instance, user)
    truth = picture(instance, user)
    with instance.imap(user) as client:
        client.select()
        client.do("STORE 1:* +FLAGS ($Late)")
    instance.kill()  # well within the journal's second
    log = local_files(instance, user, "log")[0]
    with open(log, "ab") as file:
        file.write(rng.randbytes(37))
    instance.start()
    validity, uid_next, rows = picture(instance, user)
    assert (validity, uid_next) == truth[:2]
    assert all(b"$Late" in row[1] for row in rows), [row[:2] for row in rows]
    instance.stop()


def object_files(instance, user):
    return sorted(path for path in (instance.dir / "state" / "objects").rglob("*")
                  if path.is_file() and user in str(path))


def test_broken_objects(make):
    """Each way on another mail: that mail cannot be read, and the log says which object; the rest can."""
    rng = random.Random(SEED)
    instance = make(users=4)
    user = instance.new_user()
    ways = [way for way in damage.WAYS if way is not damage.garbage_at_the_end]
    saved, _ = deliver_some(instance, user, "m", len(ways) + 2, 30_000)
    instance.stop()
    files = object_files(instance, user)
    assert len(files) >= len(ways) + 2, f"{len(files)} objects of {len(saved)} mails"
    for path, way in zip(files, ways):
        way(path, rng)
    at = len(instance.log_text())
    instance.start()
    unreadable = 0
    with same_processes(instance):
        with instance.imap(user) as client:
            assert client.select().exists == len(saved)
            assert len(client.fetch("1:*", "(UID FLAGS ENVELOPE RFC822.SIZE)")) == len(saved)
        for number, mark in enumerate(saved, 1):
            body = body_of(instance, user, number)
            unreadable += body is None
            assert body is None or body.endswith(mails.marked(mark, 30_000)), f"{mark} was served damaged"
        more, reply = deliver_some(instance, user, "after", 2)
        assert reply is None, reply
    assert 0 < unreadable <= len(ways), f"{unreadable} of {len(ways)} are unreadable"
    assert_told(instance, at, f"{user}/mails/")
    instance.stop()


def body_of(instance, user, number):
    """A mail's bytes; None when the server says that it cannot read it: by NO, or by BYE when the
    answer had begun."""
    with instance.imap(user) as client:
        client.select()
        try:
            reply = client.run(f"FETCH {number} BODY.PEEK[]")
        except ConnectionEnded as e:
            assert e.lines and e.lines[-1][0] == b"BYE" and b"damaged" in e.lines[-1][2], e.lines
            return None
        values = [value for line in reply.all("FETCH") for value in line[2]]
        if reply.status == "OK" and values:
            return values[values.index(b"BODY[]") + 1]
        assert reply.status in ("OK", "NO"), reply
        return None


def test_broken_catalog(make):
    """One shard is garbage: its users are refused, with a line in the log; all others are served; with
    the file as it was, everything is there."""
    instance = make(users=40)
    users = [instance.new_user() for _ in range(12)]
    saved = {user: deliver_some(instance, user, user, 2)[0] for user in users}
    instance.stop()
    shard = max((instance.dir / "state" / "catalog").glob("*.sqlite"), key=lambda path: path.stat().st_size)
    good = shard.read_bytes()
    with open(shard, "r+b") as file:
        file.write(random.Random(SEED).randbytes(len(good)))
    at = len(instance.log_text())
    instance.start()
    refused = []
    with same_processes(instance):
        for user in users:
            with instance.connect() as client:
                reply = client.run(f'LOGIN "{user}" "{instance.password}"')
                if reply.status != "OK" or client.run("SELECT INBOX").status != "OK":
                    refused.append(user)
                    continue
            assert_has(instance, user, saved[user])
    assert refused and len(refused) < len(users), refused
    assert_told(instance, at, shard.name)
    instance.stop()
    with open(shard, "r+b") as file:
        file.truncate(len(good))
        file.write(good)
    instance.start()
    for user in users:
        assert_has(instance, user, saved[user])
    instance.stop()
