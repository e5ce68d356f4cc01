# SPDX-License-Identifier: Apache-2.0
"""Two thousand real mails and all hostile samples, in by LMTP and out by IMAP, byte for byte.

The mails go to several users and by eight connections at once; half of each INBOX is then moved
into other mailboxes. What is read must end with the bytes that were sent: before them stand the
trace headers that delivery prepends."""

import collections
import concurrent.futures
import hashlib

from kit import corpus
from kit.samples import samples

FORMS = ("roles", "all-in-one")
TIMEOUT_S = {"test_corpus": 600}
CORPUS_SIZE = 2000
USER_COUNT = 8
CONNECTIONS = 8
FETCH_AT_ONCE = 50


def deliver_all(instance, batches):
    """Delivers [(user, mail)] lists by one connection each, in parallel."""

    def run(batch):
        with instance.lmtp() as c:
            for user, mail in batch:
                c.deliver(mail, user)
            c.quit()

    with concurrent.futures.ThreadPoolExecutor(CONNECTIONS) as pool:
        for done in [pool.submit(run, batch) for batch in batches]:
            done.result()


def read_mailbox(client, mailbox):
    """All mails of a mailbox; sizes must agree with what RFC822.SIZE says."""
    count = client.select(mailbox).exists
    out = []
    for first in range(1, count + 1, FETCH_AT_ONCE):
        last = min(count, first + FETCH_AT_ONCE - 1)
        got = client.fetch(f"{first}:{last}", "(UID RFC822.SIZE BODYSTRUCTURE ENVELOPE BODY.PEEK[])")
        assert sorted(got) == list(range(first, last + 1))
        for n in sorted(got):
            mail = got[n]["BODY[]"]
            assert len(mail) == int(got[n]["RFC822.SIZE"]), (mailbox, n)
            assert isinstance(got[n]["BODYSTRUCTURE"], list) and got[n]["BODYSTRUCTURE"]
            assert len(got[n]["ENVELOPE"]) == 10
            out.append(mail)
    return out


def digest(data):
    return hashlib.blake2b(data, digest_size=16).digest()


def head_of(mail, user):
    """The sent part of a delivered mail begins after the Received header; None if not found."""
    start = mail.find(f"for <{user}>".encode())
    if start < 0:
        return None
    end = mail.find(b"\r\n", start)
    while mail[end + 2 : end + 3] in (b" ", b"\t"):
        end = mail.find(b"\r\n", end + 2)
    return mail[end + 2 :]


def assert_tails(have, want, user):
    left = collections.Counter(digest(m) for m in want)
    for mail in have:
        tail = digest(head_of(mail, user) or b"")
        if not left[tail]:
            raise AssertionError(f"a mail that nobody sent, or a changed one: {mail[:800]!r}")
        left[tail] -= 1
    gone = sum(left.values())
    assert gone == 0, f"{gone} of {len(want)} mails are missing"


def test_corpus(instance):
    sent = corpus.mails(CORPUS_SIZE)
    assert len(sent) == CORPUS_SIZE
    users = [instance.new_user() for _ in range(USER_COUNT)]
    plan = [(users[i % USER_COUNT], mail) for i, (_, mail) in enumerate(sent)]
    deliver_all(instance, [plan[i::CONNECTIONS] for i in range(CONNECTIONS)])
    for user in users:
        want = [mail for owner, mail in plan if owner == user]
        with instance.imap(user, timeout=120) as c:
            spread(c, len(want))
            have = [m for box in ("INBOX", "Kept", "Kept/Deep") for m in read_mailbox(c, box)]
            assert_tails(have, want, user)


def spread(client, count):
    """Copies a quarter away and deletes it, moves another quarter, leaves the rest."""
    assert client.select("INBOX").exists == count
    client.do("CREATE Kept")
    client.do("CREATE Kept/Deep")
    quarter = count // 4
    client.do(f"COPY 1:{quarter} Kept")
    client.do(f"STORE 1:{quarter} +FLAGS.SILENT (\\Deleted)")
    client.do("EXPUNGE")
    client.do(f"MOVE 1:{quarter} Kept/Deep")


def as_imap_shows(mail):
    """Literals hold no NUL, and sizes count a bare LF as CRLF (RFC 9051 §4.3.1, §2.3.4)."""
    return mail.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n").replace(b"\0", b"\x80")


def test_samples(instance):
    user = instance.new_user()
    sent = list(samples())
    deliver_all(instance, [[(user, mail) for _, mail in sent]])
    with instance.imap(user, timeout=120) as c:
        have = read_mailbox(c, "INBOX")
        assert len(have) == len(sent)
        for (name, mail), got in zip(sent, have):
            assert as_imap_shows(got).endswith(as_imap_shows(mail)), f"{name}: {got[-200:]!r}"
        read_every_part(c, len(sent))


def read_every_part(client, count):
    """Every part that BODYSTRUCTURE names can be fetched and has the size it names."""
    for n in range(1, count + 1):
        structure = client.fetch(str(n), "BODYSTRUCTURE")[n]["BODYSTRUCTURE"]
        parts = list(leaves(structure, ""))
        for path, size in parts[:20]:
            got = client.fetch(str(n), f"(BODY.PEEK[{path}] BODY.PEEK[{path}.MIME])")[n]
            data = got[f"BODY[{path}]"] or b""
            assert len(data) == size, (n, path, len(data), size)


def leaves(structure, prefix):
    """(part number, octets) of everything in a BODYSTRUCTURE that is no multipart; iterative, as
    samples nest deeply."""
    stack = [(structure, prefix)]
    while stack:
        node, path = stack.pop()
        if isinstance(node[0], list):
            children = [part for part in node if isinstance(part, list)]
            count = next(i for i, part in enumerate(node) if not isinstance(part, list))
            for i, child in enumerate(children[:count]):
                stack.append((child, f"{path}.{i + 1}" if path else str(i + 1)))
            continue
        yield path or "1", int(node[6])


def test_samples_survive_every_question(instance):
    """Searches and header fetches over hostile mails end, and end with OK."""
    user = instance.new_user()
    sent = list(samples())
    deliver_all(instance, [[(user, mail) for _, mail in sent]])
    with instance.imap(user, timeout=120) as c:
        c.select()
        everything = len(sent)
        for keys in ('SUBJECT "hostile"', 'TEXT "body"', 'BODY "inner"', 'FROM "example"',
                     'HEADER To "u4999"', "SENTSINCE 1-Jan-2025", "LARGER 50000"):
            found = c.search(keys)
            assert all(1 <= n <= everything for n in found), (keys, found)
        got = c.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (Subject From To)] BODY.PEEK[TEXT]<0.100>)")
        assert len(got) == everything
