# SPDX-License-Identifier: Apache-2.0
"""What the server has promised one user, and the check that it kept its word after a crash.

A mail is known by its mark (kit/mails.marked). One reader changes the mailboxes, one command at a
time, so that what must be there is known exactly: the model after all acknowledged commands, and for
the one that was under way either the model before it or the model after it, nothing between: also if its
process died and its requests arrive later, for which the check has to wait. Mails are delivered meanwhile:

    sent, no answer     in INBOX at most once
    250                 in INBOX exactly once, until the reader met it; from then on it is in the model

UIDs name one mail for ever; UIDVALIDITY stays with a mailbox; UIDNEXT and HIGHESTMODSEQ never fall. And
a client that knew an older state asks what changed, in both ways of RFC 7162, and ends in the truth."""

import re
import threading
import time

from crash.model import Model
from kit import mails, resync
from kit.imap import fetched

BODIES_CHECKED = 5
ITEMS = "(UID FLAGS BODY.PEEK[HEADER.FIELDS (X-Mark)])"


class Ledger:
    """`flags_lag_s`: flag changes of that long before the crash may be lost (power loss with the
    asynchronous flags journal); 0: none may. `note` gets what is said and heard (keep.py), or is None."""

    def __init__(self, user, flags_lag_s=0, note=None):
        self.user = user
        self.note = note
        self.flags_lag_s = flags_lag_s
        self.lock = threading.Lock()
        self.arriving = {}  # mark -> acknowledged?
        self.model = None
        self.open = None  # the change under way
        self.stores = []  # [when it was acknowledged, mailbox as it is called now, UIDs]
        self.crashed_at = 0
        self.told = {}  # UIDVALIDITY -> Numbers
        self.known = {}  # mailbox -> kit.resync.Known

    def sent(self, mark):
        self._note_delivery(mark, "sent")
        with self.lock:
            self.arriving[mark] = False

    def _note_delivery(self, mark, text):
        if self.note:
            self.note(f"LMTP {mark} {text}")

    def saved(self, mark):
        self._note_delivery(mark, "250")
        with self.lock:
            if mark in self.arriving:  # else the reader was faster, and met it
                self.arriving[mark] = True

    def begin(self, change):
        self.open = change

    def done(self, uids=None):
        """The change under way was acknowledged, with these new UIDs."""
        self.model = self.open.apply(self.model, uids)
        if self.open.touched():
            self.stores.append([time.monotonic(), *self.open.touched()])
        self._follow_rename(self.stores)
        self.open = None

    def _follow_rename(self, stores):
        what = self.open.what if self.open else {}
        if what.get("kind") == "rename":
            for store in stores:
                if store[1] == what["box"]:
                    store[1] = what["target"]

    def refused(self):
        self.open = None

    def met(self, uid, mark):
        """The reader sees a delivery in INBOX."""
        with self.lock:
            if self.arriving.pop(mark, None) is None:
                raise AssertionError(f"INBOX: UID {uid} ({mark}) came from nowhere")
        self.model.boxes["INBOX"][uid] = (mark, frozenset())

    def saw(self, validity, uid, mark):
        self.told.setdefault(validity, Numbers()).saw(uid, mark)

    def told_numbers(self, validity, uid_next, modseq):
        self.told.setdefault(validity, Numbers()).told(uid_next, modseq)

    def count(self):
        return sum(map(len, self.model.boxes.values())) if self.model else 0

    # ---- the check

    def check(self, connect, rng):
        """connect() gives a session. Compares all with the truth, which then becomes the model; the
        list of broken promises."""
        with connect() as client:
            broken = []
            truth = self._read_all(client, broken)
            if self.model is not None:
                broken += self._compare(truth)
            broken += self._check_bodies(client, rng, truth)
        broken += self._check_resync(connect, truth)
        self.model = Model(truth)
        self.open = None
        self.stores = []
        self.known = {}
        return [f"{self.user}: {text}" for text in broken]

    def _read_all(self, client, broken):
        truth = {}
        for name, attributes in sorted(client.list_names().items()):
            if "\\Noselect" not in attributes:
                truth[name] = self._read_box(client, name, broken)
        return truth

    def _read_box(self, client, name, broken):
        status = client.status(name, "UIDVALIDITY UIDNEXT HIGHESTMODSEQ MESSAGES")
        selected = client.select(name)
        numbers = self.told.setdefault(status["UIDVALIDITY"], Numbers())
        found = {}
        if selected.exists:
            for uid, items in fetched(client.do(f"UID FETCH 1:* {ITEMS}").lines, by_uid=True).items():
                found[uid] = (mark_of(items), resync.flags_of(items))
        if status["MESSAGES"] != len(found):
            broken.append(f"{name}: STATUS says {status['MESSAGES']} mails, FETCH {len(found)}")
        broken += [f"{name}: {text}" for text in numbers.check(status, found)]
        if selected.uid_validity != status["UIDVALIDITY"]:
            broken.append(f"{name}: UIDVALIDITY {selected.uid_validity}, by STATUS {status['UIDVALIDITY']}")
        known = self.known.get(name)
        if known and known.uid_validity != selected.uid_validity and not self._tree_changes():
            broken.append(f"{name}: UIDVALIDITY was {known.uid_validity}, is {selected.uid_validity}")
        return found

    def _tree_changes(self):
        return self.open and self.open.what["kind"] in ("create", "delete", "rename")

    def _compare(self, truth):
        lax = {}
        renamed = [list(store) for store in self.stores]
        self._follow_rename(renamed)  # a rename under way may have been done
        for when, box, uids in self.stores + renamed:
            if when > self.crashed_at - self.flags_lag_s:
                lax.setdefault(box, set()).update(uids)
        candidates = [("", self.model)]
        if self.open:
            candidates.append((f" after {self.open}", self.open.apply(self.model)))
        results = []
        for label, model in candidates:
            out, came = model.differences(truth, self.arriving, lax if self.flags_lag_s else {})
            out += [f"the delivery {mark} was acknowledged and is lost"
                    for mark, is_acknowledged in self.arriving.items() if is_acknowledged and mark not in came]
            if not out:
                for mark in came:
                    del self.arriving[mark]
                return []
            results.append([text + label for text in out])
        return min(results, key=len)

    def _check_bodies(self, client, rng, truth):
        broken = []
        places = [(name, uid) for name, found in truth.items() for uid in found]
        for name, uid in rng.sample(places, min(BODIES_CHECKED, len(places))):
            client.select(name)
            got = client.fetch(str(uid), "BODY.PEEK[]", uid=True)
            mark = truth[name][uid][0]
            if uid not in got or not got[uid]["BODY[]"].endswith(mails.marked(mark)):
                broken.append(f"{name}: UID {uid} ({mark}) is damaged")
        return broken

    def _check_resync(self, connect, truth):
        broken = []
        ways = (("CONDSTORE", resync.by_condstore), ("QRESYNC", resync.by_qresync))
        for capability, way in ways:
            with connect() as client:
                if capability.encode() not in client.do("CAPABILITY").lines[0]:
                    continue
                for name in sorted(set(self.known) & set(truth)):
                    known = self.known[name]
                    have = way(client, name, known)
                    if have is not None:
                        flags = {uid: flags for uid, (_, flags) in truth[name].items()}
                        broken += resync.differences(name, capability, known, have, flags)
        return broken


