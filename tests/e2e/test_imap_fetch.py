# SPDX-License-Identifier: Apache-2.0
"""FETCH: its items, sections, parts and sets, and what it does to \\Seen."""

from kit import mails
from kit.inbox import flags_of, with_mails

FORMS = ("roles", "all-in-one")

MULTIPART = (
    b"From: \"A. Sender\" <a@example.org>\r\n"
    b"Sender: s@example.org\r\n"
    b"To: R <r@example.test>, group: x@example.org;\r\n"
    b"Cc: c@example.org\r\n"
    b"Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\r\n"
    b"Date: Tue, 04 Mar 2025 10:20:30 +0100\r\n"
    b"Message-ID: <m1@example.org>\r\n"
    b"In-Reply-To: <m0@example.org>\r\n"
    b"MIME-Version: 1.0\r\n"
    b"Content-Type: multipart/mixed; boundary=\"b\"\r\n"
    b"\r\n"
    b"preamble\r\n"
    b"--b\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n"
    b"\r\n"
    b"first\r\npart\r\n"
    b"\r\n--b\r\n"
    b"Content-Type: message/rfc822\r\n"
    b"\r\n"
    b"Subject: inner\r\n"
    b"Content-Type: text/html\r\n"
    b"\r\n"
    b"<p>inner</p>\r\n"
    b"--b\r\n"
    b"Content-Type: application/octet-stream; name=\"x.bin\"\r\n"
    b"Content-Transfer-Encoding: base64\r\n"
    b"Content-Disposition: attachment; filename=\"x.bin\"\r\n"
    b"\r\n"
    b"AAEC\r\n"
    b"--b--\r\n"
)


def test_fetch_envelope(instance):
    with instance.imap(instance.new_user()) as c:
        c.append("INBOX", MULTIPART)
        c.select()
        env = c.fetch("1", "ENVELOPE")[1]["ENVELOPE"]
        assert env == [
            b"Tue, 04 Mar 2025 10:20:30 +0100",
            b"=?utf-8?Q?Gr=C3=BC=C3=9Fe?=",
            [[b"A. Sender", None, b"a", b"example.org"]],
            [[None, None, b"s", b"example.org"]],
            [[b"A. Sender", None, b"a", b"example.org"]],
            [[b"R", None, b"r", b"example.test"], [None, None, b"group", None],
             [None, None, b"x", b"example.org"], [None, None, None, None]],
            [[None, None, b"c", b"example.org"]],
            None,
            b"<m0@example.org>",
            b"<m1@example.org>",
        ], env


def lower(node):
    """Names of types and parameters compare without case."""
    if isinstance(node, list):
        return [lower(child) for child in node]
    return node.lower() if isinstance(node, bytes) else node


def test_fetch_bodystructure(instance):
    with instance.imap(instance.new_user()) as c:
        c.append("INBOX", MULTIPART)
        c.select()
        got = c.fetch("1", "(BODYSTRUCTURE BODY)")[1]
        full, short = lower(got["BODYSTRUCTURE"]), lower(got["BODY"])
        assert full[0][:7] == [b"text", b"plain", [b"charset", b"utf-8"], None, None, b"7bit", b"13"]
        assert full[0][7] == b"2", full[0]
        assert full[1][:2] == [b"message", b"rfc822"] and full[1][7][1] == b"inner", full[1]
        assert full[1][8][:2] == [b"text", b"html"], full[1]
        assert full[2][:3] == [b"application", b"octet-stream", [b"name", b"x.bin"]], full[2]
        assert full[2][8] == [b"attachment", [b"filename", b"x.bin"]], full[2]
        assert full[3] == b"mixed" and full[4] == [b"boundary", b"b"], full
        assert len(short) == 4 and len(short[0]) == 8, short


