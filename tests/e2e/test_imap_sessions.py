# SPDX-License-Identifier: Apache-2.0
"""Several sessions of one user: what each is told, and when (RFC 3501 §5.2, §7.4.1, RFC 2177)."""

import concurrent.futures
import random

from kit import mails
from kit.imap import fetched

FORMS = ("roles", "all-in-one")


def two_sessions(instance, count):
    user = instance.new_user()
    a, b = instance.imap(user), instance.imap(user)
    for i in range(1, count + 1):
        a.append("INBOX", mails.small(f"mail {i}"))
    a.select()
    b.select()
    return user, a, b


def exists(count):
    return lambda line: line[1:2] == [b"EXISTS"] and int(line[0]) == count


def test_idle_is_told_of_a_delivery(instance):
    user, a, b = two_sessions(instance, 1)
    with a, b:
        tag = a.idle()
        instance.deliver(mails.small("pushed"), user)
        a.wait_untagged(exists(2))
        a.idle_done(tag)
        assert a.fetch("2", "ENVELOPE")[2]["ENVELOPE"][1] == b"pushed"


def test_idle_is_told_of_another_sessions_changes(instance):
    _, a, b = two_sessions(instance, 3)
    with a, b:
        tag = a.idle()
        b.do("STORE 2 +FLAGS (\\Flagged)")
        lines = a.wait_untagged(lambda line: line[1:2] == [b"FETCH"])
        assert b"\\Flagged" in fetched(lines)[2]["FLAGS"]
        b.do("STORE 1 +FLAGS (\\Deleted)")
        b.do("EXPUNGE")
        a.wait_untagged(lambda line: line[1:2] == [b"EXPUNGE"] and line[0] == b"1")
        a.idle_done(tag)
        assert sorted(a.fetch("1:*", "FLAGS")) == [1, 2]


def test_idle_of_many_is_told(instance):
    user = instance.new_user()
    clients = [instance.imap(user) for _ in range(8)]
    for c in clients:
        c.select()
    tags = [c.idle() for c in clients]
    for i in range(1, 6):
        instance.deliver(mails.small(f"n {i}"), user)
    for c, tag in zip(clients, tags):
        c.wait_untagged(exists(5))
        c.idle_done(tag)
        c.close()


def test_idle_ends_with_done_only(instance):
    _, a, b = two_sessions(instance, 1)
    with a, b:
        tag = a.idle()
        a.send(b"NOOP\r\n")
        reply = a.read_reply(tag)
        assert reply.status == "BAD", reply
        a.do("NOOP")


def test_idle_without_mailbox(instance):
    with instance.imap(instance.new_user()) as c:
        c.idle_done(c.idle())


def test_client_that_leaves_while_idling(instance):
    user = instance.new_user()
    for _ in range(20):
        c = instance.imap(user)
        c.select()
        c.idle()
        c.close()
    instance.deliver(mails.small("after all"), user)
    with instance.imap(user) as c:
        assert c.select().exists == 1


def test_noop_tells_all(instance):
    user, a, b = two_sessions(instance, 3)
    with a, b:
        instance.deliver(mails.small("new"), user)
        b.do("NOOP")
        b.do("STORE 3 +FLAGS (\\Seen)")
        b.do("STORE 1 +FLAGS (\\Deleted)")
        b.do("EXPUNGE")
        reply = a.do("NOOP")
        assert [line[0] for line in reply.all("EXPUNGE")] == [b"1"], reply
        assert reply.number("EXISTS") in (3, 4), reply
        got = a.fetch("1:*", "(FLAGS ENVELOPE)")
        assert [got[n]["ENVELOPE"][1] for n in sorted(got)] == [b"mail 2", b"mail 3", b"new"]
        assert b"\\Seen" in got[2]["FLAGS"]


def test_expunge_is_withheld_during_fetch_store_search(instance):
    """RFC 3501 §7.4.1: no EXPUNGE while numbers are in use; UID commands may tell it."""
    _, a, b = two_sessions(instance, 4)
    with a, b:
        b.do("STORE 2 +FLAGS.SILENT (\\Deleted)")
        b.do("EXPUNGE")
        for command in ("FETCH 1:4 (UID FLAGS)", "SEARCH ALL", "STORE 1 +FLAGS (\\Flagged)"):
            reply = a.run(command)
            assert not reply.all("EXPUNGE"), (command, reply)
            assert reply.status in ("OK", "NO"), (command, reply)
        # The numbers still mean the same mails.
        got = a.fetch("4", "ENVELOPE")
        assert got[4]["ENVELOPE"][1] == b"mail 4"
        reply = a.do("NOOP")
        assert [line[0] for line in reply.all("EXPUNGE")] == [b"2"], reply
        assert a.fetch("3", "ENVELOPE")[3]["ENVELOPE"][1] == b"mail 4"


