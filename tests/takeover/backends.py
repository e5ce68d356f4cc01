# SPDX-License-Identifier: Apache-2.0
"""Backends of one platform: hosts of their own that have nothing in common but the same mails in S3 and
Cassandra, and what must be true whichever of them a client meets.

Each has its own directory, ports, name and proxies, so that its requests are counted apart and its way
to the stores can be disturbed alone."""

import time

from crash.ledger import ITEMS, mark_of
from faults.checks import deliver_some
from faults.clouds_kit import QUICK, Cloud
from kit import mails, resync
from kit.doveadm import differences
from kit.imap import ConnectionEnded, ImapError, Literal, fetched
from kit.lmtp import LmtpEnded, LmtpError
from kit.mirror import Mirror
from kit.waiting import wait_for_success

BACK_WITHIN_S = 20
SIZE = 1500
NOT_NOW = ([b"UNAVAILABLE"], [b"SERVERBUG"])
# What a proxy counts besides the requests of users: connections, and what each process asks once in its life.
PASSED_BY = ("connections", "OPTIONS", "STARTUP", "REGISTER", "PREPARE", "bytes", "at once", "EXECUTE SELECT meta")
SETTLED_S = 1.5
CLOSED_S = 4  # metacache_close_delay and a little: a backend without sessions has let go of a user
# What was told is durable: not even flags may be lost.
SURE = f"{QUICK}obox_flags_journal = sync\n"


def backends(make, count=2, config=QUICK, users=20):
    """[Cloud] with the same mails."""
    first = Cloud(make, f"{config}hostname = backend-1\n", users)
    return [first] + [Cloud(make, f"{config}hostname = backend-{i}\n", users, beside=first) for i in range(2, count + 1)]


# ---- what clients do


def log_in(instance, user, timeout=20):
    """A session, as soon as the backend serves the user."""
    errors = (ImapError, ConnectionEnded, OSError)
    return wait_for_success(lambda: instance.imap(user, timeout=timeout), "login", BACK_WITHIN_S, errors)


def patiently(what):
    """The result of `what()`, which may be refused for now a few times."""
    deadline = time.monotonic() + BACK_WITHIN_S
    while True:
        try:
            return what()
        except (ImapError, LmtpError, ConnectionEnded, LmtpEnded, OSError) as e:
            is_for_now = not isinstance(e, ImapError) or e.reply.code in NOT_NOW
            if not is_for_now or time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def deliver(cloud, user, prefix, count):
    """Marks of mails that were taken: all."""
    saved, refused = deliver_some(cloud.instance, user, prefix, count, SIZE)
    assert refused is None, refused
    return saved


class Idler:
    """A client that idles, and comes back with what it was told when its connection ends."""

    def __init__(self, cloud, user):
        self.user = user
        self.client = log_in(cloud.instance, user)
        self.client.do("ENABLE QRESYNC")
        self.mirror = Mirror("INBOX")
        self._hears(self.client.do("SELECT INBOX"))
        if len(self.mirror):
            self._hears(self.client.do("UID FETCH 1:* (UID FLAGS)"))
        self.first = self.known()
        self.told = 0  # lines while it idled
        self.tag = self.client.idle(self._takes)

    def _hears(self, reply):
        for line in reply.lines:
            self.mirror.take(line)

    def _takes(self, line):
        self.mirror.take(line)
        self.told += 1

    def known(self):
        """What it may resynchronise from: all older changes are told before a newer one."""
        there = self.mirror.mails
        flags = {mail.uid: mail.flags for mail in there if mail.uid and mail.flags is not None}
        modseq = max([self.mirror.highest_modseq] + [mail.modseq for mail in there])
        return resync.Known(self.mirror.uid_validity, modseq, flags)

    def hears_the_end(self):
        """The connection ends; what was told before that is known."""
        try:
            self.client.wait_untagged(self._takes, 20)
        except (ConnectionEnded, OSError):
            return
        raise AssertionError("the client still idles at a dead backend")

    def goes_on(self):
        """The marks that it sees when it looks; None: its connection has ended."""
        try:
            self._hears(self.client.idle_done(self.tag))
            self._hears(self.client.do("NOOP"))
            reply = self.client.do(f"FETCH 1:* {ITEMS}")
            self._hears(reply)
            self.tag = self.client.idle(self._takes)
            return [mark_of(items) for items in fetched(reply.lines).values()]
        except (ConnectionEnded, OSError):
            return None

    def comes_back(self, cloud):
        """Resynchronises at another backend, from what it knew at first and from what it knew last."""
        self.client.close()
        assert_resync(cloud, self.user, self.first)
        assert_resync(cloud, self.user, self.known())


class Picture:
    """A mailbox as a fresh session sees it."""

    def __init__(self, client, name="INBOX"):
        selected = client.select(name)
        self.uid_validity = selected.uid_validity
        self.uid_next = selected.uid_next
        self.modseq = selected.highest_modseq
        self.mails = {}  # uid -> (mark, flags)
        if selected.exists:
            reply = client.do(f"UID FETCH 1:* {ITEMS}")
            for uid, items in fetched(reply.lines, by_uid=True).items():
                self.mails[uid] = (mark_of(items), resync.flags_of(items))

    @property
    def marks(self):
        return [mark for _, (mark, _) in sorted(self.mails.items())]

    def known(self):
        """What a client that leaves now may resynchronise from."""
        return resync.Known(self.uid_validity, self.modseq, {uid: flags for uid, (_, flags) in self.mails.items()})


