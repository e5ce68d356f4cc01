# SPDX-License-Identifier: Apache-2.0
"""Messages of one session: APPEND, STORE, COPY, MOVE, EXPUNGE, their UID forms, and hostile commands. FETCH:
test_imap_fetch.py."""

import re

from kit import mails
from kit.imap import ConnectionEnded, Literal, fetched, quote, set_numbers
from kit.inbox import flags_of, with_mails

FORMS = ("roles", "all-in-one")


# ---- APPEND


def test_append(instance):
    with instance.imap(instance.new_user()) as c:
        mail = mails.small("Appended")
        reply = c.append("INBOX", mail, flags="\\Seen $Label", date=" 4-Mar-2025 10:20:30 +0100")
        assert reply.code[0] == b"APPENDUID", reply
        selected = c.select()
        assert int(reply.code[1]) == selected.uid_validity
        got = c.fetch("1", "(UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])")[1]
        assert got["UID"] == reply.code[2]
        assert got["BODY[]"] == mail and int(got["RFC822.SIZE"]) == len(mail)
        assert {b"\\Seen", b"$Label"} <= set(got["FLAGS"])
        assert re.match(rb"[ 0]4-Mar-2025 (10:20:30 \+0100|09:20:30 \+0000)$", got["INTERNALDATE"]), got


def test_append_refusals(instance):
    with instance.imap(instance.new_user()) as c:
        mail = mails.small("x")
        reply = c.run("APPEND Nowhere", Literal(mail))
        assert reply.status == "NO" and reply.code == [b"TRYCREATE"], reply
        reply = c.run("APPEND Nowhere", Literal(mail, plus=True))
        assert reply.status == "NO" and reply.code == [b"TRYCREATE"], reply
        c.refused('APPEND INBOX "99-Foo-2025 10:20:30 +0100"', Literal(mail), status="BAD")
        c.refused("APPEND INBOX (\\Nonsense)", Literal(mail), status="BAD")
        assert c.run("APPEND INBOX", Literal(b"")).status in ("NO", "OK")
        c.do("NOOP")


def test_append_forms_of_literals(instance):
    with instance.imap(instance.new_user()) as c:
        c.append("INBOX", mails.small("synchronising"))
        c.append("INBOX", mails.small("LITERAL+"), plus=True)
        assert c.select().exists == 2
        big = mails.small("big", "x" * 70 + "\r\n") + (b"y" * 76 + b"\r\n") * 30_000
        c.append("INBOX", big, plus=True)
        reply = c.do("NOOP")
        got = c.fetch("3", "(RFC822.SIZE BODY.PEEK[])")[3]
        assert got["BODY[]"] == big, (len(got["BODY[]"]), len(big), reply)


def test_append_to_selected_tells_exists_first(instance):
    with with_mails(instance, 1) as c:
        reply = c.append("INBOX", mails.small("two"))
        assert reply.number("EXISTS") == 2, reply


def test_append_cut_short_leaves_nothing(instance):
    user = instance.new_user()
    with instance.imap(user) as c:
        c.send(b"a APPEND INBOX {1000+}\r\nSubject: cut\r\n\r\nonly the beg")
    with instance.imap(user) as c:
        assert c.select().exists == 0


def test_bare_line_feeds_count_as_crlf(instance):
    with instance.imap(instance.new_user()) as c:
        c.append("INBOX", b"Subject: lf\n\none\ntwo\n")
        c.select()
        got = c.fetch("1", "(RFC822.SIZE BODY.PEEK[] BODY.PEEK[TEXT] BODY.PEEK[]<0.13>)")[1]
        assert int(got["RFC822.SIZE"]) == len(got["BODY[]"])


# ---- FETCH


def test_select_tells_what_clients_need(instance):
    with with_mails(instance, 3) as c:
        reply = c.do("SELECT INBOX")
        assert reply.code == [b"READ-WRITE"], reply
        assert reply.number("EXISTS") == 3 and reply.number("RECENT") is not None
        assert len(reply.all("FLAGS")) == 1
        for name in ("UIDVALIDITY", "UIDNEXT", "PERMANENTFLAGS", "UNSEEN"):
            assert reply.untagged_code(name), (name, reply)
        assert b"\\*" in reply.untagged_code("PERMANENTFLAGS")[0]
        reply = c.do("EXAMINE INBOX")
        assert reply.code == [b"READ-ONLY"], reply


