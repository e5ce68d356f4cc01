# SPDX-License-Identifier: Apache-2.0
"""What a user's mailboxes hold, and what one operation makes of it: whole, or not at all."""


class Model:
    """boxes: {name: {uid: (mark, flags)}}; fresh: mails whose UIDs nobody was told, [(name, mark, flags)]."""

    def __init__(self, boxes=None):
        self.boxes = {name: dict(mails) for name, mails in (boxes or {}).items()}
        self.fresh = []

    def copy(self):
        return Model(self.boxes)

    def differences(self, truth, arriving, lax_flags):
        """Against {name: {uid: (mark, flags)}}; (texts, marks of `arriving` that have come).
        `arriving`: marks that may lie in INBOX besides; `lax_flags`: UIDs by mailbox whose flags
        may be old."""
        out = []
        came = set()
        for name in sorted(set(self.boxes) ^ set(truth)):
            out.append(f"mailbox {name} {'is lost' if name in self.boxes else 'came from nowhere'}")
        for name in sorted(set(self.boxes) & set(truth)):
            fresh = sorted((mark, sorted(flags)) for box, mark, flags in self.fresh if box == name)
            out += self._box_differences(name, truth[name], fresh, arriving, came, lax_flags.get(name, ()))
        return out, came

    def _box_differences(self, name, there, fresh, arriving, came, lax_flags):
        out = []
        for uid, (mark, flags) in sorted(self.boxes[name].items()):
            if uid not in there:
                out.append(f"{name}: UID {uid} ({mark}) is lost")
            elif there[uid][0] != mark:
                out.append(f"{name}: UID {uid} was {mark}, is {there[uid][0]}")
            elif there[uid][1] != flags and uid not in lax_flags:
                out.append(f"{name}: UID {uid} had {sorted(flags)}, has {sorted(there[uid][1])}")
        for uid in sorted(set(there) - set(self.boxes[name])):
            mark, flags = there[uid]
            if (mark, sorted(flags)) in fresh:
                fresh.remove((mark, sorted(flags)))
            elif name == "INBOX" and mark in arriving and mark not in came:
                came.add(mark)
            else:
                out.append(f"{name}: UID {uid} ({mark}) {sorted(flags)} came from nowhere")
        return out + [f"{name}: the new mail {mark} is missing" for mark, _ in fresh]


class Change:
    """One IMAP command; apply() is what its OK promises."""

    def __init__(self, text, **what):
        self.text = text
        self.what = what

    def __str__(self):
        return self.text

    def apply(self, model, uids=None):
        """A new model. `uids`: what APPENDUID or COPYUID said, in order."""
        new = model.copy()
        getattr(self, "_" + self.what["kind"])(new, uids)
        return new

    def touched(self):
        """(mailbox, UIDs) whose flags it changes."""
        return (self.what["box"], self.what["uids"]) if self.what["kind"] == "store" else None

    def _add(self, new, box, mails, uids):
        if uids is None:
            new.fresh += [(box, mark, flags) for mark, flags in mails]
        else:
            new.boxes[box].update(zip(uids, mails))

    def _append(self, new, uids):
        self._add(new, self.what["box"], self.what["mails"], uids)

    def _copy(self, new, uids):
        source = new.boxes[self.what["box"]]
        self._add(new, self.what["target"], [source[uid] for uid in self.what["uids"]], uids)

    def _move(self, new, uids):
        self._copy(new, uids)
        for uid in self.what["uids"]:
            del new.boxes[self.what["box"]][uid]

    def _store(self, new, _):
        box = new.boxes[self.what["box"]]
        for uid in self.what["uids"]:
            mark, flags = box[uid]
            changed = self.what["flags"]
            box[uid] = (mark, flags | changed if self.what["sign"] == "+" else flags - changed)

    def _expunge(self, new, _):
        box = new.boxes[self.what["box"]]
        for uid in self.what["uids"]:
            if b"\\Deleted" in box[uid][1]:
                del box[uid]

    def _create(self, new, _):
        new.boxes[self.what["box"]] = {}

    def _delete(self, new, _):
        del new.boxes[self.what["box"]]

    def _rename(self, new, _):
        new.boxes[self.what["target"]] = new.boxes.pop(self.what["box"])
