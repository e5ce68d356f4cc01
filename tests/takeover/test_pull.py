# SPDX-License-Identifier: Apache-2.0
"""Local state that goes from one backend to the next: doveadm metacache pull, and sources that lie, break off
or have the older files."""

import socket
import struct
import sys
import threading
import time

from faults.clouds_kit import Cloud
from kit.doveadm import listable, table
from kit.doveadm_tcp import PASSWORD, Raw, settings
from kit.instance import free_port_base
from takeover.backends import (
    CLOSED_S, SURE, Picture, assert_follows, assert_verified, change, deliver, end, log_in, look, requests, reset_counts,
)

OWN_INSTANCE = True
FORMS = ("roles",)
STORAGES = ("s3-cql",)
TIMEOUT_S = 300

HEADER = struct.Struct("<8sB7x16sQ")
END, SNAPSHOT, LOG, SUMMARIES = range(4)


def pair(make, more=""):
    """(a backend that serves other hosts, another one, the address of the first)"""
    port = free_port_base()
    first = Cloud(make, f"{SURE}hostname = backend-1\n{settings(port)}", 20)
    second = Cloud(make, f"{SURE}hostname = backend-2\ndoveadm_password = {PASSWORD}\n{more}", 20, beside=first)
    return first, second, f"127.0.0.1:{port}"


def with_history(cloud, count=40):
    """(user, his INBOX)"""
    user = cloud.instance.new_user()
    deliver(cloud, user, "before", count)
    with log_in(cloud.instance, user) as client:
        client.do("CREATE Kept")
        client.select()
        client.do("COPY 1:2 Kept")
        client.do("STORE 3 +FLAGS (\\Flagged kept)")
        client.fetch("1:*", "(UID ENVELOPE)")
        return user, Picture(client)


def let_go(cloud, user):
    done = cloud.instance.doveadm("obox", "user", "wait", "-u", user)
    assert done.returncode == 0, done
    time.sleep(CLOSED_S)


def pull(cloud, user, source, *options):
    return cloud.instance.doveadm("metacache", "pull", "-u", user, *options, source)


def cost(cloud, user):
    """{what: how many} of a login and a look at everything: requests, and bytes that the stores sent."""
    reset_counts(cloud)
    with log_in(cloud.instance, user) as client:
        client.select()
        client.fetch("1:*", "(UID FLAGS ENVELOPE)")
        client.select("Kept")
    s3, cql = requests(cloud)
    return {"s3": sum(s3.values()), "cql": sum(cql.values()), "bytes": sum(proxy.counts().get("bytes in", 0) for proxy in (cloud.s3, cloud.cql)),
            "reads": reads(s3) | reads(cql)}


def reads(kinds):
    return {kind: n for kind, n in kinds.items() if kind.startswith(("GET", "HEAD", "EXECUTE SELECT"))}


def test_a_pulled_user_opens_without_a_base(make):
    a, b, source = pair(make)
    pulled, picture = with_history(a)
    plain, _ = with_history(a)
    for user in (pulled, plain):
        done = a.instance.doveadm("metacache", "flush", "-u", user)
        assert done.returncode == 0, done
    let_go(a, plain)
    for number in (5, 6, 7):
        look(b, b.instance.user(number))  # what a process does once is done
    cold = cost(b, plain)
    with log_in(a.instance, pulled) as client:
        client.select()
        client.idle()
        done = pull(b, pulled, source)
        assert done.returncode == 0, done
        client.wait_untagged(lambda line: "BYE" in str(line) and "UNAVAILABLE" in str(line), 20)
    (row,) = table(done)
    assert row["result"] == "done" and int(row["mailboxes"]) >= 2 and int(row["bytes"]) > 0, row
    warm = cost(b, pulled)
    print(f"cold: {cold}; pulled: {warm}, and {row['bytes']} bytes from the other host", file=sys.stderr)
    assert warm["s3"] == 0 and warm["cql"] < cold["cql"] and warm["bytes"] < cold["bytes"], (cold, warm)
    assert set(warm["reads"]) == {"EXECUTE SELECT user_heads"}, warm
    assert_follows(look(b, pulled), picture, is_equal=True)
    assert_verified(b, pulled)
    b.instance.wait_for_log("local state pulled from another host")
    a.instance.wait_for_log("local state sent to another host")
    assert_follows(change(b, pulled, "after"), look(b, pulled))
    end(a, b)


