# SPDX-License-Identifier: Apache-2.0
"""Local state: its account, its limits, and what administrators do with it (doveadm metacache)."""

import concurrent.futures
import shutil

from kit import mails
from kit.doveadm import table
from kit.imap import ImapError
from kit.waiting import wait_until

STORAGES = ("local", "s3-cql")
FORMS = ("roles",)
OWN_INSTANCE = True
TIMEOUT_S = 180

BLOCK = 4096


def fill(instance, user, count=5):
    for i in range(count):
        instance.deliver(mails.small(f"n {i}"), user)
    with instance.imap(user) as c:
        c.select()
        c.do("STORE 2 +FLAGS (\\Flagged kept)")
        c.do("CREATE work")


def contents(instance, user):
    with instance.imap(user) as c:
        c.select()
        return {int(m["UID"]): set(m["FLAGS"]) - {b"\\Recent"} for m in c.fetch("1:*", "(UID FLAGS)").values()}


def listed(instance, *masks):
    done = instance.doveadm("metacache", "list", *masks)
    assert done.returncode == 0, done
    return {row["username"]: row for row in table(done)}


def on_disk(instance, user):
    """Bytes as they are counted: blocks, and one for each directory."""
    (home,) = instance.dir.glob(f"state/metacache/*/{user}")
    sizes = [BLOCK if p.is_dir() else -(-p.stat().st_size // BLOCK) * BLOCK for p in home.rglob("*")]
    return BLOCK + sum(sizes)


def used(row):
    return sum(int(row[f"bytes-used({p})"]) for p in range(4))


def closed(instance, user):
    """His last session has ended, and he was closed."""
    wait_until(lambda: instance.doveadm("obox", "user", "wait", "-u", user).returncode == 0, f"{user} is closed")


def test_the_account_is_what_is_there(make):
    instance = make(users=6, config="mail_worker_count = 2\nmetacache_close_delay = 1s\n")
    users = [instance.user(i) for i in range(1, 5)]
    for user in users:
        fill(instance, user)
    for user in users:
        wait_until(lambda: used(listed(instance)[user]) == on_disk(instance, user), f"{user} is accounted")
        row = listed(instance, user)[user]
        assert int(row["bytes-used(2)"]) > 0 and int(row["last-access(0)"]) >= int(row["last-access(2)"]) > 0, row
        assert row["last-service"] == "imap" and row["cleanup-weight"] and row["dev-major"], row
    assert set(listed(instance, "nobody*")) == set()
    done = instance.doveadm("metacache", "status", "-b")
    rows = [row for row in table(done) if row["what"] == "all" and row["worker"] != "host"]
    assert done.returncode == 0 and {row["worker"] for row in rows} == {"0", "1"}, done
    (host,) = [row for row in table(done) if row["worker"] == "host" and row["what"] == "all"]
    assert sum(int(row["bytes"]) for row in rows) == int(host["bytes"]) > 0, done
    done = instance.doveadm("metacache", "status", "--roots")
    assert any(row["what"].endswith("/metacache") for row in table(done)), done


def test_clean_asks_for_a_flush_and_loses_nothing(make):
    instance = make(users=3, config="metacache_close_delay = 1s\n")
    user = instance.user(2)
    fill(instance, user)
    before = contents(instance, user)
    with instance.imap(user) as c:
        c.select()
        done = instance.doveadm("metacache", "clean", "-u", user)
        assert done.returncode == 65 and "sessions" in done.stderr, done
        assert instance.doveadm("metacache", "refresh", "-u", user).returncode == 0
        c.do("NOOP")
    closed(instance, user)
    done = instance.doveadm("metacache", "clean", "-u", user)
    assert done.returncode == 65 and "flush" in done.stderr, done
    done = instance.doveadm("metacache", "flush", "-u", user)
    assert done.returncode == 0 and int(table(done)[0]["uploaded"]) > 0, done
    assert listed(instance)[user]["changes"] == "none"
    done = instance.doveadm("metacache", "clean", "-u", user, "-d", "2")
    assert done.returncode == 0 and table(done)[0]["bytes"] == "0", done
    wait_until(lambda: instance.doveadm("metacache", "clean", "-u", user).returncode == 0, "he is closed")
    assert not list(instance.dir.glob(f"state/metacache/*/{user}/*/log"))
    assert contents(instance, user) == before
    closed(instance, user)
    assert instance.doveadm("metacache", "refresh", "-u", user).returncode == 0
    assert contents(instance, user) == before
    for words in (("clean",), ("flush",), ("remove",), ("list", "-x"), ("clean", "-u", user, "-p", "9")):
        assert instance.doveadm("metacache", *words).returncode == 64, words


def test_room_is_made_by_dropping_whoever_was_here_longest_ago(make):
    instance = make(
        users=14, config="mail_worker_count = 2\nmetacache_close_delay = 1s\nmetacache_max_space = 150k\n"
        "metacache_max_grace = 100M\nmetacache_priority_weights =\nmetacache_size_weights =\n")
    users = [instance.user(i) for i in range(1, 13)]
    before = {}
    for user in users:
        fill(instance, user)
        before[user] = contents(instance, user)

    def host_bytes():
        rows = table(instance.doveadm("metacache", "status", "-b"))
        return int(next(row["bytes"] for row in rows if row["worker"] == "host" and row["what"] == "all"))

    wait_until(lambda: 0 < host_bytes() <= 150 << 10, "there is room")
    instance.wait_for_log("Local state of")
    logs = {path.parent.parent.name for path in instance.dir.glob("state/metacache/*/*/*/log")}
    assert set(users) - logs, logs
    with concurrent.futures.ThreadPoolExecutor(4) as pool:  # while others are dropped
        after = dict(zip(users, pool.map(lambda user: contents(instance, user), users)))
    assert after == before


def test_without_room_sessions_are_refused_and_mails_are_not(make):
    instance = make(users=3, config="metacache_max_space = 1k\nmetacache_max_grace = 1k\n")
    user, other = instance.user(1), instance.user(2)
    with instance.imap_again(user) as c:  # what was there at the start is dropped first
        c.select()
        with instance.connect() as refused:
            try:
                refused.login(other, instance.password)
                raise AssertionError("the login went well")
            except ImapError as e:
                assert "UNAVAILABLE" in str(e) and "room" in str(e), e
        instance.deliver(mails.small("x"), other)
        c.do("NOOP")
    assert int(next(row["users"] for row in table(instance.doveadm("metacache", "status"))
                    if row["what"] == "refused_logins")) >= 1


def test_after_a_kill_everybody_is_counted_again(make):
    instance = make(users=4, config="metacache_close_delay = 1s\n")
    users = [instance.user(i) for i in range(1, 4)]
    for user in users:
        fill(instance, user)
    before = {user: contents(instance, user) for user in users}
    instance.kill()
    instance.start()
    done = instance.doveadm("metacache", "rescan")
    assert done.returncode == 0 and sum(int(row["users"]) for row in table(done)) >= 3, done
    rows = listed(instance)
    assert {user: used(rows[user]) for user in users} == {user: on_disk(instance, user) for user in users}
    assert {user: contents(instance, user) for user in users} == before
    instance.stop()
    instance.start()
    rows = listed(instance)  # as it was saved
    assert all(used(rows[user]) > 0 and int(rows[user]["last-access(2)"]) > 0 for user in users), rows
    done = instance.doveadm("metacache", "remove", users[0])
    assert done.returncode == 0 and sum(int(row["removed"]) for row in table(done)) == 1, done
    assert users[0] not in listed(instance)
    done = instance.doveadm("metacache", "flushall", "-i")
    assert done.returncode == 0, done


def test_flags_without_journal_survive_a_stop_and_a_kill(make):
    instance = make(users=2, config="obox_flags_journal = off\n")
    user = instance.user(2)
    fill(instance, user)

    def flag(uid, word):
        """The session stays."""
        c = instance.imap(user)
        c.select()
        c.do(f"UID STORE {uid} +FLAGS ({word})")
        assert listed(instance)[user]["changes"] == "important"

    flag(1, "stopped")
    instance.stop()
    shutil.rmtree(instance.dir / "state" / "metacache")
    instance.start()
    assert b"stopped" in contents(instance, user)[1]
    flag(3, "killed")
    instance.kill()
    instance.start()
    flags = contents(instance, user)
    assert b"killed" in flags[3] and b"stopped" in flags[1] and b"kept" in flags[2], flags


def shelf(user):
    """The directory by the first byte of the hash (FNV-1a, 64 bits)."""
    value = 0xCBF29CE484222325
    for byte in user.encode():
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return f"{value & 0xFF:02x}"


def test_a_list_may_be_long(make):
    instance = make(users=2, config="mail_worker_count = 2\n")
    names = [f"somebody-whose-name-is-long-{i}@example.test" for i in range(1500)]
    for name in names:
        home = instance.dir / "state" / "metacache" / shelf(name) / name
        (home / f"{names.index(name):032x}").mkdir(parents=True)
    done = instance.doveadm("metacache", "rescan")
    assert done.returncode == 0 and sum(int(row["users"]) for row in table(done)) >= len(names), done
    rows = listed(instance, "somebody*")
    assert sorted(rows) == sorted(names)
    assert {used(row) for row in rows.values()} == {2 * BLOCK}
