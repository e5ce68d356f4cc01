# SPDX-License-Identifier: Apache-2.0
"""A session that does what mail readers do, at random, and follows what it is told.

Every act leaves the mirror exact: what is not certain afterwards (flags after a refused STORE) is
forgotten, and asked for again. A refusal is accepted only where another session may be the cause."""

import asyncio
import functools

from kit import mails
from kit.imap import quote, set_numbers
from kit.mirror import Fault, Mirror
from stress.client import Ended, NotNow, connect

STABLE = ("INBOX", "Work", "Kept")
VOLATILE = ("v1", "v2", "v3", "v4")
FLAGS = ("\\Seen", "\\Flagged", "\\Answered", "\\Draft", "$Label1", "urgent", "later")
COMFORTABLE = 60  # mails in a mailbox; above it there is more expunging
SUBJECT = "BODY.PEEK[HEADER.FIELDS (SUBJECT)]"
MISSING = (b"TRYCREATE", b"NONEXISTENT")


class Actor:
    """One session of one user; `stress` gives the instance, the counters and takes faults."""

    def __init__(self, stress, ledger, number, rng):
        self.stress = stress
        self.ledger = ledger
        self.name = f"s{number}"
        self.rng = rng
        self.client = None
        self.mirror = None
        self.is_read_only = False
        self.must_go = []
        self.is_tls = rng.random() < 0.3
        self.acts = {
            self.fetch: 10, self.pipeline: 8, self.search: 5, self.store: 12, self.append: 9, self.copy: 6,
            self.move: 6, self.expunge: 6, self.idle: 2, self.noop: 5, self.select: 4, self.status: 3,
            self.create: 2, self.delete: 1, self.rename: 2, self.list: 2, self.close_mailbox: 1, self.leave: 1,
        }

    # ---- life

    async def run(self, until):
        """Acts until the event is set; a lost connection is a fault unless its mailbox was deleted."""
        while not until.is_set():
            try:
                await self.ensure_selected()
                (act,) = self.rng.choices(list(self.acts), self.acts.values())
                await act()
                self.stress.count(act.__name__)
            except Ended as e:
                self.lost(e)
            except NotNow:
                self.stress.count("refused")
                await asyncio.sleep(0.05)

    async def settle(self):
        """At a quiet point: all that happened is told."""
        while True:
            try:
                await self.ensure_selected()
                await self.client.do("NOOP")
                self.check_gone()
                return
            except Ended as e:
                self.lost(e)

    def lost(self, e):
        """Its mailbox was deleted; the BYE itself may be lost in a connection that breaks."""
        is_reset = "connection lost" in str(e) and self.mirror is not None and self.mirror.name in VOLATILE
        if "deleted" not in str(e) and not is_reset:
            raise Fault(f"{self.name}: {e}")
        self.client.close()
        self.client = self.mirror = None

    async def ensure_selected(self):
        if self.client is None or self.client.is_closed:
            self.client = await connect(
                self.stress.instance, self.name, self.stress.fault, self.is_tls, self.ledger.user)
            self.mirror = None
            password = quote(self.stress.instance.password)
            try:
                await self.client.do(f"LOGIN {quote(self.ledger.user)} {password}")
                await self.enable()
            except NotNow:
                self.client.close()
                self.client = None
                raise
        while self.mirror is None:
            await self.select()
            if self.mirror is None:
                await asyncio.sleep(0.01)

    async def enable(self):
        command = await self.client.do("CAPABILITY")
        self.capability = {word.decode() for line in command.lines for word in line if isinstance(word, bytes)}
        if "CONDSTORE" in self.capability and self.rng.random() < 0.5:
            what = "QRESYNC" if "QRESYNC" in self.capability and self.rng.random() < 0.5 else "CONDSTORE"
            await self.client.do(f"ENABLE {what}")

    # ---- which mails

    def some_numbers(self, most=6):
        """A random set of sequence numbers, sorted; empty in an empty mailbox."""
        count = len(self.mirror)
        if not count:
            return []
        if self.rng.random() < 0.5:
            first = self.rng.randint(1, count)
            return list(range(first, min(count, first + self.rng.randrange(most)) + 1))
        return sorted(self.rng.sample(range(1, count + 1), self.rng.randint(1, min(most, count))))

    def mails_at(self, numbers):
        return [self.mirror.mails[number - 1] for number in numbers]

    def asked(self, numbers):
        """{number: mail} as it is when a command is sent."""
        return dict(zip(numbers, self.mails_at(numbers)))

    async def known_numbers(self, most=6):
        """some_numbers() whose UIDs and ids are known to the ledger: asks for those that are not.
        No command that may expunge lies between this and the caller's next command."""
        numbers = self.some_numbers(most)
        validity = self.mirror.uid_validity
        unknown = [n for n, mail in zip(numbers, self.mails_at(numbers))
                   if mail.uid is None or self.ledger.id_of(validity, mail.uid) is None]
        if unknown:
            command = await self.client.run(f"FETCH {as_set(unknown)} (UID {SUBJECT})")
            if command.status != "OK":
                return []
        mails_there = self.mails_at(numbers)
        if any(mail.uid is None or self.ledger.id_of(validity, mail.uid) is None for mail in mails_there):
            return []  # expunged by another, and not told yet
        return numbers

    def target(self):
        """A stable mailbox mostly; a volatile one may be there or not."""
        return self.rng.choice(STABLE if self.rng.random() < 0.7 else VOLATILE)

    # ---- acts: the selected mailbox

    async def noop(self):
        await self.client.do(self.rng.choice(("NOOP", "NOOP", "CHECK")))

    async def fetch(self):
        numbers = self.some_numbers(20)
        if not numbers:
            return
        items = self.rng.choice(("(UID FLAGS)", "FLAGS", f"(UID {SUBJECT})", "(UID FLAGS ENVELOPE)",
                                 "(UID BODYSTRUCTURE)", "(UID BODY.PEEK[])", "FAST"))
        if self.rng.random() < 0.3:
            uids = [mail.uid for mail in self.mails_at(numbers) if mail.uid is not None]
            if uids:
                await self.client.run(f"UID FETCH {as_set(uids)} {items}")
            return
        asked = self.asked(numbers)
        self.check_fetched(await self.client.run(f"FETCH {as_set(numbers)} {items}"), asked)

    def check_fetched(self, command, asked):
        """Each mail of the set was told of, or is gone and will be told so."""
        if command.status != "OK":
            if not command.code or command.code[0] != b"EXPUNGEISSUED":
                self.check_missing(command)
            return
        told = {int(line[0]) for line in command.lines if line[0].isdigit() and line[1].upper() == b"FETCH"}
        self.must_go += [mail for number, mail in asked.items() if number not in told]

    def check_gone(self):
        """At a quiet point: mails that were not told of before were expunged indeed."""
        left = [mail for mail in self.must_go if mail in self.mirror.mails]
        if left:
            raise Fault(f"{self.name}: commands kept silent about {left}, which are still there")
        self.must_go = []

    async def pipeline(self):
        """Several commands with numbers at once, then at most one that may change numbers."""
        if not len(self.mirror):
            return
        commands = []
        for _ in range(self.rng.randint(2, 5)):
            numbers = self.some_numbers()
            kind = self.rng.randrange(4)
            if kind == 0 and not self.is_read_only:
                commands.append((self.start_store(numbers), self.asked(numbers)))
            elif kind == 1:
                commands.append((self.client.start("SEARCH ALL"), None))
            else:
                commands.append((self.client.start(f"FETCH {as_set(numbers)} (UID FLAGS)"), self.asked(numbers)))
        last = self.rng.choice(("NOOP", "UID SEARCH ALL", "UID FETCH 1:* (UID FLAGS)", None))
        if last:
            commands.append((self.client.start(last), None))
        for command, asked in commands:
            await command.done
            if command.verb == "STORE":
                self.after_store(command, asked)
            elif command.verb == "FETCH":
                self.check_fetched(command, asked)
            elif command.verb == "SEARCH" and not command.is_for_now:
                self.check_search_all(command)

    async def search(self):
        if self.rng.random() < 0.4:
            self.check_search_all(await self.client.do("SEARCH ALL"))
            return
        key = self.rng.choice(("UNSEEN", "FLAGGED", "DELETED", "SUBJECT s1", "LARGER 1000", "NOT DELETED",
                               "KEYWORD urgent", "OR SEEN DRAFT", "SINCE 1-Jan-2020", "BODY meeting"))
        await self.client.do(f"{self.rng.choice(('SEARCH', 'UID SEARCH'))} {key}")

    def check_search_all(self, command):
        """All numbers, from 1 without a gap, and none that was not told before the reply's end."""
        found = [int(word) for line in command.lines if line[0] == b"SEARCH" for word in line[1:]
                 if isinstance(word, bytes)]
        if found != list(range(1, len(found) + 1)):
            raise Fault(f"{self.name}: SEARCH ALL found {found[:50]}")

    def start_store(self, numbers):
        """STORE by number with known UIDs only; \\Deleted dooms."""
        validity = self.mirror.uid_validity
        sign = self.rng.choice("++-") if self.rng.random() < 0.9 else ""
        flags = self.rng.sample(FLAGS, self.rng.randint(1, 2))
        chosen = self.mails_at(numbers)
        all_known = all(m.uid is not None and self.ledger.id_of(validity, m.uid) for m in chosen)
        if sign == "+" and all_known and self.rng.random() < 0.35:
            flags = ["\\Deleted"]
            self.ledger.doom(validity, [mail.uid for mail in chosen])
        is_silent = self.rng.random() < 0.5
        on_start = None
        if is_silent:
            values = frozenset(flag.encode() for flag in flags)
            on_start = functools.partial(self.mirror.store_silently, chosen, sign, values)
        word = f"{sign}FLAGS{'.SILENT' if is_silent else ''}"
        return self.client.start(f"STORE {as_set(numbers)} {word} ({' '.join(flags)})", on_start=on_start)

    def after_store(self, command, asked):
        if command.status != "OK":
            if not command.code or command.code[0] != b"EXPUNGEISSUED":
                self.check_missing(command)
            self.mirror.forget_flags(self.mirror.mails)
        elif ".SILENT" not in command.text:
            self.check_fetched(command, asked)

    async def store(self):
        if self.is_read_only:
            return
        numbers = await self.known_numbers()
        if numbers:
            asked = self.asked(numbers)
            self.after_store(await self.start_store(numbers).done, asked)

    async def expunge(self):
        if self.is_read_only:
            return
        if self.rng.random() < 0.5:
            await self.expunge_all("EXPUNGE")
            return
        numbers = await self.known_numbers(10 if len(self.mirror) > COMFORTABLE else 4)
        if not numbers:
            return
        chosen = self.mails_at(numbers)
        uids = [mail.uid for mail in chosen]
        self.ledger.doom(self.mirror.uid_validity, uids)
        command = await self.client.run(f"UID STORE {as_set(uids)} +FLAGS (\\Deleted)")
        if command.status != "OK":
            self.after_store(command, {})
        if "UIDPLUS" in self.capability and self.rng.random() < 0.7:
            await self.expunge_all(f"UID EXPUNGE {as_set(uids)}")
        else:
            await self.expunge_all("EXPUNGE")

    async def expunge_all(self, text):
        command = await self.client.run(text)
        if command.status != "OK":
            self.check_missing(command, self.mirror.name)

    async def idle(self):
        command = self.client.start("IDLE")
        await command.continued
        await asyncio.sleep(self.rng.random() * 0.5)
        if self.client.is_closed:
            await command.done
        self.client.send_raw(b"DONE\r\n")
        await command.done

    # ---- acts: mails that come and go

    async def append(self):
        if len(self.mirror) > 2 * COMFORTABLE:
            return
        target = self.target()
        mail_id = self.stress.new_id(self.name)
        flags = " ".join(self.rng.sample(FLAGS, self.rng.randint(0, 2)))
        mail = mails.small(mail_id, mails.text(self.rng, self.rng.choice((100, 2000, 20000))))
        try:
            command = await self.client.run(f"APPEND {target} ({flags})", mail)
        except Ended:
            self.ledger.append_in_doubt(mail_id)
            raise
        if command.status != "OK":
            if command.is_for_now:
                self.ledger.append_in_doubt(mail_id)
            self.check_missing(command, target)
        else:
            self.ledger.appended(int(command.code[1]), int(command.code[2]), mail_id)

    def check_missing(self, command, *names):
        """A refusal is right only when a volatile mailbox was not there, or mails have gone."""
        code = command.code[0] if command.code else None
        names += (self.mirror.name if self.mirror else "",)
        if command.is_for_now:
            self.stress.count("refused")
            return
        if code in MISSING and any(name in VOLATILE for name in names):
            return
        raise Fault(f"{self.name}: {command} {command.reply_text!r}")

    async def copy(self, verb="COPY"):
        if len(self.mirror) > 2 * COMFORTABLE and verb == "COPY":
            return
        target = self.target()
        numbers = await self.known_numbers(10)
        if not numbers:
            return
        validity = self.mirror.uid_validity
        uids = [mail.uid for mail in self.mails_at(numbers)]
        move_to = target if verb == "MOVE" else ""
        by_uid = self.rng.random() < 0.5
        words = f"UID {verb} {as_set(uids)}" if by_uid else f"{verb} {as_set(numbers)}"
        try:
            command = await self.client.run(f"{words} {target}")
        except Ended:
            self.ledger.copies_in_doubt(validity, uids, move_to)
            raise
        if command.status != "OK":
            if command.is_for_now:
                self.ledger.copies_in_doubt(validity, uids, move_to)
            if not command.code or command.code[0] != b"EXPUNGEISSUED":
                self.check_missing(command, target)
            return
        code = copyuid_of(command)
        if code:
            self.ledger.copied(validity, set_numbers(code[2]), int(code[1]), set_numbers(code[3]), verb == "MOVE")

    async def move(self):
        if "MOVE" in self.capability and not self.is_read_only:
            await self.copy("MOVE")

    # ---- acts: mailboxes

    async def select(self):
        name = self.target()
        self.is_read_only = self.rng.random() < 0.15
        mirror = Mirror(name, self.ledger)
        await self.unselect()
        self.client.mirror = mirror
        command = await self.client.run(f"{'EXAMINE' if self.is_read_only else 'SELECT'} {name}")
        if command.status != "OK":
            self.client.mirror = None
            self.check_missing(command, name)
            return
        self.mirror = mirror
        if len(mirror):
            await self.client.do("UID FETCH 1:* (UID FLAGS)")

    async def unselect(self):
        if self.mirror is not None:
            await self.client.do("UNSELECT")
            self.client.mirror = self.mirror = None

    async def close_mailbox(self):
        """CLOSE expunges without a word: all that is marked by anybody was doomed then."""
        await self.client.do("CLOSE")
        self.client.mirror = self.mirror = None

    async def leave(self):
        self.mirror = self.client.mirror = None
        command = self.client.start("LOGOUT")
        await command.done
        self.client.close()
        self.client = None

    async def status(self):
        name = self.target()
        command = await self.client.run(f"STATUS {name} (MESSAGES UIDNEXT UIDVALIDITY UNSEEN)")
        if command.status != "OK":
            self.check_missing(command, name)

    async def list(self):
        await self.client.do(self.rng.choice(('LIST "" *', 'LIST "" %', 'LSUB "" *')))

    async def create(self):
        self.after_tree(await self.change_tree(f"CREATE {self.rng.choice(VOLATILE)}"), b"ALREADYEXISTS")

    async def delete(self):
        self.after_tree(await self.change_tree(f"DELETE {self.rng.choice(VOLATILE)}"), b"NONEXISTENT")

    async def rename(self):
        source, target = self.rng.sample(VOLATILE, 2)
        command = await self.client.run(f"RENAME {source} {target}")
        self.after_tree(command, b"NONEXISTENT", b"ALREADYEXISTS")

    async def change_tree(self, text):
        try:
            return await self.client.run(text)
        except Ended:
            self.ledger.boxes_uncertain += 1
            raise

    def after_tree(self, command, *refusals):
        if command.status == "OK":
            self.ledger.boxes_created += command.verb == "CREATE"
            self.ledger.boxes_removed += command.verb == "DELETE"
        elif command.is_for_now:
            self.ledger.boxes_uncertain += 1
        elif not command.code or command.code[0] not in refusals:
            raise Fault(f"{self.name}: {command} {command.reply_text!r}")


def copyuid_of(command):
    """The arguments of COPYUID: in the tagged OK, or for MOVE in an untagged one; None: nothing done."""
    codes = [command.code] + [line[1] for line in command.lines if line[0] == b"OK"]
    found = [code for code in codes if code and code[0] == b"COPYUID"]
    return found[0] if found else None


def as_set(numbers):
    """1:3,7"""
    out = []
    for number in numbers:
        if out and out[-1][1] == number - 1:
            out[-1][1] = number
        else:
            out.append([number, number])
    return ",".join(str(a) if a == b else f"{a}:{b}" for a, b in out)