def test_examine_changes_nothing(instance):
    with with_mails(instance, 2) as c:
        c.do("EXAMINE INBOX")
        c.fetch("1", "BODY[]")
        assert flags_of(c) == {1: set(), 2: set()}
        reply = c.run("STORE 1 +FLAGS (\\Deleted)")
        assert reply.status in ("NO", "OK")
        assert flags_of(c)[1] == set()
        c.do("CLOSE")
        assert c.select().exists == 2


def test_empty_mailbox(instance):
    with instance.imap(instance.new_user()) as c:
        assert c.select().exists == 0
        assert c.fetch("1:*", "FLAGS", uid=True) == {}
        assert c.search("ALL") == []
        c.refused("FETCH 1 FLAGS", status="BAD")
        c.do("EXPUNGE")
        c.do("UID STORE 1:* +FLAGS (\\Seen)")


# ---- STORE


def test_store(instance):
    with with_mails(instance, 3) as c:
        reply = c.do("STORE 1 +FLAGS (\\Flagged \\Answered)")
        assert {b"\\Flagged", b"\\Answered"} <= set(fetched(reply.lines)[1]["FLAGS"])
        reply = c.do("STORE 2 FLAGS.SILENT (\\Draft)")
        assert not reply.all("FETCH"), reply
        c.do("STORE 1 -FLAGS (\\Answered)")
        c.do("STORE 3 FLAGS (\\Seen custom)")
        want = {1: {"\\Flagged"}, 2: {"\\Draft"}, 3: {"\\Seen", "custom"}}
        assert flags_of(c) == want
        c.do("STORE 3 FLAGS ()")
        want[3] = set()
        c.do("STORE 2 +FLAGS \\Seen")
        want[2].add("\\Seen")
        c.do("SELECT INBOX")
        assert flags_of(c) == want
        c.refused("STORE 1 +FLAGS (\\Nonsense)", status="BAD")
        c.refused("STORE 1 +FLAGS (\\Recent)", status="BAD")
        c.refused("STORE 9 +FLAGS (\\Seen)", status="BAD")


def test_keywords(instance):
    with with_mails(instance, 2) as c:
        words = ["$Forwarded", "NonJunk", "$label1", "a.b-c_d"]
        reply = c.do(f"STORE 1 +FLAGS ({' '.join(words)})")
        assert set(words) <= flags_of(c)[1], reply
        # Keywords compare without case; the first spelling stays.
        c.do("STORE 2 +FLAGS ($LABEL1)")
        assert {w.lower() for w in flags_of(c)[2]} == {"$label1"}
        c.do("STORE 2 -FLAGS ($Label1)")
        assert flags_of(c)[2] == set()
        flags = c.do("SELECT INBOX").all("FLAGS")[0][1]
        assert set(w.encode() for w in words) <= set(flags)


def test_many_keywords_end_in_a_limit(instance):
    with with_mails(instance, 1) as c:
        for i in range(300):
            reply = c.run(f"STORE 1 +FLAGS (keyword{i})")
            if reply.status != "OK":
                assert reply.status == "NO" and reply.code == [b"LIMIT"], reply
                break
        c.do("STORE 1 +FLAGS (\\Seen)")
        assert "keyword0" in flags_of(c)[1]


# ---- COPY, MOVE, EXPUNGE


def test_copy(instance):
    with with_mails(instance, 4) as c:
        c.do("CREATE Other")
        c.do("STORE 2 +FLAGS (\\Flagged kept)")
        date = c.fetch("2", "INTERNALDATE")[2]["INTERNALDATE"]
        uids = [int(m["UID"]) for _, m in sorted(c.fetch("2:3", "UID").items())]
        reply = c.do("COPY 2:3 Other")
        assert reply.code[0] == b"COPYUID" and set_numbers(reply.code[2]) == uids, reply
        new = set_numbers(reply.code[3])
        assert c.refused("COPY 1 Nowhere").code == [b"TRYCREATE"]
        want = c.fetch("2", "BODY.PEEK[]")[2]
        assert c.select("Other").exists == 2
        got = c.fetch("1:2", "(UID FLAGS INTERNALDATE BODY.PEEK[])")
        assert [int(got[n]["UID"]) for n in (1, 2)] == new
        assert got[1]["BODY[]"] == want["BODY[]"] and got[1]["INTERNALDATE"] == date
        assert flags_of(c) == {1: {"\\Flagged", "kept"}, 2: set()}
        c.select()
        assert c.fetch("2", "BODY.PEEK[]")[2] == want
        assert c.do("UID COPY 99999 Other").status == "OK"


