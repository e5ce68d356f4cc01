# SPDX-License-Identifier: Apache-2.0
"""The tree of mailboxes: CREATE, DELETE, RENAME, LIST, LSUB, SUBSCRIBE, STATUS, NAMESPACE."""

from kit import mails
from kit.imap import quote

FORMS = ("roles", "all-in-one")


def test_new_user_has_inbox_and_special_mailboxes(instance):
    with instance.imap(instance.new_user()) as c:
        names = c.list_names()
        assert "INBOX" in names, names
        for name, attribute in (("Drafts", "\\Drafts"), ("Sent", "\\Sent"), ("Trash", "\\Trash"),
                                ("Junk", "\\Junk")):
            assert attribute in names.get(name, ()), (name, names)


def test_namespace(instance):
    with instance.imap(instance.new_user()) as c:
        (line,) = c.do("NAMESPACE").all("NAMESPACE")
        assert line[1] == [[b"", b"/"]], line
        assert len(line) == 4


def test_list_root(instance):
    with instance.imap(instance.new_user()) as c:
        (line,) = c.do('LIST "" ""').all("LIST")
        assert line[2:] == [b"/", b""] and b"\\Noselect" in line[1], line


def test_create_list_delete(instance):
    with instance.imap(instance.new_user()) as c:
        c.do("CREATE Work")
        assert "Work" in c.list_names()
        reply = c.refused("CREATE Work")
        assert reply.code == [b"ALREADYEXISTS"], reply
        assert c.refused("CREATE INBOX").code == [b"ALREADYEXISTS"]
        assert c.refused("CREATE inbox").code == [b"ALREADYEXISTS"]
        c.do("DELETE Work")
        assert "Work" not in c.list_names()
        assert c.refused("DELETE Work").code == [b"NONEXISTENT"]
        c.refused("DELETE INBOX")
        assert c.refused("SELECT Work").code in ([b"NONEXISTENT"], None)


def test_names_are_case_sensitive_but_inbox(instance):
    with instance.imap(instance.new_user()) as c:
        c.do("CREATE Case")
        c.do("CREATE case")
        names = c.list_names()
        assert {"Case", "case"} <= set(names)
        c.select("iNbOx")


def test_hierarchy(instance):
    with instance.imap(instance.new_user()) as c:
        c.do("CREATE A/B/C")
        names = c.list_names()
        assert {"A", "A/B", "A/B/C"} <= set(names), names
        assert "\\HasChildren" in names["A"] and "\\HasNoChildren" in names["A/B/C"], names
        assert set(c.list_names("A/%")) == {"A/B"}
        assert set(c.list_names("A/*")) == {"A/B", "A/B/C"}
        assert "A" in c.list_names("%") and "A/B" not in c.list_names("%")
        assert set(c.list_names("*C")) == {"A/B/C"}
        reply = c.do('LIST "A/" "%"')
        assert [line[3] for line in reply.all("LIST")] == [b"A/B"], reply


def test_create_with_trailing_separator(instance):
    with instance.imap(instance.new_user()) as c:
        c.do("CREATE Folder/")
        assert "Folder" in c.list_names()
        c.do("CREATE Folder/Inside")
        c.select("Folder/Inside")


def test_delete_parent_keeps_children(instance):
    with instance.imap(instance.new_user()) as c:
        c.do("CREATE P")
        c.do("CREATE P/Child")
        c.append("P/Child", mails.small("kept"))
        c.do("DELETE P")
        names = c.list_names()
        assert "P/Child" in names and "\\Noselect" in names.get("P", {"\\Noselect"}), names
        assert c.select("P/Child").exists == 1
        # RFC 3501 6.3.4: a name that only has children can't be deleted.
        assert c.run("DELETE P").status == "NO"


def test_bad_names(instance):
    with instance.imap(instance.new_user()) as c:
        before = set(c.list_names())
        for name in ("", "/", "a//b", "/a", "..", "a/../b", "../x", ".", "x" * 5000, "&bad-", "a\tb"):
            reply = c.run("CREATE", quote(name))
            assert reply.status in ("NO", "BAD"), (name, reply)
        assert set(c.list_names()) == before


def test_deep_names_are_bounded(instance):
    with instance.imap(instance.new_user()) as c:
        assert c.run("CREATE", quote("/".join(["d"] * 500))).status in ("NO", "BAD")


def test_names_in_other_scripts(instance):
    """Names travel in modified UTF-7 (RFC 3501 §5.1.3)."""
    names = ["Entw&APw-rfe", "&ZeVnLIqe-", "A &- B", "&2D3eAA-"]
    with instance.imap(instance.new_user()) as c:
        for name in names:
            c.do("CREATE", quote(name))
        assert set(names) <= set(c.list_names())
        c.append(names[0], mails.small("utf7"))
        assert c.status(names[0], "MESSAGES") == {"MESSAGES": 1}


def test_names_that_need_quoting(instance):
    with instance.imap(instance.new_user()) as c:
        for name in ("two words", 'a "quoted" name', "back\\slash", "(paren)", "{5}", "NIL", "a[b]"):
            c.do("CREATE", quote(name))
            assert name in c.list_names(), name
            c.select(name)
            c.do("UNSELECT")
            c.do("DELETE", quote(name))


