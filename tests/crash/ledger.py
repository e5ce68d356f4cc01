# SPDX-License-Identifier: Apache-2.0
"""What the server has promised, and the check that it kept its word after a crash.

A mail is known by its mark (kit/mails.marked). The ledger of a user holds for every mark what was
acknowledged; what was asked for but not acknowledged may have happened or not, but is settled once
and for all by the first look after the crash.

    sent, no answer         there at most once
    saved (250 or OK)       there exactly once
    expunge sent, no answer there at most once
    move sent, no answer    there exactly once, in one of the two mailboxes
    expunged (OK)           never seen again
"""

import re
import threading

from kit import mails

SENT, SAVED, EXPUNGING, GONE = "sent", "saved", "expunging", "gone"
BODIES_CHECKED = 5


class Ledger:
    def __init__(self, user):
        self.user = user
        self.state = {}  # mark -> state; moves change nothing here
        self.boxes = {}  # mailbox -> Box
        self.lock = threading.Lock()

    def set(self, mark, state):
        with self.lock:
            self.state[mark] = state

    def choose(self, rng, state):
        """A mark in that state, or None."""
        with self.lock:
            found = [mark for mark, s in self.state.items() if s == state]
        return rng.choice(found) if found else None

    def count(self, state):
        return sum(s == state for s in self.state.values())

    def saw(self, mailbox, uid_validity, uid, mark):
        """A UID was told to somebody: it names this mail for ever."""
        with self.lock:
            self.boxes.setdefault(mailbox, Box(uid_validity)).uids[uid] = mark

    def told_numbers(self, mailbox, uid_validity, uid_next, modseq):
        """What STATUS said: none of it may ever fall."""
        with self.lock:
            self.boxes.setdefault(mailbox, Box(uid_validity)).told(uid_next, modseq)

    # ---- the check

    def check(self, client, rng):
        """Compares the user's mailboxes with the ledger; the list of broken promises. Then takes
        what is there as the truth for whatever was open."""
        broken = []
        places = {}
        for mailbox in sorted(client.list_names()):
            for uid, mark in self._read_box(client, mailbox, broken):
                places.setdefault(mark, []).append((mailbox, uid))
        for mark, state in self.state.items():
            broken += self._check_mark(mark, state, places.get(mark, []))
        unknown = [mark for mark in places if mark not in self.state]
        broken += [f"a mail that nobody sent: {mark}" for mark in unknown]
        broken += self._check_bodies(client, rng, places)
        for mark, state in self.state.items():
            if state in (SENT, EXPUNGING):
                self.state[mark] = SAVED if mark in places else GONE
        return [f"{self.user}: {text}" for text in broken]

    def _read_box(self, client, mailbox, broken):
        status = client.status(mailbox, "UIDVALIDITY UIDNEXT HIGHESTMODSEQ")
        box = self.boxes.setdefault(mailbox, Box(status["UIDVALIDITY"]))
        broken += box.check_numbers(mailbox, status)
        selected = client.select(mailbox)
        if not selected.exists:
            return []
        got = client.fetch("1:*", "(UID BODY.PEEK[HEADER.FIELDS (X-Mark)])")
        found = []
        for mail in got.values():
            (text,) = [value for key, value in mail.items() if key.startswith("BODY[")]
            mark = re.search(rb"(?i)X-Mark: (\S+)", text)
            uid = int(mail["UID"])
            if not mark:
                broken.append(f"{mailbox}: the mail with UID {uid} has no mark")
                continue
            found.append((uid, mark.group(1).decode()))
        broken += box.check_uids(mailbox, found, selected.uid_next)
        return found

    def _check_mark(self, mark, state, places):
        count = len(places)
        allowed = {SENT: (0, 1), SAVED: (1,), EXPUNGING: (0, 1), GONE: (0,)}[state]
        if count in allowed:
            return []
        return [f"mail {mark} ({state}) is there {count} times: {places}"]

    def _check_bodies(self, client, rng, places):
        broken = []
        for mark in rng.sample(sorted(places), min(BODIES_CHECKED, len(places))):
            mailbox, uid = places[mark][0]
            client.select(mailbox)
            got = client.fetch(str(uid), "BODY.PEEK[]", uid=True)
            if uid not in got or not got[uid]["BODY[]"].endswith(mails.marked(mark)):
                broken.append(f"mail {mark} is damaged")
        return broken


class Box:
    """What clients were told about one mailbox."""

    def __init__(self, uid_validity):
        self.uid_validity = uid_validity
        self.uids = {}  # uid -> mark, of all time
        self.uid_next = 0
        self.modseq = 0

    def told(self, uid_next, modseq):
        self.uid_next = max(self.uid_next, uid_next)
        self.modseq = max(self.modseq, modseq)

    def check_numbers(self, name, status):
        broken = []
        for key, least in (("UIDNEXT", self.uid_next), ("HIGHESTMODSEQ", self.modseq)):
            if status[key] < least:
                broken.append(f"{name}: {key} fell from {least} to {status[key]}")
        if status["UIDVALIDITY"] != self.uid_validity:
            broken.append(f"{name}: UIDVALIDITY was {self.uid_validity}, is {status['UIDVALIDITY']}")
        self.told(status["UIDNEXT"], status["HIGHESTMODSEQ"])
        return broken

    def check_uids(self, name, found, uid_next):
        broken = []
        for uid, mark in found:
            if self.uids.get(uid, mark) != mark:
                broken.append(f"{name}: UID {uid} was {self.uids[uid]}, is {mark}")
            self.uids[uid] = mark
        if self.uids and uid_next <= max(self.uids):
            broken.append(f"{name}: UIDNEXT {uid_next} is not above UID {max(self.uids)}")
        return broken
