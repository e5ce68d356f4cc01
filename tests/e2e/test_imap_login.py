# SPDX-License-Identifier: Apache-2.0
"""From connecting to LOGIN: greeting, TLS, authentication, what is allowed before it."""

import socket
import ssl
import time

from kit.imap import ConnectionEnded, Imap, Literal, quote
from kit.sasl import authenticate, base64_text, plain

FORMS = ("roles", "all-in-one")
CONFIG = "auth_failure_delay = 1s\n"


def capabilities(reply):
    lines = reply.all("CAPABILITY")
    return {word.decode().upper() for word in lines[-1][1:]}


def test_greeting_and_capability(instance):
    with instance.connect() as c:
        assert c.greeting[0] == b"OK", c.greeting
        have = capabilities(c.do("CAPABILITY"))
        assert {"IMAP4REV1", "AUTH=PLAIN", "LITERAL+", "ID"} <= have, have
        assert "LOGINDISABLED" not in have and "STARTTLS" not in have, have


def test_capability_after_login(instance):
    with instance.imap(instance.new_user()) as c:
        have = capabilities(c.do("CAPABILITY"))
        want = {"IMAP4REV1", "LITERAL+", "IDLE", "UIDPLUS", "MOVE", "NAMESPACE", "ID", "SPECIAL-USE"}
        assert want <= have, want - have
        assert not any(word.startswith("AUTH=") for word in have), have


def test_starttls(instance):
    user = instance.new_user()
    with instance.connect(is_tls=False) as c:
        c.do("STARTTLS")
        c.start_tls_now(instance.tls_context())
        have = capabilities(c.do("CAPABILITY"))
        assert "STARTTLS" not in have and "LOGINDISABLED" not in have, have
        c.refused("STARTTLS", status="BAD")
        c.login(user, instance.password)
        c.select()


def test_starttls_injection(instance):
    """What was sent in clear behind STARTTLS must not be executed inside TLS."""
    with instance.connect(is_tls=False) as c:
        c.send(b"a1 STARTTLS\r\na2 CAPABILITY\r\n")
        try:
            line = c.read_pieces()[0]
            assert line.startswith(b"a1 "), line
            if not line.startswith(b"a1 OK"):
                return
            c.start_tls_now(instance.tls_context())
            reply = c.do("NOOP")
            assert not reply.all("CAPABILITY"), reply
        except (ConnectionEnded, ConnectionError, ssl.SSLError):
            pass  # closing is as good


def test_tls_versions(instance):
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        tls = instance.tls_context()
        tls.minimum_version = tls.maximum_version = version
        with Imap(instance.host, instance.imaps_port, tls) as c:
            c.do("NOOP")
    old = instance.tls_context()
    old.minimum_version = ssl.TLSVersion.TLSv1
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    try:
        Imap(instance.host, instance.imaps_port, old).close()
    except (ssl.SSLError, ConnectionError):
        return
    raise AssertionError("TLS 1.1 was accepted")


def test_plain_bytes_on_the_tls_port(instance):
    with Imap.__new__(Imap) as c:  # no greeting will come
        c.sock = socket.create_connection((instance.host, instance.imaps_port), 10)
        c.sock.sendall(b"a1 CAPABILITY\r\n" * 10)
        try:
            while c.sock.recv(4096):
                pass
        except ConnectionError:
            pass
    with instance.connect() as c:
        c.do("NOOP")


def test_authenticate_plain(instance):
    user = instance.new_user()
    with instance.connect() as c:
        reply = authenticate(c, "PLAIN", plain(user, instance.password))
        assert reply.status == "OK", reply
        c.select()


def test_authenticate_login(instance):
    user = instance.new_user()
    words = [base64_text(w) for w in (user, instance.password)]
    with instance.connect() as c:
        reply = authenticate(c, "LOGIN", *words)
        assert reply.status == "OK", reply
        c.select()


def test_authenticate_badly(instance):
    user = instance.new_user()
    with instance.connect() as c:
        assert authenticate(c, "PLAIN", "*").status == "BAD"
        assert authenticate(c, "PLAIN", "!!! no base64 !!!").status in ("BAD", "NO")
    with instance.connect() as c:
        assert c.run("AUTHENTICATE X-NO-SUCH").status in ("BAD", "NO")
        assert authenticate(c, "PLAIN", plain(user, "wrong")).status == "NO"
        # Another user's mail: not with an ordinary user's password.
        other = authenticate(c, "PLAIN", plain(user, instance.password, instance.user(1)))
        assert other.status == "NO", other