def test_copy_into_the_same_mailbox(instance):
    with with_mails(instance, 2) as c:
        reply = c.do("COPY 1:2 INBOX")
        assert reply.number("EXISTS") == 4, reply
        got = c.fetch("1:4", "(UID BODY.PEEK[])")
        assert got[3]["BODY[]"] == got[1]["BODY[]"] and got[4]["BODY[]"] == got[2]["BODY[]"]
        assert len({m["UID"] for m in got.values()}) == 4


def test_move(instance):
    with with_mails(instance, 4) as c:
        c.do("CREATE Target")
        uids = [int(m["UID"]) for _, m in sorted(c.fetch("1:4", "UID").items())]
        reply = c.do("MOVE 2:3 Target")
        code = reply.untagged_code("COPYUID") or reply.code[1:]
        assert set_numbers(code[1]) == uids[1:3], reply
        assert sorted(int(line[0]) for line in reply.all("EXPUNGE")) in ([2, 2], [2, 3]), reply
        assert [int(m["UID"]) for _, m in sorted(c.fetch("1:*", "UID").items())] == [uids[0], uids[3]]
        assert c.refused("MOVE 1 Nowhere").code == [b"TRYCREATE"]
        c.do(f"UID MOVE {uids[3]} Target")
        assert c.status("Target", "MESSAGES") == {"MESSAGES": 3}
        assert c.status("INBOX", "MESSAGES") == {"MESSAGES": 1}


def test_expunge(instance):
    with with_mails(instance, 5) as c:
        c.do("STORE 1,3,5 +FLAGS.SILENT (\\Deleted)")
        reply = c.do("EXPUNGE")
        gone = [int(line[0]) for line in reply.all("EXPUNGE")]
        left = list(range(1, 6))
        for number in gone:
            del left[number - 1]
        assert left == [2, 4], (gone, reply)
        subjects = [c.fetch(n, "ENVELOPE")[int(n)]["ENVELOPE"][1] for n in ("1", "2")]
        assert subjects == [b"mail 2", b"mail 4"]
        assert c.do("SELECT INBOX").number("EXISTS") == 2


def test_uid_expunge(instance):
    with with_mails(instance, 3) as c:
        uids = [m["UID"].decode() for _, m in sorted(c.fetch("1:3", "UID").items())]
        c.do("STORE 1:3 +FLAGS.SILENT (\\Deleted)")
        c.do(f"UID EXPUNGE {uids[1]}")
        assert [m["UID"].decode() for _, m in sorted(c.fetch("1:*", "UID").items())] == [uids[0], uids[2]]


def test_close_expunges_and_unselect_does_not(instance):
    with with_mails(instance, 2) as c:
        c.do("STORE 1 +FLAGS.SILENT (\\Deleted)")
        c.do("UNSELECT")
        c.refused("FETCH 1 FLAGS", status="BAD")
        assert c.select().exists == 2
        reply = c.do("CLOSE")
        assert not reply.all("EXPUNGE"), reply
        assert c.select().exists == 1


def test_uids_are_never_reused(instance):
    user = instance.new_user()
    with instance.imap(user) as c:
        seen = []
        for i in range(5):
            reply = c.append("INBOX", mails.small(f"n {i}"))
            seen.append(int(reply.code[2]))
            c.select()
            c.do("STORE 1:* +FLAGS.SILENT (\\Deleted)")
            c.do("EXPUNGE")
        assert seen == sorted(set(seen)), seen
    with instance.imap(user) as c:
        assert c.select().uid_next > seen[-1]


def test_uid_forms_always_tell_the_uid(instance):
    with with_mails(instance, 3) as c:
        for reply in (c.do("UID FETCH 1:* FLAGS"), c.do("UID STORE 1:* +FLAGS (\\Seen)")):
            assert all("UID" in m for m in fetched(reply.lines).values()), reply
        assert len(c.do("UID FETCH 1:* (UID UID FLAGS)").all("FETCH")) == 3


