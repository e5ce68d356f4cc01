# SPDX-License-Identifier: Apache-2.0
"""The LMTP dialogue: RFC 2033, with SMTP's rules of RFC 5321 below it."""

from kit import mails
from kit.lmtp import Lmtp, LmtpEnded, stuffed

FORMS = ("roles", "all-in-one")
CONFIG = "lmtp_max_mail_size = 1M\nrecipient_delimiter = +\n"


def bodies(instance, user):
    """Raw mails of a user's INBOX, oldest first."""
    with instance.imap(user) as c:
        if c.select().exists == 0:
            return []
        got = c.fetch("1:*", "(BODY.PEEK[])")
        return [got[n]["BODY[]"] for n in sorted(got)]


def assert_saved(instance, user, *expected):
    got = bodies(instance, user)
    assert len(got) == len(expected), (len(got), len(expected))
    for have, want in zip(got, expected):
        assert have.endswith(want), (have[-300:], want[-300:])


def test_greeting_and_features(instance):
    with Lmtp((instance.host, instance.lmtp_port), hello=None) as c:
        assert c.greeting.code == 220
        reply = c.command("LHLO client.example.test")
        assert reply.code == 250
        words = {line.split()[0] for line in reply.lines[1:]}
        assert {"PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "SIZE"} <= words, reply
        # RFC 2033 §4.1: no HELO, no EHLO.
        for verb in ("HELO", "EHLO"):
            assert 500 <= c.command(f"{verb} client.example.test").code <= 503
        c.quit()


def test_delivery_is_stored_byte_for_byte(instance):
    user = instance.new_user()
    mail = mails.small("One", "First.\r\n\r\n  spaces  \r\n\ttab\r\n")
    (reply,) = instance.deliver(mail, user)
    assert reply.enhanced == "2.0.0" and user in reply.text, reply
    assert_saved(instance, user, mail)


def test_trace_headers_are_prepended(instance):
    user = instance.new_user()
    mail = mails.small("Trace")
    instance.deliver(mail, user)
    (got,) = bodies(instance, user)
    head = got[: -len(mail)].decode()
    assert head.startswith("Return-Path: <sender@example.org>\r\n"), head
    assert f"Delivered-To: {user}\r\n" in head, head
    assert "\r\nReceived: from client.example.test" in head, head
    assert f"for <{user}>" in head, head


def test_empty_sender(instance):
    user = instance.new_user()
    with instance.lmtp() as c:
        c.deliver(mails.small("Bounce"), user, sender="")
    (got,) = bodies(instance, user)
    assert got.startswith(b"Return-Path: <>\r\n"), got[:200]


def test_several_recipients_have_a_reply_each(instance):
    users = [instance.new_user() for _ in range(3)]
    mail = mails.small("For three")
    replies = instance.deliver(mail, *users)
    for user, reply in zip(users, replies):
        assert user in reply.text, reply
        assert_saved(instance, user, mail)


def test_unknown_recipient_among_known_ones(instance):
    first, last = instance.new_user(), instance.new_user()
    mail = mails.small("Mixed")
    with instance.lmtp() as c:
        c.expect(250, "MAIL FROM:<s@example.org>")
        c.expect(250, f"RCPT TO:<{first}>")
        reply = c.expect(550, "RCPT TO:<nobody@example.test>")
        assert reply.enhanced == "5.1.1", reply
        c.expect(250, f"RCPT TO:<{last}>")
        replies = c.send_data(mail, 2)
        assert [r.code for r in replies] == [250, 250], replies
        assert first in replies[0].text and last in replies[1].text
        assert c.command("NOOP").code == 250  # exactly two replies came
    assert_saved(instance, first, mail)
    assert_saved(instance, last, mail)


def test_no_valid_recipient(instance):
    with instance.lmtp() as c:
        c.expect(250, "MAIL FROM:<s@example.org>")
        c.expect(550, "RCPT TO:<nobody@example.test>")
        reply = c.command("DATA")
        assert reply.code in (503, 554), reply
        c.expect(250, "NOOP")


def test_same_recipient_twice(instance):
    user = instance.new_user()
    mail = mails.small("Twice")
    replies = instance.deliver(mail, user, user)
    assert len(replies) == 2
    assert 1 <= len(bodies(instance, user)) <= 2


def test_order_of_commands(instance):
    user = instance.new_user()
    with Lmtp((instance.host, instance.lmtp_port), hello=None) as c:
        assert c.command("MAIL FROM:<s@example.org>").code in (503, 250)
    with instance.lmtp() as c:
        c.expect(503, f"RCPT TO:<{user}>")
        assert c.command("DATA").code in (503, 554)
        c.expect(250, "MAIL FROM:<s@example.org>")
        c.expect(503, "MAIL FROM:<s@example.org>")
        c.expect(250, f"RCPT TO:<{user}>")
        c.expect(250, "RSET")
        c.expect(503, f"RCPT TO:<{user}>")
        c.expect(252, f"VRFY {user}")
        reply = c.command("FROBNICATE now")
        assert reply.code == 500 and reply.enhanced == "5.5.1", reply
        c.expect(250, "NOOP")
        c.quit()
    assert bodies(instance, user) == []


def test_bad_syntax(instance):
    with instance.lmtp() as c:
        for line in ("MAIL FROM:nonsense here", "MAIL", "MAIL FROM:<a@b", "MAIL TO:<a@b.org>"):
            assert c.command(line).code in (500, 501), line
        reply = c.command("MAIL FROM:<a@example.org> FUTURE=x")
        assert reply.code == 555, reply
        c.expect(250, "MAIL FROM:<a@example.org>")
        for line in ("RCPT TO:", "RCPT TO:<>", "RCPT TO:<a b@example.test>"):
            assert 500 <= c.command(line).code <= 599, line


def test_pipelining(instance):
    user = instance.new_user()
    mail = mails.small("Pipelined")
    group = f"MAIL FROM:<s@example.org>\r\nRCPT TO:<{user}>\r\nRCPT TO:<nobody@example.test>\r\n"
    with instance.lmtp() as c:
        c.send(f"{group}DATA\r\n".encode())
        assert [c.read_reply().code for _ in range(4)] == [250, 250, 550, 354]
        # The next transaction follows the mail without a wait (RFC 2920).
        c.send(stuffed(mail) + f"{group}RSET\r\nQUIT\r\n".encode())
        assert [c.read_reply().code for _ in range(6)] == [250, 250, 250, 550, 250, 221]
    assert_saved(instance, user, mail)


def test_bytes_one_by_one(instance):
    user = instance.new_user()
    mail = mails.small("Slow", ".\r\n..\r\n")
    with instance.lmtp() as c:
        c.envelope("s@example.org", user)
        c.expect(354, "DATA")
        for byte in stuffed(mail):
            c.send(bytes([byte]))
        assert c.read_reply().code == 250
    assert_saved(instance, user, mail)


def test_dots(instance):
    user = instance.new_user()
    mail = mails.small("Dots", ".\r\n..\r\n...\r\n.leading\r\ntrailing.\r\n. \r\n.\r\n")
    instance.deliver(mail, user)
    assert_saved(instance, user, mail)


def test_smuggling(instance):
    """Only CRLF.CRLF ends the data: whatever else looks like an end is part of the mail."""
    ends = [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r.\r\n", b"\n\n.\r\r\n"]
    for end in ends:
        user, victim = instance.new_user(), instance.new_user()
        smuggled = f"MAIL FROM:<evil@example.org>\r\nRCPT TO:<{victim}>\r\nDATA\r\n".encode()
        mail = mails.small("Smuggle") + b"text" + end + smuggled + mails.small("Smuggled")
        with instance.lmtp() as c:
            c.envelope("s@example.org", user)
            c.expect(354, "DATA")
            c.send(mail + b"\r\n.\r\n")
            reply = c.read_reply()
            assert reply.code == 250 or 500 <= reply.code < 600, (end, reply)
            assert c.command("NOOP").code == 250, end
        assert bodies(instance, victim) == [], end
        if reply.code == 250:
            (got,) = bodies(instance, user)
            # Bare line ends may be kept or made CRLF; nothing may be missing.
            assert b"MAIL FROM:<evil@example.org>" in got and b"Smuggled" in got, end


def test_eight_bit(instance):
    user = instance.new_user()
    mail = mails.small("Eight bit") + "schön ☃\r\n".encode() + bytes(range(0x80, 0x100)) + b"\r\n"
    with instance.lmtp() as c:
        c.expect(250, "MAIL FROM:<s@example.org> BODY=8BITMIME")
        c.expect(250, f"RCPT TO:<{user}>")
        (reply,) = c.send_data(mail, 1)
        assert reply.code == 250, reply
    assert_saved(instance, user, mail)


def test_size_is_announced_and_enforced(instance):
    user = instance.new_user()
    with instance.lmtp() as c:
        (size,) = [line for line in c.features if line.startswith("SIZE")]
        assert size.split()[1] == str(1 << 20), size
        reply = c.command(f"MAIL FROM:<s@example.org> SIZE={(1 << 20) + 1}")
        assert reply.code == 552 and reply.enhanced == "5.3.4", reply
        c.expect(250, "MAIL FROM:<s@example.org> SIZE=1000")
        c.expect(250, "RSET")
        # Said nothing, sends too much: the data is read to its end, then refused.
        c.envelope("s@example.org", user)
        c.expect(354, "DATA")
        c.send(stuffed(mails.small("Too big", ("x" * 998 + "\r\n") * 1200)))
        reply = c.read_reply()
        assert reply.code == 552 and reply.enhanced == "5.3.4", reply
        mail = mails.small("Fits", ("x" * 998 + "\r\n") * 1000)
        c.deliver(mail, user)
    assert_saved(instance, user, mail)


def test_long_lines(instance):
    with instance.lmtp() as c:
        try:
            reply = c.command("NOOP " + "x" * 200_000)
            assert 500 <= reply.code < 600 or reply.code == 421, reply
        except (LmtpEnded, ConnectionError):
            pass
    user = instance.new_user()
    mail = mails.small("Long line", "y" * 300_000 + "\r\n")
    instance.deliver(mail, user)
    assert_saved(instance, user, mail)


def test_address_detail(instance):
    user = instance.new_user()
    local, domain = user.split("@")
    mail = mails.small("Detail")
    instance.deliver(mail, f"{local}+folder@{domain}")
    assert_saved(instance, user, mail)


def test_address_case(instance):
    user = instance.new_user()
    mail = mails.small("Case")
    instance.deliver(mail, user.upper())
    assert_saved(instance, user, mail)


def test_address_source_route_and_quotes(instance):
    user = instance.new_user()
    local, domain = user.split("@")
    mail = mails.small("Forms")
    with instance.lmtp() as c:
        c.deliver(mail, f"@relay.example.org:{user}")
        c.deliver(mail, f'"{local}"@{domain}')
    assert_saved(instance, user, mail, mail)


def test_hostile_recipients(instance):
    """Names that would leave a directory or break a query are no users."""
    names = ["../u1@example.test", "u1%00@example.test", "u1/../../etc@example.test", "'@example.test",
             "%{user}@example.test", "*@example.test", "x" * 900 + "@example.test"]
    with instance.lmtp() as c:
        c.expect(250, "MAIL FROM:<s@example.org>")
        for name in names:
            reply = c.command(f"RCPT TO:<{name}>")
            assert 500 <= reply.code < 600, (name, reply)


def test_client_leaves_in_the_middle(instance):
    user = instance.new_user()
    with instance.lmtp() as c:
        c.envelope("s@example.org", user)
        c.expect(354, "DATA")
        c.send(mails.small("Never ends"))
    assert bodies(instance, user) == []


def test_many_mails_on_one_connection(instance):
    user = instance.new_user()
    sent = [mails.marked(f"serial-{i}", 500) for i in range(50)]
    with instance.lmtp() as c:
        for mail in sent:
            c.deliver(mail, user)
        c.quit()
    assert_saved(instance, user, *sent)


def test_unix_socket(instance):
    path = instance.dir / "run" / "lmtp"
    user = instance.new_user()
    mail = mails.small("By socket")
    with Lmtp(str(path)) as c:
        c.deliver(mail, user)
    assert_saved(instance, user, mail)


def test_no_memory_is_needed_for_many_bad_commands(instance):
    with instance.lmtp() as c:
        try:
            for _ in range(100):
                if c.command("NONSENSE").code == 421:
                    break
            else:
                raise AssertionError("100 bad commands and still connected")
        except (LmtpEnded, ConnectionError):
            pass
