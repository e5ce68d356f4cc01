# SPDX-License-Identifier: Apache-2.0
"""AUTHENTICATE, spoken by hand."""

import base64


def base64_text(text):
    return base64.b64encode(text.encode()).decode()


def plain(user, password, authorize=""):
    """The message of the mechanism PLAIN (RFC 4616)."""
    return base64_text(f"{authorize}\0{user}\0{password}")


def authenticate(client, mechanism, *lines):
    """AUTHENTICATE with each answer sent after a "+"; the reply, as soon as it comes."""
    tag = client.start(f"AUTHENTICATE {mechanism}")
    for line in lines:
        pieces = client.read_pieces()
        assert pieces[0].startswith(b"+"), pieces
        client.send(line.encode() + b"\r\n")
    return client.read_reply(tag)
