# SPDX-License-Identifier: Apache-2.0
"""Load for the crash tests: deliveries and IMAP changes, everything written into ledgers.

Nothing is ever sent again: a mail whose answer did not come stays open in the ledger."""

import itertools
import random
import threading
import time

from crash.ledger import EXPUNGING, GONE, SAVED, SENT
from kit import mails
from kit.imap import ConnectionEnded, ImapError, Literal, quote
from kit.lmtp import LmtpEnded, LmtpError

CONNECTION_ERRORS = (ConnectionEnded, LmtpEnded, OSError, EOFError)
OTHER_BOX = "Kept"


class Load:
    """Threads that deliver and change until stop()."""

    def __init__(self, instance, ledgers, seed):
        self.instance = instance
        self.ledgers = ledgers
        self.stopping = threading.Event()
        self.problems = []
        self.counter = itertools.count()
        jobs = [(self.deliver, i) for i in range(6)]
        jobs += [(self.change, i) for i in range(len(ledgers))]
        self.threads = [
            threading.Thread(target=self._guard, args=(job, random.Random(f"{seed}-{i}"), number))
            for i, (job, number) in enumerate(jobs)
        ]
        self.serial = f"{seed}"
        for thread in self.threads:
            thread.start()

    def stop(self, seconds=30):
        """Waits for what is under way; the list of problems."""
        self.stopping.set()
        deadline = time.monotonic() + seconds
        for thread in self.threads:
            thread.join(max(0.1, deadline - time.monotonic()))
            if thread.is_alive():
                self.problems.append("a client hangs")
        return self.problems

    def new_mark(self):
        """No mark is part of another: SEARCH looks for substrings."""
        return f"{self.serial}.{next(self.counter)}~"

    def _guard(self, job, rng, number):
        """Runs a job again and again; a lost connection is expected, anything else is not."""
        while not self.stopping.is_set():
            try:
                job(rng, number)
            except CONNECTION_ERRORS:
                self.stopping.wait(0.05)
            except LmtpError as e:
                # "Shutting down" and the like; a refusal for good is none of the server's rights.
                if e.reply.code >= 500:
                    self.problems.append(str(e))
                self.stopping.wait(0.05)
            except Exception as e:
                self.problems.append(f"{type(e).__name__}: {e}")
                return

    # ---- deliveries

    def deliver(self, rng, number):
        with self.instance.lmtp(timeout=20) as client:
            while not self.stopping.is_set():
                targets = rng.sample(self.ledgers, rng.choice((1, 1, 1, 2)))
                self.deliver_one(client, targets)

    def deliver_one(self, client, targets):
        mark = self.new_mark()
        accepted = []
        client.expect(250, "MAIL FROM:<load@example.org>")
        for ledger in targets:
            if client.command(f"RCPT TO:<{ledger.user}>").code == 250:
                accepted.append(ledger)
        if not accepted:
            client.expect(250, "RSET")
            return
        for ledger in accepted:
            ledger.set(mark, SENT)
        client.expect(354, "DATA")
        client.send(mails.marked(mark) + b".\r\n")
        for ledger in accepted:
            reply = client.read_reply()
            if reply.code == 250:
                ledger.set(mark, SAVED)
            elif not 400 <= reply.code < 500:
                raise AssertionError(f"delivery refused for good: {reply}")

    # ---- a mail reader

    def change(self, rng, number):
        ledger = self.ledgers[number]
        with self.instance.imap(ledger.user, timeout=20) as client:
            selected = client.select("INBOX")
            validity = {"INBOX": selected.uid_validity}
            while not self.stopping.is_set():
                act = rng.choice((self.append, self.expunge, self.move, self.flag, self.look))
                try:
                    act(client, ledger, rng, validity)
                except ImapError as e:
                    # A worker that restarts may say so; nothing else is acceptable.
                    if e.reply.code not in ([b"UNAVAILABLE"], [b"SERVERBUG"]):
                        raise

    def append(self, client, ledger, rng, validity):
        mark = self.new_mark()
        ledger.set(mark, SENT)
        reply = client.do("APPEND INBOX", Literal(mails.marked(mark), plus=True))
        ledger.set(mark, SAVED)
        ledger.saw("INBOX", validity["INBOX"], int(reply.code[2]), mark)

    def find(self, client, ledger, rng):
        """(UID, mark) of a saved mail that is in INBOX now, or None."""
        mark = ledger.choose(rng, SAVED)
        if not mark:
            return None
        uids = client.search(f"HEADER X-Mark {quote(mark)}", uid=True)
        return (uids[0], mark) if uids else None

    def expunge(self, client, ledger, rng, validity):
        found = self.find(client, ledger, rng)
        if not found or ledger.count(SAVED) < 20:
            return
        uid, mark = found
        client.do(f"UID STORE {uid} +FLAGS.SILENT (\\Deleted)")
        ledger.set(mark, EXPUNGING)
        reply = client.do(f"UID EXPUNGE {uid}")
        if reply.all("EXPUNGE"):
            ledger.set(mark, GONE)

    def move(self, client, ledger, rng, validity):
        found = self.find(client, ledger, rng)
        if not found:
            return
        client.run(f"CREATE {OTHER_BOX}")
        client.do(f"UID MOVE {found[0]} {OTHER_BOX}")

    def look(self, client, ledger, rng, validity):
        numbers = client.status("INBOX", "UIDNEXT HIGHESTMODSEQ")
        ledger.told_numbers("INBOX", validity["INBOX"], numbers["UIDNEXT"], numbers["HIGHESTMODSEQ"])

    def flag(self, client, ledger, rng, validity):
        found = self.find(client, ledger, rng)
        if found:
            flag = rng.choice(["\\Seen", "\\Flagged"])
            client.do(f"UID STORE {found[0]} +FLAGS ({flag})")
