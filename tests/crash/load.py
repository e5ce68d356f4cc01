# SPDX-License-Identifier: Apache-2.0
"""Load for the crash tests: deliveries and IMAP changes, everything written into ledgers.

Nothing is ever sent again: a mail whose answer did not come stays open in the ledger."""

import functools
import itertools
import random
import threading
import time

from crash.ledger import ITEMS, mark_of
from crash.model import Change
from kit import mails
from kit.imap import ConnectionEnded, ImapError, Literal, fetched, quote, set_numbers
from kit.lmtp import LmtpEnded, LmtpError
from kit.mirror import Mirror
from kit.resync import Known, flags_of
from kit.waiting import wait_until

CONNECTION_ERRORS = (ConnectionEnded, LmtpEnded, OSError, EOFError)
BOXES = ("INBOX", "Kept", "r1", "r2", "r3")
FLAGS = (b"\\Seen", b"\\Flagged", b"\\Answered", b"$Label1", b"urgent")
COMFORTABLE = 40  # mails in a mailbox
DELIVERERS = 6


class Load:
    """Threads that deliver and, with readers, change until stop()."""

    def __init__(self, instance, ledgers, seed, has_readers=True):
        self.instance = instance
        self.ledgers = ledgers
        self.stopping = threading.Event()
        self.problems = []
        self.counter = itertools.count()
        self.serial = f"{seed}"
        jobs = [(self.deliver, i) for i in range(DELIVERERS)]
        jobs += [(self.read, i) for i in range(len(ledgers) if has_readers else 0)]
        self.threads = [
            threading.Thread(target=self._guard, args=(job, random.Random(f"{seed}-{i}"), number))
            for i, (job, number) in enumerate(jobs)
        ]
        for thread in self.threads:
            thread.start()

    def stop(self, seconds=90):
        """Waits for what is under way; the list of problems."""
        self.stopping.set()
        deadline = time.monotonic() + seconds
        for thread in self.threads:
            thread.join(max(0.1, deadline - time.monotonic()))
            if thread.is_alive():
                self.problems.append("a client hangs")
        return self.problems

    def end_doubts(self, seconds):
        """After an outage: the first mail that a user takes ends what was in doubt of him, which may take effect
        until then."""
        with self.instance.lmtp(timeout=20) as client:
            for ledger in self.ledgers:
                wait_until(functools.partial(self.deliver_one, client, [ledger]), "a delivery is taken", seconds)

    def new_mark(self):
        """No mark is part of another."""
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
            except ImapError as e:
                # A worker or auth process that restarts may say so; nothing else is acceptable.
                if e.reply.code not in ([b"UNAVAILABLE"], [b"SERVERBUG"]):
                    self.problems.append(f"{type(e).__name__}: {e}")
                    return
                self.stopping.wait(0.05)
            except Exception as e:
                self.problems.append(f"{type(e).__name__}: {e}")
                return

    # ---- deliveries

    def deliver(self, rng, number):
        with self.instance.lmtp(timeout=20) as client:
            while not self.stopping.is_set():
                self.deliver_one(client, rng.sample(self.ledgers, rng.choice((1, 1, 1, 2))))
                self.stopping.wait(0.01)

    def deliver_one(self, client, targets):
        """Did all of them take it?"""
        mark = self.new_mark()
        accepted = []
        client.expect(250, "MAIL FROM:<load@example.org>")
        for ledger in targets:
            if client.command(f"RCPT TO:<{ledger.user}>").code == 250:
                accepted.append(ledger)
        if not accepted:
            client.expect(250, "RSET")
            return False
        for ledger in accepted:
            ledger.sent(mark)
        client.expect(354, "DATA")
        client.send(mails.marked(mark) + b".\r\n")
        saved = 0
        for ledger in accepted:
            reply = client.read_reply()
            if reply.code == 250:
                ledger.saved(mark)
                saved += 1
            elif not 400 <= reply.code < 500:
                raise AssertionError(f"delivery refused for good: {reply}")
        return saved == len(targets)

    # ---- a mail reader

    def read(self, rng, number):
        ledger = self.ledgers[number]
        if ledger.open:
            return self.stopping.wait(0.05)  # its fate is settled by the check alone
        with self.instance.connect(is_tls=rng.random() < 0.5, timeout=20) as client:
            client.note = ledger.note
            client.login(ledger.user, self.instance.password)
            Reader(self, ledger, client, rng).run()


