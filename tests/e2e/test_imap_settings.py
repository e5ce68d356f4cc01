# SPDX-License-Identifier: Apache-2.0
"""Settings of protocol imap with real programs: mails that cannot be read, the last log line, a slow
client that is parked."""

import time

from kit import mails
from kit.imap import ConnectionEnded

FORMS = ("roles", "all-in-one")
OWN_INSTANCE = True
MAILS = 3


def lose_second_mail(instance, client):
    """Appends three mails and takes the second one's object away behind the server's back."""
    storage = instance.storage
    before, lost = storage.object_keys(instance.dir), None
    for i in range(MAILS):
        client.append("INBOX", mails.small(f"mail {i}"))
        now = storage.object_keys(instance.dir)
        if i == 1:
            (lost,) = now - before
        before = now
    storage.lose_object(instance.dir, lost)
    client.select()


def subjects_fetched(lines):
    return len([line for line in lines if line[1:2] == [b"FETCH"]])


def failing(make, config):
    instance = make(config=config)
    client = instance.imap(instance.new_user())
    lose_second_mail(instance, client)
    return instance, client


def ended_by(client, command):
    """The lines before the server ended the connection."""
    try:
        client.run(command)
    except ConnectionEnded as end:
        return end.lines
    raise AssertionError("still connected")


def test_fetch_failure_disconnects_at_once(make):
    instance, client = failing(make, "imap_fetch_failure = disconnect-immediately\n")
    lines = ended_by(client, "FETCH 1:3 BODY.PEEK[]")
    assert subjects_fetched(lines) == 1, lines
    assert lines[-1][0] == b"BYE" and b"FETCH failed" in lines[-1][2], lines
    instance.wait_for_log("is lost")


def test_fetch_failure_disconnects_after(make):
    _, client = failing(make, "imap_fetch_failure = disconnect-after\n")
    lines = ended_by(client, "FETCH 1:3 BODY.PEEK[]")
    assert subjects_fetched(lines) == 2, lines
    assert lines[-1][0] == b"BYE", lines


def test_fetch_failure_says_no(make):
    _, client = failing(make, "imap_fetch_failure = no-after\n")
    reply = client.run("FETCH 1:3 BODY.PEEK[]")
    assert reply.status == "NO" and reply.code == [b"SERVERBUG"], reply
    assert subjects_fetched(reply.lines) == 2, reply
    assert client.run("FETCH 1:3 FLAGS").status == "OK"


def test_logout_format(make):
    instance = make(
        config="imap_logout_format = %{user} a=%{appended} d=%{deleted} e=%{expunged} "
        "t=%{trashed} h=%{fetch_hdr_count} b=%{fetch_body_count}/%{fetch_body_bytes}\n")
    user = instance.new_user()
    with instance.imap(user) as client:
        client.append("INBOX", mails.small("one"))
        client.append("INBOX", mails.small("two"))
        client.select()
        assert client.run("COPY 1 Trash").status == "OK"
        assert client.run("FETCH 1 BODY.PEEK[HEADER.FIELDS (SUBJECT)]").status == "OK"
        reply = client.run("FETCH 2 BODY.PEEK[TEXT]")
        assert reply.status == "OK"
        client.run("STORE 2 +FLAGS.SILENT (\\Deleted)")
        client.run("EXPUNGE")
        client.run("LOGOUT")
    instance.wait_for_log(f"Logged out {user} a=2 d=1 e=1 t=1 h=1 b=1/")


def test_slow_reader_gets_everything(make):
    """A client that stops reading for a while in the middle of a big mail."""
    instance = make()
    user = instance.new_user()
    body = b"".join(b"%062d\r\n" % i for i in range(200_000))  # 12.8 MB: more than any buffer holds
    with instance.imap(user) as client, instance.imap(user) as other:
        client.append("INBOX", b"Subject: big\r\n\r\n" + body)
        client.select()
        tag = client.start("FETCH 1 BODY.PEEK[TEXT]")
        time.sleep(2.5)  # longer than the server waits with a task
        assert other.run("STATUS INBOX (MESSAGES)").status == "OK"
        reply = client.read_reply(tag)
        assert reply.status == "OK", reply.text
        assert body in [getattr(piece, "data", piece) for piece in reply.lines[0][2]], "other bytes"
        assert client.run("NOOP").status == "OK"
