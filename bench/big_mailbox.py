# SPDX-License-Identifier: Apache-2.0
"""Scenarios of one session with a large mailbox: single commands whose time and CPU are told."""

import socket
import time

from kit import mails

MAILS_A_COMMAND = 100
LARGE = 50_000
MASS = 10_000
SEARCHED = 10_000
NEW_MAILS = 500


class Session:
    """A plain connection that counts bytes and looks at nothing but the tagged reply."""

    def __init__(self, instance, user):
        self.sock = socket.create_connection((instance.host, instance.imap_port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.tail = b""
        self.count = 0
        self._read_until(b"* OK")
        self.run(f'LOGIN "{user}" "{instance.password}"')

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def _read_until(self, wanted):
        """Bytes up to a line that begins with `wanted`."""
        total = 0
        self.tail = b""
        while not (self.tail.startswith(wanted) or b"\n" + wanted in self.tail) or not self.tail.endswith(b"\r\n"):
            data = self.sock.recv(1 << 20)
            if not data:
                raise ConnectionError(f"the server closed: {self.tail[-300:]!r}")
            total += len(data)
            self.tail = (self.tail + data)[-4096:] if len(data) < 4096 else data[-4096:]
        return total

    def run(self, text, literals=()):
        """Sends a command, and checks its reply; the bytes of the answer."""
        self.count += 1
        tag = b"b%d " % self.count
        out = [tag, text.encode()]
        for literal in literals:
            out.append(b" {%d+}\r\n%s" % (len(literal), literal))
        self.sock.sendall(b"".join(out) + b"\r\n")
        total = self._read_until(tag)
        if b"\n" + tag + b"OK" not in b"\n" + self.tail:
            raise AssertionError(f"{text[:100]}: {self.tail[-300:]!r}")
        return total


class BigMailbox:
    """Mixed into Bench (run.py), which has instance, count(), add(), load(), command()."""

    def cpu_ns(self):
        pids = [self.instance.pid] + [pid for pid, _ in self.instance.processes()]
        # The CPU clock of another process: its number, inverted, with the kernel's mark for it.
        return sum(time.clock_gettime_ns((~pid << 3) | 2) for pid in pids)

    def time_command(self, name, session, text, repeats=1, goal=None, before=None):
        """One row: the mean of some runs of one command."""
        took, cpu, size = [], [], 0
        for _ in range(repeats):
            if before:
                session.run(before)
            cpu_before, began = self.cpu_ns(), time.monotonic()
            size = session.run(text)
            took.append(time.monotonic() - began)
            cpu.append(self.cpu_ns() - cpu_before)
        self.add({
            "name": name,
            "goal": goal or name,
            "cpu_us": round(sum(cpu) / len(cpu) / 1000, 1),
            "p50_ms": round(sorted(took)[len(took) // 2] * 1000, 3),
            "roles": f"{size:,} bytes",
        })

    def fill_mailbox(self, session, mailbox, count):
        """Small mails, many by one APPEND."""
        for first in range(0, count, MAILS_A_COMMAND):
            some = [mails.small(f"Report {n} of the year", f"Number {n}.\r\n", extra="MIME-Version: 1.0\r\n")
                    for n in range(first, min(count, first + MAILS_A_COMMAND))]
            session.run(f"APPEND {mailbox}", some)

    def new_mails(self):
        """Mails that have just come in, each fetched whole for the first time."""
        user = 1501
        count = self.count(NEW_MAILS)
        self.load(self.command("lmtp", users=1, first_user=user, mail_size=20000, count=count))
        with Session(self.instance, self.instance.user(user)) as session:
            session.run("SELECT INBOX")
            cpu, began = self.cpu_ns(), time.monotonic()
            for n in range(1, count + 1):
                session.run(f"UID FETCH {n} (UID FLAGS BODY.PEEK[])")
            self.add({
                "name": "new mails of 20 kB",
                "cpu_us": round((self.cpu_ns() - cpu) / 1000 / count, 1),
                "per_second": round(count / (time.monotonic() - began), 1),
                "roles": f"{count} mails",
            })

    def large(self):
        count = self.count(LARGE)
        with Session(self.instance, self.instance.user(1502)) as session:
            self.fill_mailbox(session, "INBOX", count)
            self.time_command(f"SELECT of {count}", session, "SELECT INBOX", 50, "SELECT", before="EXAMINE INBOX")
            for what in ("FLAGS", "ENVELOPE", "BODYSTRUCTURE"):
                self.time_command(f"{what} of {count}", session, f"FETCH 1:* {what}", 5, f"{what} of all")

    def mass(self):
        """One command for all mails."""
        count = self.count(MASS)
        with Session(self.instance, self.instance.user(1503)) as session:
            self.fill_mailbox(session, "INBOX", count)
            session.run("CREATE Copies")
            session.run("SELECT INBOX")
            self.time_command(f"STORE 1:* of {count}", session, "STORE 1:* +FLAGS (\\Seen)")
            self.time_command(f"STORE 1:* silent of {count}", session, "STORE 1:* +FLAGS.SILENT (\\Flagged)")
            self.time_command(f"COPY 1:* of {count}", session, "COPY 1:* Copies")
            session.run("STORE 1:* +FLAGS.SILENT (\\Deleted)")
            self.time_command(f"EXPUNGE of {count}", session, "EXPUNGE")

    def search(self):
        """Every body is read: 445 MB at full size."""
        user, count = 1504, self.count(SEARCHED)
        self.load(self.command("append", users=1, first_user=user, connections=8, count=count))
        with Session(self.instance, self.instance.user(user)) as session:
            session.run("SELECT INBOX")
            self.time_command(f"SEARCH BODY of {count}", session, "SEARCH BODY zzzyxw", 2)
            self.time_command(f"SEARCH SUBJECT of {count}", session, "SEARCH SUBJECT zzzyxw", 5)
