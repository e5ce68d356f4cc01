# SPDX-License-Identifier: Apache-2.0
"""AUTHENTICATE, spoken by hand."""

import base64
import hashlib
import hmac
import os


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


class Scram:
    """A client's side of SCRAM (RFC 5802), written from its formulas. Called with each challenge, as
    imaplib.IMAP4.authenticate() does; `is_proved` when the server has shown that it knows the password."""

    DIGESTS = {"SCRAM-SHA-1": "sha1", "SCRAM-SHA-256": "sha256"}

    def __init__(self, mechanism, user, password, authorize=""):
        self.digest = self.DIGESTS[mechanism]
        self.password = password.encode()
        self.nonce = base64.b64encode(os.urandom(18)).decode()
        self.header = "n," + (f"a={_name(authorize)}" if authorize else "") + ","
        self.binding = b""
        self.bare = f"n={_name(user)},r={self.nonce}"
        self.signature = None
        self.is_proved = False

    def __call__(self, challenge):
        text = challenge.decode()
        if not text:
            return self.header + self.bare
        if text.startswith("v="):
            self.is_proved = base64.b64decode(text[2:]) == self.signature
            return b""
        return self._final(text)

    def bind(self, exported):
        """To the connection below, by bytes exported from its TLS session (RFC 9266): -PLUS."""
        self.header = "p=tls-exporter" + self.header[1:]
        self.binding = exported

    def _mac(self, key, text):
        return hmac.digest(key, text, self.digest)

    def _final(self, challenge):
        parts = dict(part.split("=", 1) for part in challenge.split(","))
        assert parts["r"].startswith(self.nonce), challenge
        bound = base64.b64encode(self.header.encode() + self.binding).decode()
        without = f"c={bound},r={parts['r']}"
        message = f"{self.bare},{challenge},{without}".encode()
        salt, rounds = base64.b64decode(parts["s"]), int(parts["i"])
        salted = hashlib.pbkdf2_hmac(self.digest, self.password, salt, rounds)
        key = self._mac(salted, b"Client Key")
        stored = hashlib.new(self.digest, key).digest()
        proof = bytes(a ^ b for a, b in zip(key, self._mac(stored, message)))
        self.signature = self._mac(self._mac(salted, b"Server Key"), message)
        return f"{without},p={base64.b64encode(proof).decode()}"


def _name(text):
    return text.replace("=", "=3D").replace(",", "=2C")
