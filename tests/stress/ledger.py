# SPDX-License-Identifier: Apache-2.0
"""What one user's mailboxes must hold, from what the server acknowledged and told.

A mail is named by (UIDVALIDITY, UID), what it is by the id in its Subject. The server says by
APPENDUID and COPYUID which names it gave; so at a quiet point every name must be
    there, with its id                 if nobody asked for its end
    there or not                       if somebody set \\Deleted, or it is a copy made after that
    not there                          if a session was told EXPUNGE, or its move was acknowledged
and no name may be there that nobody was told of, except deliveries in INBOX, whose ids must be
acknowledged ones, each once.

A change that was refused for now, or whose reply never came, is in doubt until the next quiet point, where
it was done as a whole or not at all. If it was, each of its mails has one new name that nobody was told
of, with the flags of its source; a mail whose source had no \\Deleted cannot have ended unseen."""

import collections
import dataclasses

from kit.mirror import Fault

NEVER = float("inf")


@dataclasses.dataclass
class Doubt:
    """Of an APPEND, COPY or MOVE. `ids`: what may have got new names, with their sources' names."""

    ids: list  # (source or None, id)
    when: int
    move_to: str = ""  # the target of a MOVE, whose sources may have ended


class Ledger:
    def __init__(self, user, stable, is_shared_with_strangers=False):
        self.user = user
        self.stable = stable  # mailboxes that nobody deletes
        self.is_shared = is_shared_with_strangers  # mbsync adds and expunges by its own lights
        self.clock = 0  # counts what was reported
        self.ids = {}  # (validity, uid) -> id, of all that was ever met
        self.named = set()  # those that the server announced, and those that a check has accepted
        self.deleted = {}  # name -> since when it may have \\Deleted
        self.doomed_ids = set()  # of mails on which a session set \\Deleted, wherever
        self.gone = set()
        self.moved = set()
        self.boxes_created = 0
        self.boxes_removed = 0
        self.boxes_uncertain = 0  # CREATE and DELETE whose reply never came
        self.box_count = None  # at the last quiet point
        self.told = {}  # validity -> (UIDNEXT, HIGHESTMODSEQ) at the last quiet point
        self.there = set()  # at the last quiet point, and met since
        self.forget()

    def forget(self):
        """What matters until the next quiet point only."""
        self.just_gone = set()
        self.copies = []  # (source, target, when)
        self.doubts = []
        self.delivered = {}  # id -> acknowledged?

    # ---- what sessions report

    def now(self):
        self.clock += 1
        return self.clock

    def identify(self, validity, uid, mail_id):
        known = self.ids.setdefault((validity, uid), mail_id)
        if known != mail_id:
            raise Fault(f"UID {uid} of {validity} was {known}, is {mail_id}")
        self.there.add((validity, uid))

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
        """\\Deleted is about to be set."""
        when = self.now()
        for uid in uids:
            self.deleted.setdefault((validity, uid), when)
            self.doomed_ids.add(self.id_of(validity, uid))

    def append_in_doubt(self, mail_id):
        self.doubts.append(Doubt([(None, mail_id)], self.now()))

    def copies_in_doubt(self, validity, uids, move_to=""):
        ids = [((validity, uid), self.id_of(validity, uid)) for uid in uids]
        self.doubts.append(Doubt(ids, self.now(), move_to))

    def told_gone(self, validity, uid):
        self.gone.add((validity, uid))
        self.just_gone.add((validity, uid))

    def copied(self, source_validity, sources, target_validity, targets, is_move):
        if len(sources) != len(targets):
            raise Fault(f"COPYUID names {len(sources)} sources and {len(targets)} targets")
        when = self.now()
        for source, target in zip(sources, targets):
            name = (source_validity, source)
            if name not in self.ids:
                raise Fault(f"COPYUID names the source UID {source}, which was not asked for")
            self.identify(target_validity, target, self.ids[name])
            self._name(target_validity, target)
            self.copies.append((name, (target_validity, target), when))
            if is_move:
                if name in self.moved:
                    raise Fault(f"UID {source} of {source_validity} was moved twice")
                self.moved.add(name)

    # ---- the check

    def check(self, truth):
        """`truth`: {name: Box}. The list of what is wrong; forgets mailboxes that are gone."""
        out = self._check_boxes(truth)
        boxes = {box.uid_validity: box for box in truth.values()}
        if len(boxes) != len(truth):
            out.append(f"two mailboxes have one UIDVALIDITY: {truth}")
        for box in truth.values():
            out += self._check_there(box)
        there = {(validity, uid) for validity, box in boxes.items() for uid in box.mails}
        if not self.is_shared:
            news = self._unannounced()
            self._inherit_deleted(news)
            ended = {name for name in self.there - there if name[0] in boxes} | self.just_gone
            out += self._check_ended(ended, news) + self._check_deleted(truth)
            out += self._check_refused_moves(ended, news, boxes)
            out += self._check_unannounced(news)
        self.there = there
        self.named.update(self.ids)
        self.forget()
        for known in (self.ids, self.deleted):
            for name in [name for name in known if name[0] not in boxes]:
                del known[name]
        for known in (self.named, self.gone, self.moved):
            known -= {name for name in known if name[0] not in boxes}
        return [f"{self.user}: {text}" for text in out]

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
        for uid, (_, mail_id) in box.mails.items():
            name = (box.uid_validity, uid)
            if name in self.gone or name in self.moved:
                out.append(f"{box.name}: UID {uid} ({mail_id}) was told gone and is there")
            known = self.ids.setdefault(name, mail_id)
            if known != mail_id:
                out.append(f"{box.name}: UID {uid} was {known}, is {mail_id}")
        uid_next, modseq = self.told.get(box.uid_validity, (0, 0))
        if box.uid_next < uid_next or box.highest_modseq < modseq:
            out.append(f"{box.name}: UIDNEXT {uid_next} -> {box.uid_next}, "
                       f"HIGHESTMODSEQ {modseq} -> {box.highest_modseq}")
        self.told[box.uid_validity] = (box.uid_next, box.highest_modseq)
        return out

    def _unannounced(self):
        """id -> names that were met and never announced, since the last quiet point."""
        news = collections.defaultdict(list)
        for name in self.ids.keys() - self.named:
            news[self.ids[name]].append(name)
        return news

    def _had_deleted(self, name, when):
        return self.deleted.get(name, NEVER) < when

    def _inherit_deleted(self, news):
        """A copy has \\Deleted from the beginning if its source had; so have copies of copies, and those
        of doubts."""
        heirs = list(self.copies)
        heirs += [(source, name, doubt.when) for doubt in self.doubts
                  for source, mail_id in doubt.ids for name in news[mail_id]]
        is_news = True
        while is_news:
            born = {heir for source, heir, when in heirs if self._had_deleted(source, when)}
            is_news = any(self.deleted.get(heir) != 0 for heir in born)
            self.deleted.update(dict.fromkeys(born, 0))

    def _check_ended(self, ended, news):
        """Mails whose end nobody asked for. Without an id it was never met: then it came of a doubt, with
        \\Deleted."""
        maybe = self.moved | {source for doubt in self.doubts if doubt.move_to for source, _ in doubt.ids}
        wrong = [name for name in ended if name not in self.deleted and name not in maybe]
        chances = collections.Counter(mail_id for doubt in self.doubts for source, mail_id in doubt.ids
                                      if self._had_deleted(source, doubt.when))
        spare = sum(max(0, count - len(news[mail_id])) for mail_id, count in chances.items())
        unmet = [name for name in wrong if name not in self.ids]
        if len(unmet) <= spare:
            wrong = [name for name in wrong if name in self.ids]
        return [f"UID {uid} of {validity} ({self.ids.get((validity, uid))}) "
                f"{'was told gone' if (validity, uid) in self.gone else 'is lost'}, but nobody asked for its end"
                for validity, uid in sorted(wrong)]

    def _check_deleted(self, truth):
        return [f"{box.name}: UID {uid} ({mail_id}) has \\Deleted, which nobody set"
                for box in truth.values() for uid, (flags, mail_id) in box.mails.items()
                if b"\\Deleted" in flags and (box.uid_validity, uid) not in self.deleted]

    def _check_refused_moves(self, ended, news, boxes):
        """Whole or not at all; and what has left its mailbox is somewhere."""
        out = []
        for doubt in self.doubts:
            others = {source for other in self.doubts if other is not doubt and other.move_to
                      for source, _ in other.ids}
            mine = {source: mail_id for source, mail_id in doubt.ids if doubt.move_to and source[0] in boxes
                    and source not in self.deleted and source not in self.moved}
            left = mine.keys() & ended
            alone = mine.keys() - others
            if left & alone and alone - left:
                out.append(f"of a move that was refused were done {sorted(left)} of {sorted(mine)}")
            may_be_with_its_box = doubt.move_to not in self.stable and self.boxes_have_gone
            out += [f"UID {source[1]} of {source[0]} ({mine[source]}) was lost in a move that was refused"
                    for source in sorted(left) if not news[mine[source]] and not may_be_with_its_box]
        return out

    def _check_unannounced(self, news):
        """Deliveries, each once and none of them missing, and what came of doubts."""
        chances = collections.Counter(self.delivered.keys())
        chances.update(mail_id for doubt in self.doubts for _, mail_id in doubt.ids)
        out = []
        for mail_id, names in news.items():
            if names and not chances[mail_id]:
                out.append(f"nobody was told of {sorted(names)} ({mail_id})")
            elif len(names) > chances[mail_id]:
                out.append(f"{mail_id} is there more than once: {sorted(names)}")
        out += [f"the delivery {mail_id} was acknowledged and is nowhere"
                for mail_id, is_acknowledged in self.delivered.items() if is_acknowledged and not news[mail_id]]
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
