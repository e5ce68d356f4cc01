# SPDX-License-Identifier: Apache-2.0
"""What a worker may hold is bounded. One process with all roles has no such bound of its own."""

from kit.imap import ImapError

OWN_INSTANCE = True
FORMS = ("roles",)
TIMEOUT_S = 240


def test_copy_of_more_mails_than_memory_holds_is_refused(make):
    instance = make(users=2, config="service imap {\n  vsz_limit = 64M\n}\n")
    with instance.imap(instance.user(2)) as c:
        c.append("INBOX", b"Subject: x\r\n\r\nx\r\n", plus=True)
        told, count = "", 1
        c.select()
        while not told and count < 100_000:
            try:
                c.do(f"COPY 1:{count} INBOX")
                count *= 2
                c.do("NOOP")
            except ImapError as e:
                told = str(e)
        assert "b'LIMIT'" in told and "fewer" in told, told
        c.do(f"COPY 1:{count // 4} INBOX")
        assert c.select().exists == count + count // 4
