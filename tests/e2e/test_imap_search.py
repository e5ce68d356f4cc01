# SPDX-License-Identifier: Apache-2.0
"""SEARCH: every key of RFC 3501 §6.4.4 against five known mails."""

from kit import mails
from kit.imap import Literal

FORMS = ("roles", "all-in-one")

DATES = ["10-Jan-2025 23:30:00 +0000", "11-Jan-2025 12:00:00 +0000", "12-Jan-2025 12:00:00 +0000",
         "13-Jan-2025 12:00:00 +0000", "14-Jan-2025 12:00:00 +0000"]


def five_mails(instance):
    """1 plain, 2 encoded subject, 3 base64 text, 4 large, 5 nested; flags differ."""
    c = instance.imap(instance.new_user())
    base64_text = (
        "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
        "Content-Transfer-Encoding: base64\r\n"
    )
    inner = (
        "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n"
    )
    parts = "--b\r\nContent-Type: text/html\r\n\r\n<b>needle</b> in markup\r\n--b--\r\n"
    sent = [
        mails.small("Alpha report", "plain haystack\r\n", extra="X-Tag: one\r\nCc: copy@example.org\r\n"),
        mails.small("=?utf-8?Q?Gr=C3=BC=C3=9Fe?= aus Wien", "beta\r\n", sender="wien@example.at"),
        mails.small("Gamma", "dmVyc3RlY2t0ZXIgTmFkZWxrb3Bm\r\n", extra=base64_text),
        mails.small("Delta", "d" * 20 + ("\r\n" + "x" * 70) * 200 + "\r\n"),
        mails.small("Epsilon", parts, extra=inner + "Bcc: hidden@example.org\r\n"),
    ]
    flags = ["\\Seen", "\\Flagged \\Seen", "\\Answered", "\\Deleted", "\\Draft custom"]
    for mail, flag, date in zip(sent, flags, DATES):
        c.append("INBOX", mail, flags=flag, date=date)
    c.select()
    return c


CASES = [
    ("ALL", [1, 2, 3, 4, 5]),
    ("1:3", [1, 2, 3]),
    ("2,4:*", [2, 4, 5]),
    ("SEEN", [1, 2]),
    ("UNSEEN", [3, 4, 5]),
    ("FLAGGED", [2]),
    ("UNFLAGGED", [1, 3, 4, 5]),
    ("ANSWERED", [3]),
    ("UNANSWERED", [1, 2, 4, 5]),
    ("DELETED", [4]),
    ("UNDELETED", [1, 2, 3, 5]),
    ("DRAFT", [5]),
    ("UNDRAFT", [1, 2, 3, 4]),
    ("KEYWORD custom", [5]),
    ("KEYWORD CUSTOM", [5]),
    ("KEYWORD never", []),
    ("UNKEYWORD custom", [1, 2, 3, 4]),
    ("SUBJECT alpha", [1]),
    ('SUBJECT "alpha REPORT"', [1]),
    ("SUBJECT wien", [2]),
    ("FROM wien@example.at", [2]),
    ("FROM sender@", [1, 3, 4, 5]),
    ("TO reader", [1, 2, 3, 4, 5]),
    ("CC copy", [1]),
    ("BCC hidden", [5]),
    ("HEADER X-Tag one", [1]),
    ('HEADER X-Tag ""', [1]),
    ("HEADER X-None one", []),
    ("BODY haystack", [1]),
    ("BODY needle", [5]),
    ("BODY Nadelkopf", [3]),
    ("BODY alpha", []),
    ("TEXT alpha", [1]),
    ("TEXT haystack", [1]),
    ("LARGER 10000", [4]),
    ("SMALLER 10000", [1, 2, 3, 5]),
    ("BEFORE 12-Jan-2025", [1, 2]),
    ("ON 12-Jan-2025", [3]),
    ("SINCE 13-Jan-2025", [4, 5]),
    ("SENTON 4-Mar-2025", [1, 2, 3, 4, 5]),
    ("SENTBEFORE 4-Mar-2025", []),
    ("SENTSINCE 4-Mar-2025", [1, 2, 3, 4, 5]),
    ("NOT SEEN", [3, 4, 5]),
    ("OR FLAGGED DRAFT", [2, 5]),
    ("OR (SEEN FLAGGED) NOT (OR SEEN UNSEEN)", [2]),
    ("(SEEN) (UNFLAGGED)", [1]),
    ("SEEN SUBJECT report", [1]),
    ("NOT NOT SEEN", [1, 2]),
    ("CHARSET UTF-8 SUBJECT wien", [2]),
    ("CHARSET US-ASCII SEEN", [1, 2]),
]


def test_keys(instance):
    with five_mails(instance) as c:
        wrong = [(keys, want, got) for keys, want in CASES if (got := c.search(keys)) != want]
        assert not wrong, wrong


def test_uid_search(instance):
    with five_mails(instance) as c:
        uids = {n: int(m["UID"]) for n, m in c.fetch("1:*", "UID").items()}
        assert c.search("SEEN", uid=True) == [uids[1], uids[2]]
        assert c.search(f"UID {uids[3]}:*") == [3, 4, 5]
        assert c.search(f"UID {uids[5] + 5}:*") == [5]
        assert c.search(f"NOT UID {uids[2]}", uid=True) == [uids[n] for n in (1, 3, 4, 5)]


def test_utf8_in_literals(instance):
    with five_mails(instance) as c:
        for word in ("Grüße", "GRÜSSE", "grüße"):
            reply = c.do("SEARCH CHARSET UTF-8 SUBJECT", Literal(word.encode()))
            found = [int(n) for n in reply.all("SEARCH")[0][1:]]
            assert found == [2] or word == "GRÜSSE", (word, found)


def test_unknown_charset(instance):
    with five_mails(instance) as c:
        reply = c.refused("SEARCH CHARSET X-NONSENSE SUBJECT a")
        assert reply.code[0] == b"BADCHARSET", reply


def test_errors(instance):
    with five_mails(instance) as c:
        for keys in ("", "NONSENSE", "SUBJECT", "OR SEEN", "NOT", "SINCE yesterday", "LARGER x", "(SEEN",
                     "0", "HEADER X-Tag", "SEEN)", "ON 31-Foo-2025"):
            c.refused(f"SEARCH {keys}", status="BAD")
            c.do("NOOP")


def test_search_does_not_change_flags(instance):
    with five_mails(instance) as c:
        before = c.fetch("1:*", "FLAGS")
        c.search("TEXT x")
        assert c.fetch("1:*", "FLAGS") == before
