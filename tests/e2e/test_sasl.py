# SPDX-License-Identifier: Apache-2.0
"""AUTHENTICATE by hand: steps, channel binding to a TLS session, what a balancer and a proxy say."""

import base64
import re
import select
import socket
import subprocess
import time

from kit.imap import quote
from kit.sasl import Scram
from kit.server import free_port
from kit.waiting import PATIENCE_S

FORMS = ("roles", "all-in-one")
# Known to no file of users: his password stands in the configuration, as SCRAM needs it.
USER = "bound@static.test"
BALANCED_PORT = free_port()
CONFIG = f"""
auth_mechanisms = plain login scram-sha-256 scram-sha-256-plus
auth_failure_delay = 0
passdb pencils {{
  driver = static
  passdb_static_password = pencil
}}
userdb static {{
  driver = static
  allow_all_users = yes
}}
service imap-login {{
  inet_listener balanced {{
    port = {BALANCED_PORT}
    haproxy = yes
  }}
}}
haproxy_trusted_networks = 127.0.0.0/8
"""


class Talk:
    """openssl s_client, which tells what its session exports."""

    def __init__(self, instance):
        self.child = subprocess.Popen(
            ["openssl", "s_client", "-connect", f"{instance.host}:{instance.imaps_port}", "-crlf",
             "-keymatexport", "EXPORTER-Channel-Binding", "-keymatexportlen", "32"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )
        self.text = b""

    def until(self, pattern):
        deadline = time.monotonic() + PATIENCE_S
        while not (found := re.search(pattern, self.text)):
            ready = select.select([self.child.stdout], [], [], deadline - time.monotonic())[0]
            assert ready, self.text
            more = self.child.stdout.read1(65536)
            assert more, self.text
            self.text += more
        self.text = self.text[found.end() :]
        return found

    def say(self, line):
        self.child.stdin.write(line.encode() + b"\n")
        self.child.stdin.flush()

    def close(self):
        self.child.kill()
        self.child.communicate()


def log_in_bound(instance, user, is_spoilt=False):
    talk = Talk(instance)
    try:
        exported = bytearray.fromhex(talk.until(rb"Keying material: ([0-9A-F]+)")[1].decode())
        talk.until(rb"AUTH=SCRAM-SHA-256-PLUS.*\r?\n")
        exported[0] ^= is_spoilt
        scram = Scram("SCRAM-SHA-256", user, "pencil")
        scram.bind(bytes(exported))
        talk.say("a AUTHENTICATE SCRAM-SHA-256-PLUS")
        challenge = b""
        while True:
            found = talk.until(rb"(\+ ([A-Za-z0-9+/=]*)|a (OK|NO|BAD).*)\r?\n")
            if found[3]:
                return found[3], scram.is_proved
            challenge = base64.b64decode(found[2])
            answer = scram(challenge)
            answer = answer.encode() if isinstance(answer, str) else answer
            talk.say(base64.b64encode(answer).decode())
    finally:
        talk.close()


def test_scram_is_bound_to_its_tls_session(instance):
    assert log_in_bound(instance, USER) == (b"OK", True)
    assert log_in_bound(instance, USER, is_spoilt=True) == (b"NO", False)


def test_plus_is_not_offered_without_tls(instance):
    with instance.connect(is_tls=False) as c:
        (line,) = c.do("CAPABILITY").all("CAPABILITY")
        words = {word.upper() for word in line[1:]}
        assert b"AUTH=SCRAM-SHA-256" in words and b"AUTH=SCRAM-SHA-256-PLUS" not in words, words


def test_a_client_that_gives_up_may_try_again(instance):
    user = instance.new_user()
    with instance.connect() as c:
        tag = c.start("AUTHENTICATE SCRAM-SHA-256")
        c.read_pieces()
        c.send(base64.b64encode(b"n,,n=x,r=abcdefghij") + b"\r\n")
        assert c.read_pieces()[0].startswith(b"+ ")
        c.send(b"*\r\n")
        assert c.read_reply(tag).status == "BAD"
        c.login(user, instance.password)
        c.select()


def balanced(instance, header):
    sock = socket.create_connection((instance.host, BALANCED_PORT), PATIENCE_S)
    sock.sendall(header)
    return sock


def test_a_balancer_names_the_client(instance):
    user = instance.new_user()
    with balanced(instance, b"PROXY TCP4 192.0.2.77 192.0.2.78 4000 143\r\n") as sock:
        assert sock.recv(4096).startswith(b"* OK")
        sock.sendall(f"a LOGIN {quote(user)} {quote(instance.password)}\r\n".encode())
        assert b"a OK" in sock.recv(4096)
        sock.sendall(b"b LOGOUT\r\n")
    instance.wait_for_log(re.compile(rf"Login: user=<{re.escape(user)}>.* rip=192\.0\.2\.77"))


def test_without_a_header_nobody_comes_in(instance):
    with balanced(instance, b"a LOGIN x y\r\n") as sock:
        assert sock.recv(4096) == b""


def test_attempts_end(instance):
    with instance.connect() as c:
        for _ in range(9):
            assert c.run("LOGIN", quote("u1@example.test"), quote("wrong")).status == "NO"
        reply = c.run("LOGIN", quote("u1@example.test"), quote("wrong"))
        assert reply.status == "NO", reply
        assert c.sock.recv(4096) in (b"", b"* BYE Too many failed authentication attempts.\r\n")