# ---- hostile commands


def test_syntax_errors_are_told(instance):
    with with_mails(instance, 1) as c:
        for command in ("", "FETCH", "FETCH 1", "STORE 1", "SEARCH (", "NONSENSE", "UID", "UID NONSENSE 1",
                        "SELECT", 'SELECT "unterminated', "COPY 1", "LIST", "STATUS INBOX", "NOOP extra",
                        "FETCH 1 (((((((", "STORE 1 FLAGS \\"):
            reply = c.run(command)
            assert reply.status == "BAD", (command, reply)
            c.do("NOOP")


def test_hostile_arguments(instance):
    bombs = (
        b"SEARCH " + b"(" * 30_000,
        b"SEARCH " + b"NOT " * 15_000 + b"ALL",
        b"SEARCH " + b"OR ALL " * 9_000 + b"ALL",
        b"FETCH 1 (" + b"FLAGS " * 10_000 + b"FLAGS)",
        b"FETCH " + b"1," * 30_000 + b"1 UID",
        b"ID (" + b'"a" "b" ' * 5_000 + b'"c" "d")',
        b"FETCH 1 BODY[" + b"1." * 20_000 + b"1]",
        b"X" * 500_000,
    )
    for bomb in bombs:
        with with_mails(instance, 1) as c:
            try:
                reply = c.run(bomb)
                assert reply.status in ("OK", "NO", "BAD"), (bomb[:20], reply)
                c.do("NOOP")
            except (ConnectionEnded, ConnectionError):
                pass


def test_hostile_literals(instance):
    for text in (b"{99999999999999999999}", b"{4294967295}", b"{4294967295+}", b"{-1}", b"{1", b"{}", b"{+}"):
        with instance.imap(instance.new_user()) as c:
            c.send(b"a APPEND INBOX " + text + b"\r\n")
            try:
                c.sock.settimeout(5)
                pieces = c.read_pieces()
                assert pieces[0][:5] in (b"a BAD", b"a NO ", b"* BYE", b"+ OK", b"+ ", b"* BAD"), pieces
            except (ConnectionEnded, ConnectionError):
                pass
            except TimeoutError:
                # {4294967295+} may be swallowed while it comes.
                assert text.endswith(b"+}"), text
    with instance.imap(instance.new_user()) as c:
        c.refused("CREATE", Literal(b"nul\0inside"), status="BAD")


def test_pipelined_commands_are_answered_in_order(instance):
    with with_mails(instance, 3) as c:
        commands = ["FETCH 1:* FLAGS", "STORE 1 +FLAGS (\\Seen)", "NOOP", "UID FETCH 1:* (FLAGS)",
                    "STORE 2 +FLAGS (\\Deleted)", "EXPUNGE", "FETCH 1:2 UID", "SEARCH ALL"]
        c.send("".join(f"p{i} {command}\r\n" for i, command in enumerate(commands)).encode())
        replies = [c.read_reply(f"p{i}".encode()) for i in range(len(commands))]
        assert [r.status for r in replies] == ["OK"] * len(commands), replies
        assert b"\\Seen" in fetched(replies[3].lines)[1]["FLAGS"], replies
        assert [line[0] for line in replies[5].all("EXPUNGE")] == [b"2"], replies
        assert replies[7].all("SEARCH")[0][1:] == [b"1", b"2"], replies


def test_large_answers_arrive_whole(instance):
    with instance.imap(instance.new_user()) as c:
        mail = mails.small("large") + (b"z" * 998 + b"\r\n") * 5_000
        for _ in range(3):
            c.append("INBOX", mail, plus=True)
        c.select()
        got = c.fetch("1:3", "BODY.PEEK[]")
        assert all(m["BODY[]"] == mail for m in got.values())


def test_quoted_search_and_names_with_literals(instance):
    with with_mails(instance, 1) as c:
        assert c.do("SEARCH SUBJECT", Literal(b"mail 1")).all("SEARCH")[0][1:] == [b"1"]
        c.do("CREATE", Literal(b"by literal"))
        assert "by literal" in c.list_names()
        c.do("DELETE", quote("by literal"))