def mark_of(items):
    (text,) = [value for key, value in items.items() if key.startswith("BODY[")]
    mark = re.search(rb"(?i)X-Mark: (\S+)", text)
    return mark.group(1).decode() if mark else "(no mark)"


class Numbers:
    """What clients were told about the numbers of one mailbox."""

    def __init__(self):
        self.uids = {}  # uid -> mark, of all time
        self.uid_next = 0
        self.modseq = 0

    def saw(self, uid, mark):
        if self.uids.setdefault(uid, mark) != mark:
            raise AssertionError(f"UID {uid} was {self.uids[uid]}, is {mark}")

    def told(self, uid_next, modseq):
        self.uid_next = max(self.uid_next, uid_next)
        self.modseq = max(self.modseq, modseq)

    def check(self, status, found):
        broken = []
        for key, least in (("UIDNEXT", self.uid_next), ("HIGHESTMODSEQ", self.modseq)):
            if status[key] < least:
                broken.append(f"{key} fell from {least} to {status[key]}")
        for uid, (mark, _) in found.items():
            if self.uids.get(uid, mark) != mark:
                broken.append(f"UID {uid} was {self.uids[uid]}, is {mark}")
            self.uids[uid] = mark
        if self.uids and status["UIDNEXT"] <= max(self.uids):
            broken.append(f"UIDNEXT {status['UIDNEXT']} is not above UID {max(self.uids)}")
        self.told(status["UIDNEXT"], status["HIGHESTMODSEQ"])
        return broken
