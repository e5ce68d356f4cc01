# SPDX-License-Identifier: Apache-2.0
"""A lost catalog is made again from objects; users are deleted, audited and waited for: as an administrator
does it, and as clients see it afterwards."""

import shutil

from kit import mails
from kit.doveadm import table
from kit.waiting import wait_until

STORAGES = ("local", "s3-cql")
FORMS = ("roles",)
OWN_INSTANCE = True
TIMEOUT_S = 180


def doveadm(instance, *words):
    """Done when nobody is in the way: sessions end a moment after their clients."""
    done = instance.doveadm(*words)
    return done if "sessions" not in done.stderr else None


def when_idle(instance, *words):
    return wait_until(lambda: doveadm(instance, *words), "the user is idle")


def mailbox(instance, user, name="INBOX"):
    """(UIDVALIDITY, {UID: (flags, body)})"""
    with instance.imap(user) as c:
        validity = c.status(name)["UIDVALIDITY"]
        c.select(name)
        got = c.fetch("1:*", "(UID FLAGS BODY.PEEK[])")
        return validity, {int(m["UID"]): (set(m["FLAGS"]) - {b"\\Recent"}, m["BODY[]"]) for m in got.values()}


def lose_catalog(instance):
    instance.stop()
    shutil.rmtree(instance.dir / "state/catalog", ignore_errors=True)
    shutil.rmtree(instance.dir / "state/metacache", ignore_errors=True)
    if not instance.storage.is_local:
        config, prefix = instance.dir / "storage.conf", instance.storage.prefix
        was = f"fs_dictmap_dict_prefix = {prefix}/"
        text = config.read_text()
        assert was in text
        config.write_text(text.replace(was, f"fs_dictmap_dict_prefix = {prefix}-again/"))
    instance.start()


def test_catalog_from_storage(make):
    instance = make(users=5, config="obox_garbage_interval = 1h\n")
    user = instance.user(3)
    for i in range(4):
        instance.deliver(mails.small(f"based {i}"), user)
    with instance.imap(user) as c:
        c.do("CREATE work/plans")
        c.select()
        c.do("STORE 2 +FLAGS (\\Flagged kept)")
        c.do("COPY 1:2 work/plans")
        c.do("STORE 1 +FLAGS (\\Deleted)")
        c.do("EXPUNGE")
        assert instance.doveadm("metacache", "flush", "-u", user).returncode == 0
    before, plans = mailbox(instance, user), mailbox(instance, user, "work/plans")
    instance.deliver(mails.small("later"), user)
    done = when_idle(instance, "dictmap", "rebuild", "--from-storage", "-u", user)
    assert done.returncode == 65 and "the catalog knows him" in done.stderr, done
    lose_catalog(instance)
    done = when_idle(instance, "dictmap", "rebuild", "--from-storage", "--dry-run", "-u", user)
    assert done.returncode == 0, done
    promised = table(done)
    done = when_idle(instance, "dictmap", "rebuild", "--from-storage", "-u", user)
    assert done.returncode == 0 and table(done) == promised, (done, promised)
    validity, after = mailbox(instance, user)
    later = "INBOX" if not instance.storage.is_local else "recovered-lost-mails"
    assert validity == before[0]
    assert {uid: after.get(uid) for uid in before[1]} == before[1], (before, after)
    assert mailbox(instance, user, "work/plans") == plans
    assert any(b"later" in body for _, body in mailbox(instance, user, later)[1].values())
    instance.deliver(mails.small("new"), user)
    assert max(mailbox(instance, user)[1]) > max(before[1]) + 1
    done = instance.doveadm("mailbox", "rebuild", "--verify", "-u", user, "wor*/?lans")
    assert done.returncode == 0 and [row["mailbox"] for row in table(done)] == ["work/plans"], done
    done = when_idle(instance, "mailbox", "rebuild", "-u", user)
    assert done.returncode == 0 and {row["result"] for row in table(done)} == {"same"}, done
    done = when_idle(instance, "mailbox", "rebuild", "--drop-lost", "-u", user)
    assert done.returncode == 0 and {row["result"] for row in table(done)} == {"same"}, done
    assert {row["user"] for row in table(done)} == {user}, done


def test_delete_and_wait(make):
    instance = make(users=5)
    user = instance.user(2)
    assert instance.doveadm("obox", "user", "wait", "-u", user).returncode == 0
    for i in range(3):
        instance.deliver(mails.small(f"n {i}"), user)
    with instance.imap(user) as c:
        c.select()
        done = instance.doveadm("obox", "user", "wait", "-u", user, "-t", "1")
        assert done.returncode == 65 and "still has sessions" in done.stderr, done
        done = instance.doveadm("obox", "user", "delete", "-u", user)
        assert done.returncode == 65 and "sessions" in done.stderr, done
        old = c.status("INBOX")["UIDVALIDITY"]
    assert instance.doveadm("obox", "user", "wait", "-u", user).returncode == 0
    done = instance.doveadm("obox", "audit", "-u", user)
    assert done.returncode == 0 and "0 dangling" in done.stdout, done
    done = when_idle(instance, "obox", "user", "delete", "-u", user)
    (row,) = table(done)
    assert done.returncode == 0 and int(row["objects"]) >= 3, done
    left = [key for key in instance.storage.object_keys(instance.dir) if user in str(key)]
    assert not left, left
    assert not list(instance.dir.glob(f"state/metacache/*/{user}"))
    assert when_idle(instance, "obox", "user", "delete", "-u", user).returncode == 67
    instance.deliver(mails.small("a new life"), user)
    validity, now = mailbox(instance, user)
    assert list(now) == [1] and validity >= old, (validity, old, now)


def test_mistakes(make):
    instance = make(users=2)
    for words in (("obox", "user", "delete"), ("obox", "user", "wait", "-u", "x", "-t", "soon"),
                  ("dictmap", "rebuild", "-u", "x"), ("obox", "audit"), ("obox", "audit", "-A", "-u", "x")):
        assert instance.doveadm(*words).returncode == 64, words
    assert instance.doveadm("obox", "user", "delete", "-u", "nobody@example.org").returncode == 67
    done = instance.doveadm("dictmap", "rebuild", "-u", "nobody@example.org", "--from-storage")
    assert done.returncode == 67, done
