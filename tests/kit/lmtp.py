# SPDX-License-Identifier: Apache-2.0
"""A small LMTP client that shows every reply."""

import re
import socket

from .waiting import PATIENCE_S


class LmtpReply:
    def __init__(self, code, lines):
        self.code = code
        self.lines = lines
        self.text = lines[-1]
        enhanced = re.match(r"(\d\.\d+\.\d+)(?: |$)", self.text)
        self.enhanced = enhanced.group(1) if enhanced else None

    def __str__(self):
        return f"{self.code} {self.lines}"

    __repr__ = __str__


class LmtpError(Exception):
    def __init__(self, command, reply):
        super().__init__(f"{command!r} -> {reply}")
        self.reply = reply


class LmtpEnded(Exception):
    """The server closed the connection in the middle of a reply."""


class Lmtp:
    """`address` is (host, port) or the path of a UNIX socket."""

    def __init__(self, address, timeout=PATIENCE_S, hello="client.example.test"):
        if isinstance(address, tuple):
            self.sock = socket.create_connection(address, timeout)
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        else:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(timeout)
            self.sock.connect(address)
        self.input = b""
        self.greeting = self.read_reply()
        self.features = []
        if hello:
            self.features = self.expect(250, f"LHLO {hello}").lines[1:]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def read_reply(self):
        lines = []
        while True:
            while b"\r\n" not in self.input:
                data = self.sock.recv(65536)
                if not data:
                    raise LmtpEnded(f"connection closed after {lines!r}")
                self.input += data
            line, self.input = self.input.split(b"\r\n", 1)
            text = line.decode("utf-8", "replace")
            if not re.match(r"\d{3}[ -]|\d{3}$", text):
                raise ValueError(f"not a reply line: {text!r}")
            lines.append(text[4:])
            if text[3:4] != "-":
                return LmtpReply(int(text[:3]), lines)

    def command(self, line):
        self.send(line.encode() + b"\r\n")
        return self.read_reply()

    def expect(self, code, line):
        reply = self.command(line)
        if reply.code != code:
            raise LmtpError(line, reply)
        return reply

    def envelope(self, sender, *recipients, parameters=""):
        """MAIL and RCPTs, all of which must be accepted."""
        self.expect(250, f"MAIL FROM:<{sender}>{parameters}")
        for rcpt in recipients:
            self.expect(250, f"RCPT TO:<{rcpt}>")

    def send_data(self, mail, recipient_count):
        """DATA with `mail` (CRLF lines); one reply per accepted recipient."""
        self.expect(354, "DATA")
        self.send(stuffed(mail))
        return [self.read_reply() for _ in range(recipient_count)]

    def deliver(self, mail, *recipients, sender="sender@example.org"):
        """A whole transaction; every recipient must be accepted and the mail saved."""
        self.envelope(sender, *recipients)
        replies = self.send_data(mail, len(recipients))
        for reply in replies:
            if reply.code != 250:
                raise LmtpError("DATA", reply)
        return replies

    def quit(self):
        self.expect(221, "QUIT")
        self.sock.close()


def stuffed(mail):
    """The bytes that DATA sends for a mail: dots doubled at line starts, CRLF at the end, "."."""
    out = mail.replace(b"\r\n.", b"\r\n..")
    if out.startswith(b"."):
        out = b"." + out
    if not out.endswith(b"\r\n"):
        out += b"\r\n"
    return out + b".\r\n"
