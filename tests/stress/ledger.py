# SPDX-License-Identifier: Apache-2.0
"""What one user's mailboxes must hold, from what the server acknowledged and told.

A mail is named by (UIDVALIDITY, UID), what it is by the id in its Subject. The server says by
APPENDUID and COPYUID which names it gave; so at a quiet point every name must be
    there, with its id                 if nobody asked for its end
    there or not                       if somebody set \\Deleted or began to move it ("doomed")
    not there                          if a session was told EXPUNGE, or its move was acknowledged
and no name may be there that nobody was told of, except deliveries in INBOX, whose ids must be
acknowledged ones, each once."""

from kit.mirror import Fault


class Ledger:
    def __init__(self, user, is_shared_with_strangers=False):
        self.user = user
        self.is_shared = is_shared_with_strangers  # mbsync adds and expunges by its own lights
        self.ids = {}  # (validity, uid) -> id
        self.named = set()  # those that the server announced by APPENDUID or COPYUID
        self.uncertain = set()  # ids of appends and copies whose reply never came
        self.doomed = set()
        self.gone = set()
        self.moved = set()
        self.doubtful_copies = set()  # ids; a copy that was made after all may have come with \\Deleted
        self.doubtful_moves = {}  # name -> id: refused for now, and nobody else doomed it
        self.copies = []  # (source, target): \\Deleted is copied too
        self.delivered = {}  # id -> acknowledged?
        self.boxes_created = 0
        self.boxes_removed = 0
        self.boxes_uncertain = 0  # CREATE and DELETE whose reply never came
        self.box_count = None  # at the last quiet point
        self.told = {}  # validity -> (UIDNEXT, HIGHESTMODSEQ) at the last quiet point

    # ---- what sessions report

    def identify(self, validity, uid, mail_id):
        known = self.ids.setdefault((validity, uid), mail_id)
        if known != mail_id:
            raise Fault(f"UID {uid} of {validity} was {known}, is {mail_id}")

    def id_of(self, validity, uid):
        return self.ids.get((validity, uid))

    def appended(self, validity, uid, mail_id):
        self.identify(validity, uid, mail_id)
        self._name(validity, uid)

    def _name(self, validity, uid):
        if (validity, uid) in self.named:
            raise Fault(f"UID {uid} of {validity} was given twice")
        self.named.add((validity, uid))

    def doom(self, validity, uids):
        self.doomed.update((validity, uid) for uid in uids)
        for uid in uids:
            self.doubtful_moves.pop((validity, uid), None)

    def copies_in_doubt(self, validity, uids, is_move=False):
        """Nobody was told whether they were made."""
        ids = {self.id_of(validity, uid) for uid in uids}
        self.uncertain |= ids
        self.doubtful_copies |= ids
        if is_move:
            self.doubtful_moves.update({(validity, uid): self.id_of(validity, uid) for uid in uids})

    def told_gone(self, validity, uid):
        self.gone.add((validity, uid))

    def copied(self, source_validity, sources, target_validity, targets, is_move):
        if len(sources) != len(targets):
            raise Fault(f"COPYUID names {len(sources)} sources and {len(targets)} targets")
        for source, target in zip(sources, targets):
            name = (source_validity, source)
            if name not in self.ids:
                raise Fault(f"COPYUID names the source UID {source}, which was not asked for")
            self.identify(target_validity, target, self.ids[name])
            self._name(target_validity, target)
            self.copies.append((name, (target_validity, target)))
            if is_move:
                if name in self.moved:
                    raise Fault(f"UID {source} of {source_validity} was moved twice")
                self.moved.add(name)

    # ---- the check

    def check(self, truth):
        """`truth`: {name: Box}. The list of what is wrong; forgets mailboxes that are gone."""
        out = self._check_boxes(truth)
        by_validity = {box.uid_validity: box for box in truth.values()}
        if len(by_validity) != len(truth):
            out.append(f"two mailboxes have one UIDVALIDITY: {truth}")
        for box in truth.values():
            out += self._check_there(box)
        self._doom_copies()
        if not self.is_shared:
            out += [f"UID {uid} of {validity} ({self.ids.get((validity, uid))}) was expunged, but nobody asked for it"
                    for validity, uid in self.gone - self.doomed if not self._may_be_uncertain((validity, uid))]
            for (validity, uid), mail_id in self.ids.items():
                box = by_validity.get(validity)
                is_doubtful = mail_id in self.doubtful_copies
                if box and uid not in box.mails and (validity, uid) not in self.doomed and not is_doubtful:
                    out.append(f"{box.name}: UID {uid} ({mail_id}) is lost")
            out += self._check_doubtful_moves(by_validity)
        self.doubtful_moves = {}
        self.doubtful_copies = set()
        out += self._check_deliveries()
        self.copies = [copy for copy in self.copies if copy[1][0] in by_validity]
        for known in (self.ids, self.named, self.doomed, self.gone, self.moved):
            for name in [name for name in known if name[0] not in by_validity]:
                known.pop(name) if known is self.ids else known.discard(name)
        return [f"{self.user}: {text}" for text in out]

    def _may_be_uncertain(self, name):
        """Also a mail whose id nobody has met, while moves were in doubt."""
        mail_id = self.ids.get(name)
        return mail_id in self.uncertain if mail_id else bool(self.doubtful_copies)

    def _check_doubtful_moves(self, by_validity):
        """Moved or not, a mail is somewhere, unless its copies were doomed or went with their mailbox."""
        there = {mail_id for box in by_validity.values() for _, mail_id in box.mails.values()}
        ended = {self.ids.get(name) for name in self.doomed if name not in self.doubtful_moves}
        return [f"UID {uid} of {validity} ({mail_id}) was lost in a move that was refused"
                for (validity, uid), mail_id in self.doubtful_moves.items()
                if mail_id not in there | ended and not self.boxes_have_gone]

    def _doom_copies(self):
        """A copy of a doomed mail may have come with \\Deleted."""
        is_news = True
        while is_news:
            news = {target for source, target in self.copies if source in self.doomed} - self.doomed
            self.doomed |= news
            is_news = bool(news)

    def _check_boxes(self, truth):
        out = []
        if self.box_count is not None:
            must = self.box_count + self.boxes_created - self.boxes_removed
            if abs(must - len(truth)) > self.boxes_uncertain:
                out.append(f"{self.box_count} mailboxes, {self.boxes_created} created, "
                           f"{self.boxes_removed} deleted, but now there are {sorted(truth)}")
        self.boxes_have_gone = self.boxes_removed or self.boxes_uncertain
        self.box_count = len(truth)
        self.boxes_created = self.boxes_removed = self.boxes_uncertain = 0
        return out

    def _check_there(self, box):
        out = []
        for uid, (flags, mail_id) in box.mails.items():
            name = (box.uid_validity, uid)
            if mail_id in self.doubtful_copies and b"\\Deleted" in flags:
                self.doomed.add(name)
            if name in self.gone or name in self.moved:
                out.append(f"{box.name}: UID {uid} ({mail_id}) was told gone and is there")
            known = self.ids.get(name)
            if known is not None and known != mail_id:
                out.append(f"{box.name}: UID {uid} was {known}, is {mail_id}")
            self.ids.setdefault(name, mail_id)
        uid_next, modseq = self.told.get(box.uid_validity, (0, 0))
        if box.uid_next < uid_next or box.highest_modseq < modseq:
            out.append(f"{box.name}: UIDNEXT {uid_next} -> {box.uid_next}, "
                       f"HIGHESTMODSEQ {modseq} -> {box.highest_modseq}")
        self.told[box.uid_validity] = (box.uid_next, box.highest_modseq)
        return out

    def _check_deliveries(self):
        """Names that were never announced are deliveries: each once, and none of them missing."""
        if self.is_shared:
            return []
        out = []
        met = set()
        for name, mail_id in self.ids.items():
            if name in self.named:
                continue
            if mail_id not in self.uncertain:
                if mail_id in met:
                    out.append(f"{mail_id} is there more than once, as {name} too")
                elif mail_id not in self.delivered:
                    out.append(f"nobody was told of {name} ({mail_id})")
            met.add(mail_id)
        out += [f"the delivery {mail_id} was acknowledged and is nowhere"
                for mail_id, is_acknowledged in self.delivered.items()
                if is_acknowledged and mail_id not in met]
        self.named.update(self.ids)
        self.delivered = {}
        self.uncertain = set()
        return out


class Box:
    """One mailbox as a fresh session reads it."""

    def __init__(self, name, uid_validity, uid_next, highest_modseq, mails, modseqs):
        self.name = name
        self.uid_validity = uid_validity
        self.uid_next = uid_next
        self.highest_modseq = highest_modseq
        self.mails = mails  # uid -> (flags, id), ascending
        self.modseqs = modseqs  # uid -> modseq; empty without CONDSTORE

    def rows(self):
        return [(uid, flags, self.modseqs.get(uid, 0)) for uid, (flags, _) in self.mails.items()]
