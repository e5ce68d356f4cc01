# SPDX-License-Identifier: Apache-2.0
"""LMTP's extensions: STARTTLS, chunks, XCLIENT, DSN parameters, UTF-8 addresses, details; a worker's death."""

import os
import signal
import subprocess
import time

from kit import mails
from kit.lmtp import Lmtp, LmtpEnded
from kit.testenv import need_program
from kit.waiting import PATIENCE_S, wait_for_success

FORMS = ("roles", "all-in-one")
CONFIG = """lmtp_max_mail_size = 10M
login_trusted_networks = 127.0.0.0/8
lmtp_hdr_delivery_address = original
lmtp_save_to_detail_mailbox = yes
lda_mailbox_autocreate = yes
lda_mailbox_autosubscribe = yes
mail_utf8_extensions = yes
auth_username_chars =
"""


def bodies(instance, user, mailbox="INBOX"):
    with instance.imap(user) as c:
        if c.select(mailbox).exists == 0:
            return []
        got = c.fetch("1:*", "(BODY.PEEK[])")
        return [got[n]["BODY[]"] for n in sorted(got)]


def words(reply):
    return {line.split()[0] for line in reply.lines[1:]}


def start_tls(c, instance):
    c.expect(220, "STARTTLS")
    c.sock = instance.tls_context().wrap_socket(c.sock, server_hostname="localhost")
    c.input = b""


def chunk(c, data, is_last=False):
    c.send(b"BDAT %d%s\r\n" % (len(data), b" LAST" if is_last else b"") + data)


def test_starttls(instance):
    user = instance.new_user()
    mail = mails.small("Over TLS")
    with Lmtp((instance.host, instance.lmtp_port), hello=None) as c:
        assert "STARTTLS" in words(c.expect(250, "LHLO a.example"))
        start_tls(c, instance)
        assert c.command("MAIL FROM:<s@example.org>").code == 503  # LHLO is forgotten
        assert "STARTTLS" not in words(c.expect(250, "LHLO a.example"))
        c.deliver(mail, user)
    (got,) = bodies(instance, user)
    assert got.endswith(mail) and b"with LMTPS\r\n" in got, got[:400]


def test_nothing_can_be_put_before_tls(instance):
    """What is sent behind STARTTLS in the clear is never a command of the TLS session."""
    for pause in (0, 0.05):
        with Lmtp((instance.host, instance.lmtp_port)) as c:
            if pause:
                c.send(b"STARTTLS\r\n")
                time.sleep(pause)  # it may arrive in a packet of its own, or not
                c.send(b"RSET\r\n")
            else:
                c.send(b"STARTTLS\r\nRSET\r\n")
            try:
                reply = c.read_reply()
                if reply.code == 220:
                    c.read_reply()
                assert reply.code in (220, 501), reply
                c.read_reply()
                raise AssertionError("the session went on")
            except (LmtpEnded, OSError, ValueError):
                pass


def test_openssl_starts_tls(instance):
    done = subprocess.run(
        ["openssl", "s_client", "-starttls", "lmtp", "-connect", f"{instance.host}:{instance.lmtp_port}", "-brief", "-ign_eof"],
        input="LHLO x.example\r\nQUIT\r\n", capture_output=True, text=True, timeout=PATIENCE_S)
    assert "CONNECTION ESTABLISHED" in done.stderr, done.stderr
    assert "221 2.0.0 Bye" in done.stdout, done.stdout


def test_chunks_keep_every_byte(instance):
    user = instance.new_user()
    every = bytes(b for b in range(1, 256) if b != 10)  # IMAP shows a lone LF as CRLF
    mail = b"Subject: chunks\r\n\r\n.\r\n..\r\n" + every * 500 + b"\r\nend without a line end"
    with instance.lmtp() as c:
        c.envelope("s@example.org", user)
        for at in range(0, len(mail), 10007):
            chunk(c, mail[at : at + 10007])
            assert c.read_reply().enhanced == "2.0.0"
        chunk(c, b"", True)
        assert c.read_reply().code == 250
    (got,) = bodies(instance, user)
    assert got.endswith(mail), (len(got), len(mail))


def test_chunks_in_one_packet(instance):
    user = instance.new_user()
    mail = mails.small("One packet")
    with instance.lmtp() as c:
        c.send(f"MAIL FROM:<s@example.org>\r\nRCPT TO:<{user}>\r\nRCPT TO:<nobody@example.test>\r\n".encode())
        chunk(c, mail[:50])
        chunk(c, mail[50:], True)
        codes = [c.read_reply().code for _ in range(5)]
        assert codes == [250, 250, 550, 250, 250], codes
        c.expect(250, "NOOP")
    (got,) = bodies(instance, user)
    assert got.endswith(mail)


def test_a_chunk_is_never_commands(instance):
    with instance.lmtp() as c:
        chunk(c, b"QUIT\r\nQUIT\r\n", True)
        assert c.read_reply().code == 503
        c.expect(250, "MAIL FROM:<s@example.org>")
        chunk(c, b"QUIT\r\n", True)
        assert c.read_reply().code == 554
        c.expect(250, "NOOP")