def test_clean_and_latest_only(make):
    a, b, source = pair(make)
    user, _ = with_history(a)
    let_go(a, user)
    after = change(b, user, "elsewhere")
    let_go(b, user)
    done = b.instance.doveadm("metacache", "flush", "-u", user)
    assert done.returncode == 0, done
    let_go(b, user)
    done = pull(b, user, source, "--latest-only")
    assert done.returncode == 65 and "newer" in done.stderr, done
    assert_follows(look(b, user), after, is_equal=True)
    let_go(b, user)
    done = pull(b, user, source, "--clean")  # older than what is here: the journal says the rest
    assert done.returncode == 0, done
    assert not list(a.instance.dir.glob(f"state/metacache/*/{user}/*/log"))
    assert_follows(look(b, user), after, is_equal=True)
    assert_verified(b, user)
    assert_follows(look(a, user), after, is_equal=True)
    end(a, b)


def test_who_is_in_use_here_is_not_pulled(make):
    a, b, source = pair(make)
    user, picture = with_history(a)
    let_go(a, user)
    with log_in(b.instance, user) as client:
        client.select()
        done = pull(b, user, source)
        assert done.returncode == 65 and "sessions" in done.stderr, done
        assert_follows(Picture(client), picture)
    assert pull(b, b.instance.user(9), source).returncode == 0  # nobody knows him: nothing comes
    assert pull(b, user, "127.0.0.1:1").returncode != 0
    end(a, b)


def test_all_users_are_pulled_but_those_in_use(make):
    names = [f"u{number}@example.test" for number in range(1, 6)]
    a, b, source = pair(make, listable(names))
    users = [with_history(a) for _ in range(3)]
    for user, _ in users:
        let_go(a, user)
    busy, picture = users[0]
    with log_in(b.instance, busy) as client:
        client.select()
        done = b.instance.doveadm("metacache", "pull", "-A", source)
        assert_follows(Picture(client), picture)
    rows = {row["user"]: row for row in table(done)}
    assert done.returncode == 65 and set(rows) == set(names), done
    assert rows.pop(busy)["result"] == "conflict" and {row["result"] for row in rows.values()} == {"done"}, done
    for user, picture in users:
        assert (int(rows[user]["mailboxes"]) >= 2) if user in rows else user == busy
        assert_follows(look(b, user), picture, is_equal=True)
        assert_verified(b, user)
    end(a, b)


# ---- sources that are none


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def packed(kind, mailbox, content, size=None):
    head = HEADER.pack(b"PMBPARC1", kind, mailbox, len(content) if size is None else size)
    return head + content + struct.pack("<I", crc32c(head + content))


def parcel_of(source, user):
    """[(kind, mailbox, content)] as the source sends it."""
    with Raw(int(source.rpartition(":")[2])) as raw:
        assert raw.log_in() == b"+\n"
        raw.send(f"\t{user}\tmetacache send\n".encode())
        word, size = raw.line().split()
        assert word == b"stream"
        data = raw.file.read(int(size))
        assert raw.line() == b"\n" and raw.line() == b"+\n"
    files, at = [], 0
    while at < len(data):
        magic, kind, mailbox, length = HEADER.unpack_from(data, at)
        assert magic == b"PMBPARC1"
        content = data[at + HEADER.size : at + HEADER.size + (length if kind != END else 0)]
        at += HEADER.size + len(content) + 4
        assert packed(kind, mailbox, content, length) == data[at - HEADER.size - len(content) - 4 : at]
        files.append((kind, mailbox, content))
    assert files.pop()[0] == END
    return files


def whole(files):
    return b"".join(packed(*file) for file in files) + packed(END, bytes(16), b"", len(files))


class Listener:
    """Takes one connection in a thread, by serve(); its address while it is entered."""

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()
        return f"127.0.0.1:{self.listener.getsockname()[1]}"

    def __exit__(self, *_):
        self.thread.join()
        self.listener.close()


class Impostor(Listener):
    """A host that knows the password and sends what it likes."""

    def __init__(self, data, promised=None, before_version=None):
        self.before_version = before_version
        self.reply = b"stream\t%d\n" % (len(data) if promised is None else promised) + data + b"\n+\n"
        if promised is not None:
            self.reply = self.reply[: -len(b"\n+\n")]

    def serve(self):
        connection, _ = self.listener.accept()
        with connection, connection.makefile("rb") as lines:
            connection.settimeout(30)
            lines.readline()
            if self.before_version:
                self.before_version()
            connection.sendall(b"VERSION\tdoveadm-client\t1\t0\n")
            lines.readline()
            connection.sendall(b"+\n")
            lines.readline()
            lines.readline()
            try:
                connection.sendall(self.reply)
            except OSError:
                pass  # refused in the middle