def test_fetch_sections(instance):
    with instance.imap(instance.new_user()) as c:
        c.append("INBOX", MULTIPART)
        c.select()
        header_end = MULTIPART.index(b"\r\n\r\n") + 4
        inner = b"Subject: inner\r\nContent-Type: text/html\r\n\r\n"
        for section, want in (
            ("", MULTIPART),
            ("HEADER", MULTIPART[:header_end]),
            ("TEXT", MULTIPART[header_end:]),
            ("1", b"first\r\npart\r\n"),
            ("1.MIME", b"Content-Type: text/plain; charset=utf-8\r\n\r\n"),
            ("2", inner + b"<p>inner</p>"),
            ("2.HEADER", inner),
            ("2.TEXT", b"<p>inner</p>"),
            ("2.1", b"<p>inner</p>"),
            ("3", b"AAEC"),
            ("HEADER.FIELDS (SUBJECT CC)",
             b"Cc: c@example.org\r\nSubject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\r\n\r\n"),
            ("HEADER.FIELDS (X-NONE)", b"\r\n"),
            ("2.HEADER.FIELDS.NOT (SUBJECT)", b"Content-Type: text/html\r\n\r\n"),
        ):
            got = c.fetch("1", f"BODY.PEEK[{section}]")[1]
            assert list(got.values()) == [want], (section, got, want)
        got = c.fetch("1", "BODY.PEEK[9]")[1]["BODY[9]"]
        assert got in (None, b""), got
        assert flags_of(c)[1] == set()


def test_fetch_partial(instance):
    with instance.imap(instance.new_user()) as c:
        mail = mails.small("Partial", "0123456789" * 50 + "\r\n")
        c.append("INBOX", mail)
        c.select()
        text = mail[mail.index(b"\r\n\r\n") + 4 :]
        for offset, length in ((0, 10), (5, 7), (495, 100), (500, 2), (9999, 10), (0, 2**31)):
            got = c.fetch("1", f"BODY.PEEK[TEXT]<{offset}.{length}>")[1]
            assert got == {f"BODY[TEXT]<{offset}>": text[offset : offset + length]}, (offset, length)
        c.refused("FETCH 1 BODY[]<0.0>", status="BAD")


def test_fetch_rfc822_items_and_macros(instance):
    with with_mails(instance, 1) as c:
        got = c.fetch("1", "(RFC822.HEADER)")[1]["RFC822.HEADER"]
        assert got.endswith(b"\r\n\r\n")
        assert flags_of(c)[1] == set()
        text = c.fetch("1", "(RFC822.TEXT)")[1]["RFC822.TEXT"]
        assert c.fetch("1", "(RFC822)")[1]["RFC822"] == got + text
        assert flags_of(c)[1] == {"\\Seen"}
        assert {"FLAGS", "INTERNALDATE", "RFC822.SIZE"} == set(c.fetch("1", "FAST")[1])
        assert "ENVELOPE" in c.fetch("1", "ALL")[1]
        assert "BODY" in c.fetch("1", "FULL")[1]


def test_fetch_sets_seen_and_tells(instance):
    with with_mails(instance, 2) as c:
        got = c.fetch("1", "BODY[]")[1]
        assert b"\\Seen" in got["FLAGS"], got
        assert flags_of(c) == {1: {"\\Seen"}, 2: set()}
        c.do("SELECT INBOX")
        assert flags_of(c) == {1: {"\\Seen"}, 2: set()}


def test_fetch_sets(instance):
    with with_mails(instance, 5) as c:
        for numbers, want in (("1", [1]), ("2:4", [2, 3, 4]), ("4:2", [2, 3, 4]), ("*", [5]),
                              ("5:*", [5]), ("1,3,5", [1, 3, 5]), ("3:*,1", [1, 3, 4, 5]),
                              ("*:4", [4, 5]), ("1:2,2:3", [1, 2, 3])):
            assert sorted(c.fetch(numbers, "UID")) == want, numbers
        for bad in ("0", "6", "1:6", "x", "1:", ",1", "1,,2", "4294967296", "-1"):
            c.refused(f"FETCH {bad} UID", status="BAD")
        last = int(c.fetch("*", "UID")[5]["UID"])
        assert list(c.fetch(f"{last + 10}:*", "FLAGS", uid=True)) == [last]
        assert c.fetch(f"{last + 10}:{last + 20}", "FLAGS", uid=True) == {}


def test_fetch_bad_items(instance):
    with with_mails(instance, 1) as c:
        for items in ("NONSENSE", "(UID", "BODY[", "BODY[NONSENSE]", "BODY[1.2.HEADER.FIELDS]", "",
                      "(FLAGS NONSENSE)", "BODY[HEADER.FIELDS ()]", "BODY[1..2]"):
            c.refused(f"FETCH 1 {items}", status="BAD")
            c.do("NOOP")