def test_xclient(instance):
    user = instance.new_user()
    mail = mails.small("Forwarded")
    with Lmtp((instance.host, instance.lmtp_port), hello=None) as c:
        assert {"XCLIENT", "XRCPTFORWARD"} <= words(c.expect(250, "LHLO proxy.example"))
        c.expect(220, "XCLIENT ADDR=192.0.2.77 PORT=4444 HELO=real.example SESSION=outer LOGIN=me")
        assert c.command("MAIL FROM:<s@example.org>").code == 503
        c.expect(250, "LHLO proxy.example")
        c.expect(250, "MAIL FROM:<s@example.org>")
        assert c.command("XCLIENT ADDR=192.0.2.78").code == 503
        c.expect(250, f"RCPT TO:<{user}> XRCPTFORWARD=a2V5PXZhbHVl")
        (reply,) = c.send_data(mail, 1)
        assert "outer:R1" in reply.text, reply
    (got,) = bodies(instance, user)
    assert b"Received: from real.example ([192.0.2.77])" in got and b"with LMTPA\r\n" in got, got[:500]
    instance.wait_for_log("lmtp<outer>")


def test_xclient_by_the_socket_is_refused(instance):
    with Lmtp(str(instance.dir / "run" / "lmtp")) as c:
        assert c.command("XCLIENT ADDR=192.0.2.77").enhanced == "5.7.14"


def test_swaks_with_xclient(instance):
    need_program("swaks")
    user = instance.new_user()
    done = subprocess.run(
        ["swaks", "--protocol", "LMTP", "--server", instance.host, "--port", str(instance.lmtp_port),
         "--to", user, "--xclient-addr", "192.0.2.5", "--xclient-optional-strict", "--body", "by swaks"],
        capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stdout + done.stderr
    (got,) = bodies(instance, user)
    assert b"by swaks" in got and b"[192.0.2.5]" in got, got[:400]


def test_dsn_parameters(instance):
    user = instance.new_user()
    mail = mails.small("DSN")
    with instance.lmtp() as c:
        c.expect(250, "MAIL FROM:<s@example.org> RET=HDRS ENVID=QQ314159 SIZE=500 BODY=8BITMIME")
        c.expect(250, f"RCPT TO:<{user}> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;first+2Blist@example.org")
        c.expect(501, f"RCPT TO:<{user}> NOTIFY=NEVER,DELAY")
        c.expect(501, f"RCPT TO:<{user}> ORCPT=rfc822;a+0Ab")
        c.send_data(mail, 1)
    (got,) = bodies(instance, user)
    assert b"Delivered-To: first+list@example.org\r\n" in got, got[:300]


def test_utf8_addresses(instance):
    with instance.lmtp() as c:
        assert c.command("MAIL FROM:<gül@example.org>").enhanced == "5.6.7"
        c.expect(250, "MAIL FROM:<gül@example.org> SMTPUTF8")
        reply = c.command("RCPT TO:<jörg@example.test>")
        assert reply.code == 550 and "jörg@example.test" in reply.text, reply


def test_details_name_mailboxes(instance):
    user = instance.new_user()
    local, domain = user.split("@")
    mail = mails.small("Detail")
    instance.deliver(mail, f"{local}+Lists@{domain}")
    assert bodies(instance, user) == []
    (got,) = bodies(instance, user, "Lists")
    assert got.endswith(mail)
    with instance.imap(user) as c:
        assert "Lists" in c.list_names(verb="LSUB")


def test_a_slow_client_holds_up_nobody(instance):
    slow, quick = instance.new_user(), instance.new_user()
    with instance.lmtp() as held:
        held.envelope("s@example.org", slow)
        held.expect(354, "DATA")
        held.send(b"Subject: half a mail\r\n")
        for i in range(20):
            instance.deliver(mails.small(f"quick {i}"), quick)
        held.send(b"\r\nthe rest\r\n.\r\n")
        assert held.read_reply().code == 250
    assert len(bodies(instance, quick)) == 20 and len(bodies(instance, slow)) == 1


def wait_until_the_others_have_it(instance, at):
    """All requests left at the same time: when for a second no mail more is saved, the rest are with the
    worker that does not answer."""
    instance.wait_for_log("saved mail to INBOX", at)
    count, since = 0, time.monotonic()
    while time.monotonic() < since + 1:
        now = instance.log_text()[at:].count("saved mail to INBOX")
        if now != count:
            count, since = now, time.monotonic()
        time.sleep(0.05)


def test_a_dead_worker_is_its_own_users_trouble(instance):
    """4xx for its recipients while it is away, 250 for the others; later everybody again."""
    if instance.is_all_in_one or len(instance.pids_of("mail")) < 2:
        return
    users = [instance.new_user() for _ in range(12)]
    mail = mails.small("To all")
    victim = instance.settled("mail")[0]
    at = len(instance.log_text())
    os.kill(victim, signal.SIGSTOP)  # its requests stay unanswered ...
    try:
        with instance.lmtp() as c:
            c.envelope("s@example.org", *users)
            c.expect(354, "DATA")
            c.send(mail + b".\r\n")
            wait_until_the_others_have_it(instance, at)
            os.kill(victim, signal.SIGKILL)  # ... and it dies with them
            codes = [c.read_reply().code for _ in users]
    finally:
        try:
            os.kill(victim, signal.SIGKILL)
        except ProcessLookupError:
            pass
    assert set(codes) <= {250, 451} and 250 in codes and 451 in codes, codes
    for user, code in zip(users, codes):
        wait_for_success(lambda to=user: instance.deliver(mail, to), f"a delivery to {user}")
        assert len(bodies(instance, user)) >= (2 if code == 250 else 1)