def test_what_is_wrong_is_refused_or_costs_nothing_but_a_base(make):
    a, b, source = pair(make)
    user, picture = with_history(a)
    let_go(a, user)
    files = parcel_of(source, user)
    data = whole(files)
    flipped = bytearray(data)
    flipped[len(data) // 2] ^= 1
    stranger = bytes(range(16))
    refused = {
        "half of it": (data[: len(data) // 2], len(data)),
        "nothing": (b"", len(data)),
        "another bit": (bytes(flipped), None),
        "more than that": (data + data, None),
        "another kind": (whole([(9, stranger, b"x")]), None),
        "no mailbox": (whole([(LOG, bytes(16), b"x")]), None),
        "a file without end": (packed(LOG, stranger, b"", 1 << 33), None),
        "too large a file": (packed(LOG, stranger, b"", 1 << 60), None),
        "twice the same": (whole([files[0], files[0]]), None),
        "not the count": (whole(files)[: -HEADER.size - 4] + packed(END, bytes(16), b"", 1000), None),
        "text": (b"../../../../etc/passwd" * 40, None),
    }
    for name, (bad, promised) in refused.items():
        with Impostor(bad, promised) as address:
            done = pull(b, user, address)
        assert done.returncode != 0, (name, done)
        home = list(b.instance.dir.glob(f"state/metacache/*/{user}/*"))
        assert [path.name for path in home] in (["lock"], []), (name, home)
    damaged = [(kind, box, bytes([*content[:-9], content[-9] ^ 1 if content else 0, *content[-8:]]) if len(content) > 9 else content)
               for kind, box, content in files]
    strange = [(kind, stranger, content) for kind, _, content in files[:1]]
    for wrong in (damaged, [(kind, box, content[: len(content) // 2]) for kind, box, content in files], strange):
        with Impostor(whole(wrong)) as address:
            done = pull(b, user, address)
        assert done.returncode == 0, done
        assert_follows(look(b, user), picture, is_equal=True)
        assert_verified(b, user)
        let_go(b, user)
    end(a, b)


def test_a_reload_while_a_source_lets_wait(make):
    a, b, source = pair(make)
    user, picture = with_history(a)
    let_go(a, user)
    assert b.instance.doveadm("reload").returncode == 0
    with Impostor(b"", 100, before_version=lambda: reload_twice(b.instance)) as address:
        done = pull(b, user, address)
    assert done.returncode == 75 and "closed the connection" in done.stderr, done
    assert_follows(look(b, user), picture, is_equal=True)
    end(a, b)


def reload_twice(instance):
    for _ in range(2):
        done = instance.doveadm("reload")
        assert done.returncode == 0, done


class Breaking(Listener):
    """On the way to the source: kills it when so many bytes have come from it."""

    def __init__(self, source, instance, after):
        self.source, self.instance, self.after = source, instance, after

    def serve(self):
        near, _ = self.listener.accept()
        host, _, port = self.source.rpartition(":")
        far = socket.create_connection((host, int(port)))
        forth = threading.Thread(target=self.copy, args=(near, far))
        forth.start()
        passed = 0
        while passed < self.after and (data := far.recv(1000)):
            near.sendall(data)
            passed += len(data)
        self.instance.kill()
        near.shutdown(socket.SHUT_RDWR)
        forth.join()
        near.close()
        far.close()

    @staticmethod
    def copy(near, far):
        try:
            while data := near.recv(1000):
                far.sendall(data)
        except OSError:
            pass


def test_the_source_dies_while_it_sends(make):
    a, b, source = pair(make)
    user, picture = with_history(a)
    let_go(a, user)
    with Breaking(source, a.instance, 10_000) as address:
        done = pull(b, user, address)
    assert done.returncode == 75 and "closed the connection" in done.stderr, done
    assert_follows(look(b, user), picture, is_equal=True)
    assert_verified(b, user)
    a.instance.start()
    assert_follows(look(a, user), picture, is_equal=True)
    end(a, b)
