# SPDX-License-Identifier: Apache-2.0
"""Commands whose cost grows with what they name: they end well, and cost nobody else his session."""

import json
import re

from kit.imap import Literal

OWN_INSTANCE = True
FORMS = ("roles", "all-in-one")
TIMEOUT_S = 240

LINE = b"QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5ejAxMjM0NQ==\r\n"
BIG_PART = 40_000_000
COMMAND_MEMORY = 768 << 20  # of the server, for one command


def one_part(size):
    head = b"From: a@example.org\r\nContent-Type: application/octet-stream\r\n"
    return head + b"Content-Transfer-Encoding: base64\r\n\r\n" + LINE * (size // len(LINE))


def test_one_decoded_part_is_kept_however_many_are_asked(make):
    instance = make(users=2)
    with instance.imap(instance.user(1)) as bystander, instance.imap(instance.user(2)) as c:
        c.append("INBOX", one_part(BIG_PART), plus=True)
        c.select()
        sizes = " ".join(["BINARY.SIZE[1]"] * (2 * COMMAND_MEMORY // BIG_PART))
        line = c.do(f"FETCH 1 ({sizes})").all("FETCH")[0]
        assert len({size.decode() for size in line[2][1::2]}) == 1, line[2][:4]
        bystander.do("NOOP")


def long_header():
    refs = b"\r\n ".join(b"<%060d@example.org>" % n for n in range(190))
    to = b"".join(b'To: "%s" <a%d@example.org>\r\n' % (b"n" * 70, n) for n in range(100))
    return b"From: a@example.org\r\nReferences: " + refs + b"\r\n" + to + b"\r\nx\r\n"


def test_copy_of_many_mails_with_long_headers(make):
    """Together their summaries are more than a command may hold."""
    instance = make(users=2)
    mail = long_header()
    count = 100
    with instance.imap(instance.user(1)) as bystander, instance.imap(instance.user(2)) as c:
        c.do("APPEND INBOX", *[Literal(mail, plus=True)] * count)
        c.select()
        while count * len(mail) < COMMAND_MEMORY:
            c.do("COPY 1:* INBOX")
            count *= 2
        assert c.status("Drafts", "MESSAGES") == {"MESSAGES": 0}
        c.do("COPY 1:* Drafts")
        assert c.status("Drafts", "MESSAGES") == {"MESSAGES": count}
        c.select("Drafts")
        first, last = (c.fetch(str(n), "ENVELOPE")[n]["ENVELOPE"] for n in (1, count))
        assert first == last
        bystander.do("NOOP")


def test_every_command_is_an_event(make):
    config = "log_format = json\nlog_debug = event=imap_command_finished\n"
    instance = make(users=1, config=config)
    with instance.imap(instance.user(1)) as c:
        c.select()
        c.append("INBOX", b"Subject: x\r\n\r\n" + b"y" * 1000)
        c.do("UID FETCH 1:* (FLAGS)")
        c.refused("COPY 1 nosuch")
        c.refused("LOGIN other secret-word", status="BAD")
        c.logout()
    instance.wait_for_log(re.compile("imap_command_finished.*LOGOUT"))
    lines = [json.loads(line) for line in instance.log_text().splitlines() if line.startswith("{")]
    found = [line["fields"] for line in lines if line["event"] == "imap_command_finished"]
    told = [(e["cmd_name"], e["tagged_reply_state"], e.get("cmd_args")) for e in found]
    assert told == [
        ("SELECT", "OK", '"INBOX"'),
        ("APPEND", "OK", None),
        ("UID FETCH", "OK", "1:* (FLAGS)"),
        ("COPY", "NO", "1 nosuch"),
        ("unknown", "BAD", None),
        ("LOGOUT", "OK", None),
    ], told
    append = found[1]
    assert 1000 < append["net_in_bytes"] < 1100, append
    assert append["tagged_reply"].startswith("OK [APPENDUID"), append
    assert append["user"] == instance.user(1) and append["session"], append
    assert "secret-word" not in instance.log_text()
