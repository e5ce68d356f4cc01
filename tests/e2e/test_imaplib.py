# SPDX-License-Identifier: Apache-2.0
"""Python's imaplib and mailbox-style use: what scripts do."""

import email
import imaplib

from kit import mails
from kit.waiting import PATIENCE_S

FORMS = ("roles", "all-in-one")


def login(instance, user):
    client = imaplib.IMAP4_SSL(
        "localhost", instance.imaps_port, ssl_context=instance.tls_context(), timeout=PATIENCE_S
    )
    client.login(user, instance.password)
    return client


def good(answer):
    status, data = answer
    assert status == "OK", answer
    return data


def test_session(instance):
    user = instance.new_user()
    for i in range(3):
        instance.deliver(mails.small(f"number {i}", f"text {i}\r\n"), user)
    client = login(instance, user)
    assert good(client.select("INBOX")) == [b"3"]
    assert good(client.search(None, "SUBJECT", '"number 1"')) == [b"2"]
    ((_, raw), _) = good(client.fetch("2", "(RFC822)"))
    message = email.message_from_bytes(raw)
    assert message["Subject"] == "number 1" and message.get_payload() == "text 1\r\n"
    good(client.store("2", "+FLAGS", r"(\Deleted \Flagged)"))
    assert good(client.expunge()) == [b"2"]
    good(client.create("Filed"))
    good(client.copy("1:2", "Filed"))
    assert good(client.status("Filed", "(MESSAGES)")) == [b"Filed (MESSAGES 2)"]
    good(client.append("Filed", r"(\Seen)", imaplib.Time2Internaldate(1741080030), mails.small("own")))
    good(client.rename("Filed", "Kept"))
    good(client.subscribe("Kept"))
    assert any(b"Kept" in line for line in good(client.lsub()))
    assert any(b"Kept" in line for line in good(client.list()))
    good(client.select("Kept", readonly=True))
    assert good(client.uid("SEARCH", None, "ALL")) == [b"1 2 3"]
    good(client.close())
    good(client.delete("Kept"))
    good(client.namespace())
    client.logout()


def test_starttls(instance):
    user = instance.new_user()
    client = imaplib.IMAP4("localhost", instance.imap_port, timeout=PATIENCE_S)
    client.starttls(instance.tls_context())
    client.login(user, instance.password)
    good(client.select())
    client.logout()


def test_authenticate(instance):
    user = instance.new_user()
    client = imaplib.IMAP4_SSL("localhost", instance.imaps_port, ssl_context=instance.tls_context())
    good(client.authenticate("PLAIN", lambda _: f"\0{user}\0{instance.password}".encode()))
    client.logout()


def test_wrong_password(instance):
    client = imaplib.IMAP4_SSL("localhost", instance.imaps_port, ssl_context=instance.tls_context())
    try:
        client.login(instance.new_user(), "wrong")
    except imaplib.IMAP4.error as e:
        assert "AUTHENTICATIONFAILED" in str(e)
    else:
        raise AssertionError("a wrong password was accepted")
    client.logout()