def test_store_by_the_other_while_expunged(instance):
    _, a, b = two_sessions(instance, 2)
    with a, b:
        b.do("STORE 1 +FLAGS.SILENT (\\Deleted)")
        b.do("EXPUNGE")
        assert a.run("STORE 1 +FLAGS (\\Seen)").status in ("OK", "NO")
        assert a.run("COPY 1 Trash").status in ("OK", "NO")
        a.do("NOOP")
        assert sorted(a.fetch("1:*", "FLAGS")) == [1]


def test_recent_belongs_to_one_session(instance):
    user = instance.new_user()
    instance.deliver(mails.small("recent"), user)
    with instance.imap(user) as a, instance.imap(user) as b:
        first = a.do("SELECT INBOX").number("RECENT")
        second = b.do("SELECT INBOX").number("RECENT")
        assert (first, second) == (1, 0)


def test_append_by_many_sessions(instance):
    user = instance.new_user()

    def run(n):
        with instance.imap(user) as c:
            return [int(c.append("INBOX", mails.marked(f"{n}-{i}", 300)).code[2]) for i in range(20)]

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        uids = [uid for part in pool.map(run, range(6)) for uid in part]
    assert len(set(uids)) == 120
    with instance.imap(user) as c:
        assert c.select().exists == 120
        assert sorted(int(m["UID"]) for m in c.fetch("1:*", "UID").values()) == sorted(uids)


class Mirror:
    """What a session has been told: sequence number -> (UID, flags)."""

    def __init__(self, client):
        self.client = client
        self.mails = []
        self.learn(client.do("SELECT INBOX").lines)
        self.fill()

    def learn(self, lines):
        for line in lines:
            word = line[1] if len(line) > 1 else None
            if word == b"EXPUNGE":
                del self.mails[int(line[0]) - 1]
            elif word == b"EXISTS":
                count = int(line[0])
                assert count >= len(self.mails), "EXISTS shrank without EXPUNGE"
                self.mails += [None] * (count - len(self.mails))
            elif word == b"FETCH":
                items = fetched([line])[int(line[0])]
                old = self.mails[int(line[0]) - 1] or (None, None)
                uid = int(items["UID"]) if "UID" in items else old[0]
                assert old[0] in (None, uid), "a sequence number changed its UID"
                flags = old[1]
                if "FLAGS" in items:
                    flags = frozenset(items["FLAGS"]) - {b"\\Recent"}
                self.mails[int(line[0]) - 1] = (uid, flags)

    def run(self, command):
        reply = self.client.run(command)
        self.learn(reply.lines)
        assert reply.status in ("OK", "NO"), (command, reply)

    def fill(self):
        """Asks for what is not known yet."""
        for n, mail in enumerate(self.mails, 1):
            if mail is None or None in mail:
                self.run(f"FETCH {n} (UID FLAGS)")

    def act(self, rng):
        count = len(self.mails)
        choice = rng.random()
        if choice < 0.3 or count == 0:
            reply = self.client.append("INBOX", mails.small(f"s {rng.random()}"))
            self.learn(reply.lines)
        elif choice < 0.6:
            n = rng.randint(1, count)
            sign = rng.choice("+-")
            flag = rng.choice(["\\Seen", "\\Flagged", "\\Deleted", "word"])
            self.run(f"STORE {n} {sign}FLAGS ({flag})")
        elif choice < 0.7:
            self.run("EXPUNGE")
        elif choice < 0.8:
            self.run(f"FETCH 1:{count} (UID FLAGS)")
        elif choice < 0.9:
            self.run(f"COPY {rng.randint(1, count)} INBOX")
        else:
            self.run("NOOP")
        self.fill()


def test_mirrors_of_concurrent_sessions_agree(instance):
    """Sessions change the same mailbox at random; at the end all have been told the same truth."""
    user = instance.new_user()
    seed = random.randrange(1 << 30)

    def run(n):
        rng = random.Random(seed + n)
        mirror = Mirror(instance.imap(user))
        for _ in range(60):
            mirror.act(rng)
        return mirror

    with concurrent.futures.ThreadPoolExecutor(5) as pool:
        mirrors = list(pool.map(run, range(5)))
    for mirror in mirrors:
        mirror.run("NOOP")
        mirror.fill()
    with instance.imap(user) as c:
        c.select()
        got = c.fetch("1:*", "(UID FLAGS)") if c.status("INBOX", "MESSAGES")["MESSAGES"] else {}
        truth = [(int(got[n]["UID"]), frozenset(got[n]["FLAGS"]) - {b"\\Recent"}) for n in sorted(got)]
    for mirror in mirrors:
        assert mirror.mails == truth, f"seed {seed}: {mirror.mails} instead of {truth}"
        mirror.client.close()
