# SPDX-License-Identifier: Apache-2.0
"""A fresh user's INBOX with small mails, and which flags they have."""

from kit import mails


def with_mails(instance, count):
    """A fresh user's session with `count` small mails in the selected INBOX."""
    c = instance.imap(instance.new_user())
    for i in range(1, count + 1):
        c.append("INBOX", mails.small(f"mail {i}", f"text {i}\r\n"))
    c.select()
    return c


def flags_of(client, messages="1:*", uid=False):
    got = client.fetch(messages, "FLAGS", uid)
    return {n: {f.decode() for f in got[n]["FLAGS"]} - {"\\Recent"} for n in got}