def test_login_with_literals(instance):
    user = instance.new_user()
    for is_plus in (False, True):
        with instance.connect() as c:
            name, word = (Literal(w.encode(), is_plus) for w in (user, instance.password))
            c.do("LOGIN", name, word)
            c.select()


def test_wrong_password_and_unknown_user_look_the_same(instance):
    user = instance.new_user()
    answers = []
    for name, word in ((user, "wrong"), ("nobody@example.test", "wrong")):
        with instance.connect() as c:
            reply = c.refused("LOGIN", quote(name), quote(word))
            answers.append((reply.code, reply.text))
    assert answers[0] == answers[1], answers
    assert answers[0][0] == [b"AUTHENTICATIONFAILED"], answers


def test_refusal_takes_time(instance):
    """Guessing is slow: the refusal comes late, and a right password right after it is fine."""
    user = instance.new_user()
    with instance.connect() as c:
        began = time.monotonic()
        c.refused("LOGIN", quote(user), quote("wrong"))
        assert time.monotonic() - began > 0.2
        c.login(user, instance.password)


def test_login_case_of_user_name(instance):
    user = instance.new_user()
    with instance.connect() as c:
        c.login(user.upper(), instance.password)
        c.select()


def test_odd_names_and_passwords(instance):
    names = ("", " ", "../u2", "%{user}", "u2@example.test'--", "ü", "x" * 5000)
    for name in names:
        with instance.connect() as c:
            try:
                reply = c.run("LOGIN", Literal(name.encode()), Literal(b"p"))
                assert reply.status in ("NO", "BAD"), (name, reply)
            except ConnectionEnded:
                pass


def test_nothing_works_before_login(instance):
    for command in ("SELECT INBOX", 'LIST "" "*"', "FETCH 1 BODY[]", "STATUS INBOX (MESSAGES)",
                    "UID FETCH 1 FLAGS", "IDLE", "EXPUNGE", "NAMESPACE"):
        with instance.connect() as c:
            c.refused(command, status="BAD")


def test_bad_commands_end_the_connection(instance):
    with instance.connect() as c:
        try:
            for _ in range(20):
                c.run("NONSENSE")
        except ConnectionEnded as e:
            assert e.lines and e.lines[-1][0] == b"BYE", e.lines
            return
    raise AssertionError("20 bad commands before login and still connected")


def test_long_line_before_login(instance):
    with instance.connect() as c:
        try:
            assert c.run("LOGIN", "x" * 100_000).status == "BAD"
        except (ConnectionEnded, ConnectionError, ssl.SSLError):
            pass
    with instance.connect() as c:
        try:
            c.send(b"a LOGIN {4294967295+}\r\n" + b"x" * 100_000)
            assert c.read_pieces()[0][:5] in (b"a BAD", b"a NO ", b"* BYE")
        except (ConnectionEnded, ConnectionError, ssl.SSLError):
            pass


def test_id(instance):
    with instance.connect() as c:
        reply = c.do('ID ("name" "test" "version" NIL)')
        assert len(reply.all("ID")) == 1, reply
        c.login(instance.new_user(), instance.password)
        assert len(c.do("ID NIL").all("ID")) == 1


def test_logout(instance):
    for is_logged_in in (False, True):
        c = instance.connect()
        if is_logged_in:
            c.login(instance.new_user(), instance.password)
        reply = c.do("LOGOUT")
        assert [line[0] for line in reply.lines][-1:] == [b"BYE"], reply
        assert c.sock.recv(100) == b""
        c.close()


def test_pipelined_login_and_select(instance):
    """Commands behind LOGIN must reach the session although it is handed over."""
    user = instance.new_user()
    with instance.connect() as c:
        first = c.start("LOGIN", quote(user), quote(instance.password))
        second = c.start("SELECT INBOX")
        third = c.start("LOGOUT")
        assert c.read_reply(first).status == "OK"
        assert c.read_reply(second).number("EXISTS") == 0
        assert c.read_reply(third).status == "OK"


def test_byte_by_byte(instance):
    user = instance.new_user()
    with instance.connect() as c:
        for byte in f"a1 LOGIN {user} {quote(instance.password)}\r\na2 SELECT INBOX\r\n".encode():
            c.send(bytes([byte]))
        assert c.read_reply(b"a1").status == "OK"
        assert c.read_reply(b"a2").status == "OK"


def test_passwords_are_not_logged(instance):
    with instance.connect() as c:
        c.refused("LOGIN", quote(instance.new_user()), quote("tell-nobody-4711"))
    text = instance.log_text()
    assert "tell-nobody-4711" not in text
    assert instance.password not in text
