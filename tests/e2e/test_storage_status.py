# SPDX-License-Identifier: Apache-2.0
"""What an operator is told of the stores and of a user's local state: doveadm storage status, mailbox
verify, force-resync, and what clients hear while a store is away."""

import contextlib
import time
import urllib.parse

from kit import mails
from kit.doveadm import table
from kit.faultproxy import Proxy
from kit.imap import ImapError
from kit.storage import Storage
from kit.waiting import wait_until

STORAGES = ("s3-cql",)
FORMS = ("roles",)
OWN_INSTANCE = True


@contextlib.contextmanager
def behind_proxies(make):
    """(instance, proxy of S3, proxy of Cassandra)"""
    url = urllib.parse.urlsplit(Storage("s3-cql").server("POMBAL_TEST_S3"))
    s3 = Proxy("http", f"{url.hostname}:{url.port}").start()
    cql = Proxy("cql", Storage("s3-cql").server("POMBAL_TEST_CQL")).start()
    try:
        env = {"POMBAL_TEST_S3": f"http://{url.username}:{url.password}@127.0.0.1:{s3.port}{url.path}",
               "POMBAL_TEST_CQL": f"127.0.0.1:{cql.port}"}
        yield make(users=10, storage=Storage("s3-cql", env), config="mail_worker_count = 2\n"), s3, cql
    finally:
        s3.process.kill()
        cql.process.kill()


def states(instance, driver):
    done = instance.doveadm("storage", "status")
    rows = [row for row in table(done) if row["driver"] == driver]
    assert done.returncode == 0 and {row["worker"] for row in rows} == {"0", "1"}, done
    return rows


def until_all(instance, driver, state):
    def look():
        rows = states(instance, driver)
        return rows if all(row["state"] == state for row in rows) else None

    return wait_until(look, lambda: f"{driver} is {state}: {states(instance, driver)}")


def refusal(instance, user):
    with instance.connect() as c:
        try:
            c.login(user, instance.password)
        except ImapError as e:
            return str(e)
    raise AssertionError("the login went well")


def test_status_tells_which_store_is_away(make):
    with behind_proxies(make) as (instance, s3, cql):
        instance.deliver(mails.small("x"), instance.user(2))
        assert all(row["state"] == "reachable" for row in states(instance, "s3"))
        assert sum(int(row["writes"]) for row in states(instance, "s3")) == 2  # and the welcome
        began = int(time.time())
        s3.set("down")
        for row in until_all(instance, "s3", "failing"):
            assert began - 1 <= int(row["failing_since"]) <= time.time(), row
            assert "127.0.0.1" in row["failure"] and int(row["failures"]) > 0, row
        assert all(row["state"] == "reachable" for row in states(instance, "cql"))
        s3.clear()
        assert all(row["failing_since"] == "0" for row in until_all(instance, "s3", "reachable"))
        reader = instance.imap(instance.user(2))
        reader.select()
        cql.set("down")
        for row in until_all(instance, "cql", "failing"):
            assert "no Cassandra node can be reached" in row["failure"], row
        told = refusal(instance, instance.user(5))
        assert "UNAVAILABLE" in told and "Mail storage is temporarily unavailable" in told, told
        # Who is in can read on; the mark may be missing, which is told.
        assert "BODY[]" in reader.fetch("1", "BODY[]")[1]
        is_seen = b"\\Seen" in reader.fetch("1", "(FLAGS)")[1]["FLAGS"]
        assert instance.log_text().count("not marked as seen") == (not is_seen)
        cql.clear()
        until_all(instance, "cql", "reachable")
        reader.logout()
        instance.imap(instance.user(5)).logout()


def wait_idle(instance, user):
    """His last session has ended."""
    def look():
        done = instance.doveadm("force-resync", "-u", user)
        return None if done.returncode == 75 else done

    return wait_until(look, f"the last session of {user} has ended")


def test_resync_makes_local_state_anew(make):
    instance = make(users=3)
    user = instance.user(2)
    for i in range(5):
        instance.deliver(mails.small(f"n {i}"), user)
    with instance.imap(user) as c:
        c.select()
        c.do("STORE 2 +FLAGS (\\Flagged kept)")
        c.do("STORE 1 +FLAGS (\\Deleted)")
        c.do("EXPUNGE")
        before = c.fetch("1:*", "(UID FLAGS)")
        done = instance.doveadm("force-resync", "-u", user)
        assert done.returncode == 75 and "sessions" in done.stderr, done
    (home,) = instance.dir.glob(f"state/metacache/*/{user}")
    (home / "marker").touch()
    done = wait_idle(instance, user)
    rows = {row["mailbox"]: row for row in table(done)}
    assert done.returncode == 0 and {row["result"] for row in rows.values()} == {"same"}, done
    assert rows["INBOX"]["messages"] == "4" and rows["INBOX"]["uid_next"] == "6" and "Sent" in rows, rows
    assert home.is_dir() and not (home / "marker").exists()
    with instance.imap(user) as c:
        c.select()
        strip = [{seq: (m["UID"], set(m["FLAGS"]) - {b"\\Recent"}) for seq, m in got.items()}
                 for got in (before, c.fetch("1:*", "(UID FLAGS)"))]
        assert strip[0] == strip[1], strip


def test_age_of_garbage_is_a_setting(make):
    instance = make(users=2, config="obox_garbage_min_age = 1s\nobox_garbage_interval = 1s\n")
    user = instance.user(2)
    before = instance.storage.object_keys(instance.dir)
    instance.deliver(mails.small("x"), user)
    assert len(instance.storage.object_keys(instance.dir) - before) == 1
    with instance.imap(user) as c:
        c.select()
        c.do("STORE 1 +FLAGS (\\Deleted)")
        c.do("EXPUNGE")
    wait_until(lambda: instance.storage.object_keys(instance.dir) == before, "the object goes")


def test_verify_and_mistakes(make):
    instance = make(users=2)
    user = instance.user(1)
    done = instance.doveadm("mailbox", "verify", "-u", user, "INBOX")
    assert done.returncode == 0 and [row["mailbox"] for row in table(done)] == ["INBOX"], done
    done = instance.doveadm("mailbox", "verify", "-u", user, "nowhere")
    assert done.returncode == 68 and "nowhere" in done.stderr, done
    for words in (("mailbox", "verify"), ("force-resync", "INBOX"), ("storage", "status", "x"),
                  ("force-resync", "-u", user, "a", "b")):
        assert instance.doveadm(*words).returncode == 64, words
    instance.stop()
    done = instance.doveadm("storage", "status")
    assert done.returncode != 0 and "master" in done.stderr, done