class Reader:
    """One session; it takes up what the ledger says, and notes in it what it is told."""

    def __init__(self, load, ledger, client, rng):
        self.load = load
        self.ledger = ledger
        self.client = client
        self.rng = rng
        self.box = None
        self.mirror = None

    def run(self):
        names = self.client.do("CAPABILITY").lines[0]
        self.has_condstore = b"CONDSTORE" in names
        if self.has_condstore:
            self.client.do("ENABLE QRESYNC" if b"QRESYNC" in names and self.rng.random() < 0.5
                           else "ENABLE CONDSTORE")
        acts = {self.append: 5, self.store: 6, self.copy: 4, self.move: 4, self.expunge: 3, self.look: 4,
                self.change_tree: 2, self.change_box: 3}
        self.select("INBOX")
        while not self.load.stopping.is_set() and not self.ledger.open:
            (act,) = self.rng.choices(list(acts), acts.values())
            act()

    # ---- what is told

    def told(self, reply):
        """Feeds the mirror, and what this client would resynchronise from."""
        for line in reply.lines:
            self.mirror.take(line)
        known = self.ledger.known.get(self.box)
        if known and known.uid_validity == self.mirror.uid_validity:
            known.flags = self.known_flags()
            # The server tells all older changes before it tells of a newer one.
            known.modseq = max([known.modseq] + [mail.modseq for mail in self.mirror.mails])
        return reply

    def known_flags(self):
        return {mail.uid: mail.flags for mail in self.mirror.mails if mail.uid and mail.flags is not None}

    def remember(self):
        """Everything is told: the state from which this client may resynchronise."""
        mails_known = self.mirror.mails
        modseq = max([self.mirror.highest_modseq] + [mail.modseq for mail in mails_known])
        flags = self.known_flags()
        if self.has_condstore and len(flags) == len(mails_known):
            self.ledger.known[self.box] = Known(self.mirror.uid_validity, modseq, flags)

    def select(self, name):
        self.mirror = None
        mirror = Mirror(name)
        reply = self.client.do(f"SELECT {quote(name)}")
        self.box, self.mirror = name, mirror
        self.told(reply)
        self.ledger.told_numbers(mirror.uid_validity, mirror.uid_next, mirror.highest_modseq)
        self.look()

    def look(self):
        """Meets what has been delivered; compares what this session sees with the model."""
        self.told(self.client.do("NOOP"))
        reply = self.told(self.client.do(f"UID FETCH 1:* {ITEMS}")) if len(self.mirror) else None
        found = fetched(reply.lines, by_uid=True) if reply else {}
        box = self.ledger.model.boxes[self.box]
        for uid, items in found.items():
            mark = mark_of(items) if any(key.startswith("BODY[") for key in items) else None
            if uid in box:
                if mark and box[uid] != (mark, flags_of(items)):
                    raise AssertionError(f"{self.box}: UID {uid} is {mark} {flags_of(items)}, not {box[uid]}")
            elif mark and self.box == "INBOX":
                self.ledger.met(uid, mark)
            elif mark:
                raise AssertionError(f"{self.box}: UID {uid} ({mark}) came from nowhere")
            if mark:
                self.ledger.saw(self.mirror.uid_validity, uid, mark)
        missing = [uid for uid in box if uid not in found]
        if missing:
            raise AssertionError(f"{self.box}: UIDs {missing} are not there")
        self.remember()

    # ---- changes

    def change(self, change, *parts, uids_of=lambda reply: None):
        """One command that the ledger follows; False when it was refused."""
        self.ledger.begin(change)
        reply = self.client.run(*parts)
        if reply.status == "OK":
            self.ledger.done(uids_of(reply))
        elif reply.code in ([b"UNAVAILABLE"], [b"SERVERBUG"]):
            raise ImapError(parts, reply)  # stays open: it may have happened
        else:
            self.ledger.refused()
            raise AssertionError(f"refused: {parts[0]}: {reply}")
        self.told(reply)
        return True

    def some_uids(self, most=8):
        uids = sorted(self.ledger.model.boxes[self.box])
        return sorted(self.rng.sample(uids, self.rng.randint(1, min(most, len(uids))))) if uids else []

    def other_box(self):
        """A mailbox that the ledger knows; also the same one."""
        return self.rng.choice(sorted(set(BOXES) & set(self.ledger.model.boxes)))

    def append(self):
        box = self.other_box()
        mark = self.load.new_mark()
        flags = frozenset(self.rng.sample(FLAGS, self.rng.randint(0, 2)))
        change = Change(f"APPEND {box} {mark}", kind="append", box=box, mails=[(mark, flags)])
        flag_text = b" ".join(sorted(flags)).decode()
        self.change(change, f"APPEND {box} ({flag_text})", Literal(mails.marked(mark), plus=True),
                    uids_of=lambda reply: set_numbers(reply.code[2]))

    def store(self, flags=None):
        uids = self.some_uids(20)
        if not uids:
            return None
        sign = "+" if flags else self.rng.choice("++-")
        flags = flags or frozenset(self.rng.sample(FLAGS, self.rng.randint(1, 2)))
        words = f"UID STORE {as_set(uids)} {sign}FLAGS ({b' '.join(sorted(flags)).decode()})"
        self.change(Change(f"{words} in {self.box}", kind="store", box=self.box, uids=uids, sign=sign, flags=flags),
                    words)
        return uids

    def copy(self, verb="COPY"):
        target = self.other_box()
        uids = self.some_uids()
        if not uids or (verb == "COPY" and len(self.ledger.model.boxes[target]) > COMFORTABLE):
            return
        words = f"UID {verb} {as_set(uids)} {target}"
        change = Change(f"{words} in {self.box}", kind=verb.lower(), box=self.box, uids=uids, target=target)
        self.change(change, words, uids_of=lambda reply: target_uids(reply, uids))

    def move(self):
        self.copy("MOVE")

    def expunge(self):
        if len(self.ledger.model.boxes[self.box]) < 5:
            return
        uids = self.store(frozenset((b"\\Deleted",)))
        words = f"UID EXPUNGE {as_set(uids)}"
        if self.rng.random() < 0.3:
            words = "EXPUNGE"
            box = self.ledger.model.boxes[self.box]
            uids = [uid for uid, (_, flags) in box.items() if b"\\Deleted" in flags]
        self.change(Change(f"{words} in {self.box}", kind="expunge", box=self.box, uids=uids), words)

    def change_box(self):
        self.select(self.other_box())

    def change_tree(self):
        """CREATE, DELETE or RENAME of a mailbox that is not selected."""
        boxes = set(self.ledger.model.boxes)
        there = sorted(boxes & {"r1", "r2", "r3"} - {self.box})
        missing = sorted({"r1", "r2", "r3"} - boxes)
        if not there or (missing and self.rng.random() < 0.4):
            if missing:
                self.change(Change(f"CREATE {missing[0]}", kind="create", box=missing[0]), f"CREATE {missing[0]}")
            return
        name = self.rng.choice(there)
        if missing and self.rng.random() < 0.6:
            target = self.rng.choice(missing)
            self.ledger.known.pop(target, None)
            if name in self.ledger.known:
                self.ledger.known[target] = self.ledger.known.pop(name)
            words = f"RENAME {name} {target}"
            self.change(Change(words, kind="rename", box=name, target=target), words)
        else:
            self.ledger.known.pop(name, None)
            self.change(Change(f"DELETE {name}", kind="delete", box=name), f"DELETE {name}")


def target_uids(reply, sources):
    """The new UIDs by COPYUID, of a tagged OK or before it."""
    codes = [reply.code] + [line[1] for line in reply.lines if line[0] == b"OK"]
    (code,) = [code for code in codes if code and code[0] == b"COPYUID"]
    if set_numbers(code[2]) != sources:
        raise AssertionError(f"COPYUID names {code[2]!r}, asked was {sources}")
    return set_numbers(code[3])


def as_set(uids):
    return ",".join(map(str, uids))
