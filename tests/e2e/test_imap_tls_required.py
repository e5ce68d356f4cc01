# SPDX-License-Identifier: Apache-2.0
"""With ssl = required nobody logs in without TLS, not even from this host."""

from kit.imap import quote
from kit.sasl import plain

FORMS = ("roles", "all-in-one")
CONFIG = "ssl = required\n"


def capabilities(client):
    (line,) = client.do("CAPABILITY").all("CAPABILITY")
    return {word.decode().upper() for word in line[1:]}


def test_cleartext_is_refused(instance):
    user = instance.new_user()
    with instance.connect(is_tls=False) as c:
        have = capabilities(c)
        assert {"LOGINDISABLED", "STARTTLS"} <= have, have
        assert not any(word.startswith("AUTH=PLAIN") for word in have), have
        reply = c.refused("LOGIN", quote(user), quote(instance.password))
        assert reply.code == [b"PRIVACYREQUIRED"], reply
        reply = c.run("AUTHENTICATE PLAIN", plain(user, instance.password))
        assert reply.status in ("NO", "BAD"), reply


def test_after_starttls_all_is_well(instance):
    user = instance.new_user()
    with instance.connect(is_tls=False) as c:
        c.do("STARTTLS")
        c.start_tls_now(instance.tls_context())
        have = capabilities(c)
        assert "LOGINDISABLED" not in have and "AUTH=PLAIN" in have, have
        c.login(user, instance.password)
        c.select()
