# SPDX-License-Identifier: Apache-2.0
"""A mailbox as one client knows it: built from what the server told this session and nothing else.

What no server may say (numbers that do not exist, UIDs that do not ascend or change, a falling MODSEQ)
raises Fault."""

from kit.imap import set_numbers

RECENT = b"\\Recent"


class Fault(Exception):
    """The server broke the protocol, or a promise."""


class Mail:
    __slots__ = ("uid", "flags", "modseq", "heard")

    def __init__(self):
        self.uid = None
        self.flags = None  # a frozenset without \Recent; None: not told yet
        self.modseq = 0
        self.heard = []  # the latest about its flags, for the report of a difference

    def hear(self, text):
        self.heard = [*self.heard[-5:], text]

    def __repr__(self):
        return f"(UID {self.uid} {sorted(self.flags) if self.flags is not None else None} {self.modseq})"


class NoLedger:
    """Hears of what happens to mails, and does nothing with it."""

    def told_gone(self, validity, uid):
        pass

    def identify(self, validity, uid, mail_id):
        pass


class Mirror:
    """`ledger` (such as stress/ledger.py) hears of mails that are gone and of Subjects that are met."""

    def __init__(self, name, ledger=NoLedger()):
        self.name = name
        self.ledger = ledger
        self.mails = []
        self.uid_validity = None
        self.highest_modseq = 0
        self.uid_next = 0
        self.doing = ""  # the command under way, for reports

    def __len__(self):
        return len(self.mails)

    # ---- what the server says

    def take(self, line, check_expunge=lambda: None):
        """One untagged response; `check_expunge` is asked before mails go."""
        if line[0].isdigit():
            self._take_numbered(int(line[0]), line[1].upper(), line, check_expunge)
        elif line[0].upper() == b"VANISHED":
            if isinstance(line[1], list):
                self.vanished_earlier(line[2])
            else:
                check_expunge()
                self.vanished(line[1])
        elif line[0] == b"OK" and line[1]:
            self.code(line[1])

    def _take_numbered(self, number, kind, line, check_expunge):
        if kind == b"EXISTS":
            self.exists(number)
        elif kind == b"EXPUNGE":
            check_expunge()
            self.expunge(number)
        elif kind == b"FETCH":
            values = line[2]
            self.fetch(number, {values[i].upper(): values[i + 1] for i in range(0, len(values), 2)})

    def exists(self, count):
        if count < len(self.mails):
            raise Fault(f"EXISTS {count}, but {len(self.mails)} mails were told and not expunged")
        self.mails += [Mail() for _ in range(count - len(self.mails))]

    def at(self, number, what):
        if not 1 <= number <= len(self.mails):
            raise Fault(f"{what} of mail {number} of {len(self.mails)}")
        return self.mails[number - 1]

    def expunge(self, number):
        mail = self.at(number, "EXPUNGE")
        if mail.uid is not None:
            self.ledger.told_gone(self.uid_validity, mail.uid)
        del self.mails[number - 1]

    def vanished(self, uids):
        for uid in set_numbers(uids):
            del self.mails[self._place_of(uid)]
            self.ledger.told_gone(self.uid_validity, uid)

    def _place_of(self, uid):
        """Index of the mail with this UID; of one whose UID was not told, when it must be that."""
        candidate = None
        for i, mail in enumerate(self.mails):
            if mail.uid == uid:
                return i
            if mail.uid is None:
                candidate = i
            elif mail.uid > uid:
                break
            else:
                candidate = None
        if candidate is None:
            raise Fault(f"VANISHED of UID {uid}, which is not there")
        self._forget_unknown_before(candidate)
        return candidate

    def _forget_unknown_before(self, last):
        """Mails side by side without UIDs: one of them has gone, and nobody can say which."""
        while last >= 0 and self.mails[last].uid is None:
            self.mails[last].flags, self.mails[last].modseq = None, 0
            last -= 1

    def vanished_earlier(self, uids):
        for uid in set_numbers(uids):
            self.ledger.told_gone(self.uid_validity, uid)

    def fetch(self, number, items):
        mail = self.at(number, "FETCH")
        if b"UID" in items:
            self._learn_uid(number, mail, int(items[b"UID"]))
        if b"FLAGS" in items:
            mail.flags = frozenset(items[b"FLAGS"]) - {RECENT}
            mail.hear(f"told {b' '.join(items[b'FLAGS'])!r} by {self.doing}")
        if b"MODSEQ" in items:
            modseq = int(items[b"MODSEQ"][0])
            if modseq < mail.modseq:
                raise Fault(f"MODSEQ of mail {number} {mail} falls to {modseq}")
            mail.modseq = modseq
        for key, value in items.items():
            if key.startswith(b"BODY[HEADER.FIELDS (SUBJECT)]") and mail.uid is not None:
                self.ledger.identify(self.uid_validity, mail.uid, id_of(value))

    def _learn_uid(self, number, mail, uid):
        if mail.uid is not None and mail.uid != uid:
            raise Fault(f"mail {number} had UID {mail.uid}, has {uid}")
        mail.uid = uid
        before = self.mails[number - 2].uid if number > 1 else None
        after = self.mails[number].uid if number < len(self.mails) else None
        if (before is not None and before >= uid) or (after is not None and after <= uid):
            raise Fault(f"UIDs do not ascend: {before}, {uid} (mail {number}), {after}")

    def code(self, code):
        if code[0] == b"UIDVALIDITY":
            self.uid_validity = int(code[1])
        elif code[0] == b"UIDNEXT":
            self.uid_next = int(code[1])
        elif code[0] == b"HIGHESTMODSEQ":
            self.highest_modseq = int(code[1])

    # ---- what the client does silently

    def store_silently(self, mails, sign, flags):
        """The client's part of STORE .SILENT: nothing will be told about it."""
        for mail in mails:
            if mail.flags is None:
                continue
            mail.hear(f"stored {sign}{sorted(flags)}")
            if sign == "+":
                mail.flags = mail.flags | flags
            elif sign == "-":
                mail.flags = mail.flags - flags
            else:
                mail.flags = frozenset(flags)

    def forget_flags(self, mails):
        for mail in mails:
            mail.flags = None

    # ---- comparing

    def differences(self, truth):
        """Against [(uid, flags, modseq)] of a fresh session; a list of texts."""
        if len(truth) != len(self.mails):
            have = [mail.uid for mail in self.mails]
            return [f"{self.name}: {len(self.mails)} mails told, {len(truth)} are there; told: "
                    f"{have[-40:]}, there: {[t[0] for t in truth][-40:]}"]
        out = []
        for number, (mail, (uid, flags, modseq)) in enumerate(zip(self.mails, truth), 1):
            if mail.uid is not None and mail.uid != uid:
                out.append(f"{self.name}: mail {number} was told with UID {mail.uid}, is {uid}")
            elif mail.flags is not None and mail.flags != flags:
                out.append(f"{self.name}: mail {number} (UID {uid}) was told with {sorted(mail.flags)}, "
                           f"has {sorted(flags)}; it heard: {'; '.join(mail.heard)}")
            elif modseq and mail.modseq > modseq:
                out.append(f"{self.name}: mail {number} (UID {uid}) told modseq {mail.modseq}, has {modseq}")
        return out


def id_of(subject):
    """The id that each mail of the stress carries in its Subject."""
    return subject.decode("latin-1").partition(":")[2].strip()
