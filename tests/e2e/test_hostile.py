# SPDX-License-Identifier: Apache-2.0
"""Clients that mean harm or mean nothing: they must cost the others nothing, and end as they should."""

import contextlib
import os
import random
import re
import signal
import socket
import time

from kit.instance import is_running
from kit.waiting import PATIENCE_S, wait_for_success, wait_until

OWN_INSTANCE = True
FORMS = ("roles", "all-in-one")

CONNECTION_LIMIT = 60
FEW_CONNECTIONS = "service imap-login {\n  client_limit = %d\n}\n" % CONNECTION_LIMIT


def open_raw(instance, is_tls=False):
    port = instance.imaps_port if is_tls else instance.imap_port
    return socket.create_connection((instance.host, port), PATIENCE_S)


def login_works(instance, user=1):
    with instance.imap(instance.user(user)) as client:
        client.do("NOOP")


def read_to_end(sock):
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := sock.recv(1 << 16):
            data += piece
    return data


def crowd(instance, first_words, is_tls=False):
    """Many more connections than there is room for, all stuck after `first_words`."""
    out = []
    for _ in range(4 * CONNECTION_LIMIT):
        sock = open_raw(instance, is_tls)
        with contextlib.suppress(ConnectionError):  # it may have made room already
            sock.sendall(first_words)
        out.append(sock)
    return out


def test_crowds_before_login_keep_nobody_out(make):
    instance = make(users=2, config=FEW_CONNECTIONS)
    stuck_at = (
        (b"", False),
        (b"a LOGI", False),
        (b"a LOGIN {8000+}\r\n" + b"x" * 7900, False),
        (b"a AUTHENTICATE PLAIN\r\n", False),
        (b"a STARTTLS\r\n", False),
        (b"\x16\x03\x01\x02\x00\x01", True),
    )
    for words, is_tls in stuck_at:
        socks = crowd(instance, words, is_tls)
        # While all that are served are ending, a newcomer is told to come again.
        wait_for_success(lambda: login_works(instance), "a login beside the crowd")
        open_count = 0
        for sock in socks:
            sock.settimeout(0.01)
            try:
                open_count += bool(sock.recv(4096)) and not is_ended(sock)
            except TimeoutError:
                open_count += 1
            except ConnectionError:
                pass
        # Each of the login processes has its limit.
        assert open_count <= 2 * CONNECTION_LIMIT, (words[:20], is_tls, open_count)
        for sock in socks:
            sock.close()


def is_ended(sock):
    try:
        while sock.recv(4096):
            pass
        return True
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def test_clients_that_drop_out_at_each_stage(make):
    instance = make(users=2)
    login = f"a LOGIN {instance.user(1)} {instance.password}\r\n".encode()
    words = (
        b"",
        b"a LO",
        login,
        login + b"b SELECT INBOX\r\nc IDLE\r\n",
        login + b"b APPEND INBOX {1000+}\r\nhalf",
        b"a LOGIN x wrong\r\n",
        b"a AUTHENTICATE PLAIN\r\n",
        b"a STARTTLS\r\n\x16\x03\x01",
    )
    chance = random.Random(7)
    for i in range(300):
        sock = open_raw(instance, is_tls=i % 5 == 0)
        if i % 3 == 0:  # a reset instead of an orderly end
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        with contextlib.suppress(ConnectionError):
            sock.sendall(chance.choice(words))
        time.sleep(chance.choice((0, 0, 0.005)))
        sock.close()
    login_works(instance)
    assert not instance.problems()


def test_a_pipeline_that_nobody_reads(make):
    instance = make(users=2)
    sock = open_raw(instance)
    sock.settimeout(0.5)
    flood = b"a NOOP\r\n" * 10000
    with contextlib.suppress(TimeoutError):
        for _ in range(1000):
            sock.sendall(flood)
        raise AssertionError("80 MB of commands were taken from a client that reads no answer")
    login_works(instance)
    sock.close()


def test_an_endless_line_ends_idle(make):
    instance = make(users=2)
    with instance.imap(instance.user(1)) as client:
        client.send(b"i IDLE\r\n")
        client.send(b"x" * 100000 + b"\r\nj NOOP\r\nk LOGOUT\r\n")
        text = client.input + read_to_end(client.sock)
    assert re.findall(rb"^([ijk]) (OK|NO|BAD)", text, re.M) == [(b"i", b"BAD"), (b"j", b"OK"), (b"k", b"OK")]


def test_everybody_hears_of_a_shutdown(make):
    instance = make(users=2)
    clients = {}
    for name, is_tls in (("plain", False), ("tls", True)):
        client = instance.connect(is_tls=is_tls)
        client.login(instance.user(1), instance.password)
        client.select()
        client.send(b"i IDLE\r\n")
        assert client.read_pieces()[0].startswith(b"+")
        clients[name] = client.sock
    for name, words in (("greeted", b""), ("half a command", b"a LOGI"), ("sasl", b"a AUTHENTICATE PLAIN\r\n")):
        sock = open_raw(instance)
        assert sock.recv(4096).startswith(b"* OK")
        sock.sendall(words)
        clients[name] = sock
    os.kill(instance.pid, signal.SIGTERM)
    for name, sock in clients.items():
        last_words = read_to_end(sock)
        assert b"* BYE Server shutting down." in last_words, (name, last_words)
    wait_until(lambda: not is_running(instance.pid), "the stop, which nobody holds up")
    assert not instance.problems()