def test_rename(instance):
    with instance.imap(instance.new_user()) as c:
        c.do("CREATE Old/Sub")
        c.append("Old/Sub", mails.small("moves along"))
        before = c.status("Old/Sub", "UIDVALIDITY UIDNEXT MESSAGES")
        c.do("RENAME Old New")
        names = c.list_names()
        assert {"New", "New/Sub"} <= set(names) and "Old" not in names and "Old/Sub" not in names
        assert c.status("New/Sub", "UIDVALIDITY UIDNEXT MESSAGES") == before
        c.do("CREATE Taken")
        assert c.refused("RENAME New Taken").code == [b"ALREADYEXISTS"]
        assert c.refused("RENAME Nowhere Else").code == [b"NONEXISTENT"]
        c.refused("RENAME New New/Below")


def test_rename_creates_parents(instance):
    with instance.imap(instance.new_user()) as c:
        c.do("CREATE Flat")
        c.do("RENAME Flat Up/And/Away")
        assert {"Up", "Up/And", "Up/And/Away"} <= set(c.list_names())


def test_rename_inbox_moves_its_mails(instance):
    with instance.imap(instance.new_user()) as c:
        c.append("INBOX", mails.small("one"))
        c.append("INBOX", mails.small("two"))
        c.do("RENAME INBOX Archived")
        assert c.status("INBOX", "MESSAGES") == {"MESSAGES": 0}
        assert c.status("Archived", "MESSAGES") == {"MESSAGES": 2}
        c.append("INBOX", mails.small("three"))
        assert c.status("INBOX", "MESSAGES") == {"MESSAGES": 1}


def test_recreated_mailbox_has_greater_uid_validity(instance):
    with instance.imap(instance.new_user()) as c:
        seen = []
        for _ in range(4):
            c.do("CREATE Phoenix")
            c.append("Phoenix", mails.small("x"))
            seen.append(c.status("Phoenix", "UIDVALIDITY")["UIDVALIDITY"])
            c.do("DELETE Phoenix")
        assert seen == sorted(set(seen)), seen


def test_subscriptions(instance):
    with instance.imap(instance.new_user()) as c:
        c.do("CREATE News/Daily")
        assert "News/Daily" not in c.list_names(verb="LSUB")
        c.do("SUBSCRIBE News/Daily")
        assert "News/Daily" in c.list_names(verb="LSUB")
        # RFC 3501 §6.3.9: a subscribed child shows its parent as \Noselect for "%".
        above = c.list_names("%", verb="LSUB")
        assert "\\Noselect" in above.get("News", ()), above
        c.do("DELETE News/Daily")
        assert "News/Daily" in c.list_names(verb="LSUB")  # outlives its mailbox
        c.do("UNSUBSCRIBE News/Daily")
        assert "News/Daily" not in c.list_names(verb="LSUB")
        c.do("UNSUBSCRIBE News/Daily")
        c.refused("SUBSCRIBE No/Such/Mailbox")


def test_status(instance):
    with instance.imap(instance.new_user()) as c:
        c.do("CREATE S")
        first = c.status("S", "MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN")
        assert first["MESSAGES"] == 0 and first["UNSEEN"] == 0, first
        c.append("S", mails.small("a"))
        c.append("S", mails.small("b"), flags="\\Seen")
        now = c.status("S", "MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN")
        assert now["MESSAGES"] == 2 and now["UNSEEN"] == 1, now
        assert now["UIDNEXT"] == first["UIDNEXT"] + 2
        assert now["UIDVALIDITY"] == first["UIDVALIDITY"]
        assert c.refused("STATUS Nowhere (MESSAGES)").code in ([b"NONEXISTENT"], None)
        c.refused("STATUS S (NONSENSE)", status="BAD")
        selected = c.select("S")
        assert (selected.exists, selected.uid_next) == (2, now["UIDNEXT"])


def test_special_use_survives(instance):
    with instance.imap(instance.new_user()) as c:
        c.append("Sent", mails.small("sent"))
        c.do("CREATE Sent/2025")
        names = c.list_names()
        assert "\\Sent" in names["Sent"] and "\\Sent" not in names["Sent/2025"]


def test_users_do_not_see_each_other(instance):
    one, two = instance.new_user(), instance.new_user()
    with instance.imap(one) as a, instance.imap(two) as b:
        a.do("CREATE Private")
        a.append("Private", mails.small("secret"))
        assert "Private" not in b.list_names()
        b.refused("SELECT Private")
        for name in (f"/{one}/Private", f"../{one}/Private", f"~{one}/Private"):
            b.run("SELECT", quote(name)).status in ("NO", "BAD")


def test_deleted_mailbox_ends_the_other_sessions_selection(instance):
    user = instance.new_user()
    with instance.imap(user) as a, instance.imap(user) as b:
        a.do("CREATE Gone")
        a.append("Gone", mails.small("x"))
        b.select("Gone")
        a.do("DELETE Gone")
        try:
            reply = b.run("FETCH 1 FLAGS")
            assert reply.status in ("NO", "BAD") or reply.all("BYE"), reply
        except Exception as e:
            assert type(e).__name__ == "ConnectionEnded", e
        assert "Gone" not in a.list_names()


def test_tree_survives_a_restart(instance):
    if not instance.is_owned:
        return
    user = instance.new_user()
    with instance.imap(user) as c:
        c.do("CREATE Stays/Here")
        c.do("CREATE Goes")
        c.do("DELETE Goes")
        c.do("SUBSCRIBE Stays/Here")
        c.append("Stays/Here", mails.small("kept"))
        before = c.list_names(), c.status("Stays/Here")
    instance.restart()
    with instance.imap(user) as c:
        assert (c.list_names(), c.status("Stays/Here")) == before
        assert "Stays/Here" in c.list_names(verb="LSUB")
