# SPDX-License-Identifier: Apache-2.0
"""A client that was away: what it knew, and how it finds out what happened since (RFC 7162)."""

from kit.imap import fetched, quote, set_numbers

RECENT = b"\\Recent"


class Known:
    """One mailbox as a client left it: all that happened up to `modseq` was told, and nothing that
    happened later. Of mails that came meanwhile it may know no more than that they are there."""

    def __init__(self, uid_validity, modseq, flags):
        self.uid_validity = uid_validity
        self.modseq = modseq
        self.flags = flags  # uid -> frozenset without \Recent


def read_all(client):
    """{uid: flags} of the selected mailbox."""
    found = fetched(client.do("UID FETCH 1:* (UID FLAGS)").lines, by_uid=True)
    return {uid: flags_of(items) for uid, items in found.items()}


def flags_of(items):
    return frozenset(items["FLAGS"]) - {RECENT}


def by_condstore(client, name, known):
    """{uid: flags} after asking for changes since, and for the UIDs that are left (RFC 7162 6)."""
    selected = client.select(name)
    if selected.uid_validity != known.uid_validity:
        return None
    have = dict(known.flags)
    if selected.exists:
        reply = client.do(f"UID FETCH 1:* (FLAGS) (CHANGEDSINCE {known.modseq})")
        have.update({uid: flags_of(items) for uid, items in fetched(reply.lines, by_uid=True).items()})
    there = set(client.search("ALL", uid=True))
    have = {uid: flags for uid, flags in have.items() if uid in there}
    return with_unknown(client, have, there)


def with_unknown(client, have, there):
    """Mails that the client had not met are asked for by UID."""
    unknown = sorted(there - set(have))
    if unknown:
        found = fetched(client.do(f"UID FETCH {','.join(map(str, unknown))} (FLAGS)").lines, by_uid=True)
        have.update({uid: flags_of(items) for uid, items in found.items()})
    return have


def by_qresync(client, name, known):
    """The same by SELECT (QRESYNC (...)) alone (RFC 7162 3.2.5)."""
    client.do("ENABLE QRESYNC")
    reply = client.do(f"SELECT {quote(name)} (QRESYNC ({known.uid_validity} {known.modseq}))")
    code = reply.untagged_code("UIDVALIDITY")
    if int(code[0]) != known.uid_validity:
        return None
    have = dict(known.flags)
    for line in reply.lines:
        if line[0] == b"VANISHED":
            for uid in set_numbers(line[2]):
                have.pop(uid, None)
    have.update({uid: flags_of(items) for uid, items in fetched(reply.lines, by_uid=True).items()})
    if reply.number("EXISTS") == len(have):
        return have
    return with_unknown(client, have, set(client.search("ALL", uid=True)))


def differences(name, way, known, have, truth):
    """A list of texts: where the resynchronised client is wrong."""
    way = f"{way} from {known.modseq}"
    out = [f"{name}: after {way} the client still has UID {uid}" for uid in sorted(set(have) - set(truth))]
    out += [f"{name}: after {way} the client misses UID {uid}" for uid in sorted(set(truth) - set(have))]
    out += [f"{name}: after {way} UID {uid} has {sorted(have[uid])}, in truth {sorted(truth[uid])}"
            for uid in sorted(set(truth) & set(have)) if have[uid] != truth[uid]]
    return out