def look(cloud, user, name="INBOX"):
    with log_in(cloud.instance, user) as client:
        return Picture(client, name)


def assert_follows(later, earlier, is_equal=False):
    """Nothing that a client of `earlier` knew is contradicted by `later`."""
    assert later.uid_validity == earlier.uid_validity, f"UIDVALIDITY {earlier.uid_validity} became {later.uid_validity}"
    assert later.uid_next >= earlier.uid_next, f"UIDNEXT fell from {earlier.uid_next} to {later.uid_next}"
    assert later.modseq >= earlier.modseq, f"HIGHESTMODSEQ fell from {earlier.modseq} to {later.modseq}"
    for uid, (mark, flags) in earlier.mails.items():
        have = later.mails.get(uid)
        assert have, f"UID {uid} ({mark}) is lost"
        assert have == (mark, flags), f"UID {uid} was {mark} {sorted(flags)}, is {have}"
    strange = [uid for uid in later.mails if uid not in earlier.mails and (is_equal or uid < earlier.uid_next)]
    assert not strange, f"UIDs {strange} came from nowhere, UIDNEXT was {earlier.uid_next}"


def assert_resync(cloud, user, known, name="INBOX"):
    """A client that knew an older state ends in the truth, in both ways of RFC 7162."""
    for way in (resync.by_condstore, resync.by_qresync):
        with log_in(cloud.instance, user) as client:
            have = way(client, name, known)
        with log_in(cloud.instance, user) as client:
            client.select(name)
            truth = resync.read_all(client)
        assert have is not None, "another UIDVALIDITY"
        wrong = resync.differences(name, way.__name__, known, have, truth)
        assert not wrong, wrong


def assert_verified(cloud, *users):
    """What the backend holds in its files is what the journal says, of all their mailboxes."""
    problems = differences(cloud.instance, *users)
    assert not problems, problems


def end(*clouds):
    """A clean end, and nothing in the logs that no healthy run has."""
    for cloud in clouds:
        cloud.instance.stop()
    for cloud in clouds:
        assert not cloud.instance.problems(), cloud.instance.problems()[:30]


def end_verified(user, *clouds):
    for cloud in clouds:
        assert_verified(cloud, user)
    end(*clouds)


def start(make, count=6, config=SURE):
    """Two backends, a user of the first with some history; (a, b, user, his INBOX)."""
    a, b = backends(make, config=config)
    user = a.instance.new_user()
    deliver(a, user, "before", count)
    with a.instance.imap(user) as client:
        client.do("CREATE Kept")
        client.select()
        client.do("COPY 1:2 Kept")
        client.do("STORE 3 +FLAGS (\\Flagged kept)")
        client.do("STORE 2 +FLAGS (\\Deleted)")
        client.do("EXPUNGE")
        return a, b, user, Picture(client)


def change(cloud, user, mark):
    """Every kind of change at this backend; INBOX afterwards."""
    with log_in(cloud.instance, user) as client:
        client.do("APPEND INBOX (\\Answered)", Literal(mails.marked(f"{mark}~")))
        client.select()
        client.do("STORE 1 +FLAGS (\\Seen)")
        client.do("STORE 2 -FLAGS (\\Flagged)")
        client.do("COPY 3 Kept")
        client.do("STORE 4 +FLAGS (\\Deleted)")
        client.do("EXPUNGE")
        return Picture(client)


# ---- what they cost


def reset_counts(cloud):
    settle(cloud)
    cloud.s3.reset()
    cloud.cql.reset()


def settle(cloud, settled_s=SETTLED_S, within_s=15):
    """Waits until nothing more follows; {kind: requests} to both stores since the last reset."""
    deadline = time.monotonic() + within_s
    before = None
    while True:
        now = {**cloud.s3.counts(), **cloud.cql.counts()}
        if now == before or time.monotonic() > deadline:
            return now
        before = now
        time.sleep(settled_s)


def requests(cloud):
    """({kind: requests} to S3, the same to Cassandra) since the last reset_counts(), once nothing more follows."""
    counts = {kind: n for kind, n in settle(cloud).items() if not kind.startswith(PASSED_BY)}
    s3 = {kind: n for kind, n in counts.items() if kind.split()[0] in ("GET", "PUT", "HEAD", "DELETE", "POST")}
    return s3, {kind: n for kind, n in counts.items() if kind not in s3}


COPIED = 20_000  # by one command, whose rows are in memory at once


def fill(client, count, mailbox="INBOX", first=100):
    """Makes a mailbox of so many mails: some are appended, the others are copies of them."""
    for number in range(min(first, count)):
        client.do(f"APPEND {mailbox}", Literal(mails.marked(f"fill{number}~", 300), plus=True))
    there = client.select(mailbox).exists
    while there < count:
        more = min(there, count - there, COPIED)
        client.do(f"COPY 1:{more} {mailbox}")
        there += more
        client.do("NOOP")
