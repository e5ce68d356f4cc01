# SPDX-License-Identifier: Apache-2.0
"""mbsync (isync): two-way synchronisation with Maildir; two replicas converge under changes."""

import random
import threading

from kit import mails
from kit.mbsync import Replica, server_contents

FORMS = ("roles", "all-in-one")


def test_two_way(instance):
    user = instance.new_user()
    for i in range(20):
        instance.deliver(mails.small(f"mail {i}"), user)
    replica = Replica(instance, user)
    try:
        with instance.imap(user) as c:
            c.do("CREATE Work/Deep")
            c.append("Work/Deep", mails.small("deep"), flags="\\Flagged")
            replica.sync()
            assert replica.contents() == server_contents(c)
            assert len(replica.files("INBOX")) == 20
            # Changes on both sides at once.
            files = replica.files("INBOX")
            replica.set_flags(files[0], "FS")
            files[1].unlink()
            replica.add("INBOX", mails.small("written here"), 1)
            c.select("INBOX")
            c.do("STORE 20 +FLAGS (\\Answered)")
            c.do("STORE 19 +FLAGS (\\Deleted)")
            c.do("EXPUNGE")
            instance.deliver(mails.small("came in"), user)
            replica.sync()
            replica.sync()
            have = replica.contents()
            assert have == server_contents(c)
            subjects = [subject for subject, _ in have["INBOX"]]
            assert len(subjects) == 20 and {"written here", "came in"} <= set(subjects), subjects
            assert ("came in", "") in have["INBOX"]
            assert sum(flags == "R" for _, flags in have["INBOX"]) == 1, have
    finally:
        replica.remove()


def test_contents_are_byte_for_byte(instance):
    user = instance.new_user()
    sent = [mails.realistic(seed) for seed in range(10)]
    for mail in sent:
        instance.deliver(mail, user)
    replica = Replica(instance, user)
    try:
        replica.sync()
        files = [p.read_bytes() for p in replica.files("INBOX")]
        for mail in sent:
            tail = mail.replace(b"\r\n", b"\n")
            body = tail[tail.index(b"\n\n") :]
            assert sum(f.endswith(body) for f in files) == 1
    finally:
        replica.remove()


def change_server(instance, user, seed, stop):
    """Deliveries, flags and expunges until told to stop."""
    rng = random.Random(seed)
    with instance.imap(user) as c:
        c.select()
        number = 0
        while not stop.is_set():
            number += 1
            instance.deliver(mails.small(f"s{seed}-{number}"), user)
            c.do("NOOP")
            count = len(c.search("ALL"))
            n = rng.randint(1, count)
            sign, flag = rng.choice("+-"), rng.choice(["\\Seen", "\\Flagged"])
            c.run(f"STORE {n} {sign}FLAGS ({flag})")
            if rng.random() < 0.2:
                c.run(f"STORE {rng.randint(1, count)} +FLAGS.SILENT (\\Deleted)")
                c.run("EXPUNGE")
            stop.wait(0.05)


def change_replica(replica, rng, number):
    files = replica.files("INBOX")
    if files and rng.random() < 0.5:
        rng.choice(files).unlink()
    files = replica.files("INBOX")
    if files:
        replica.set_flags(rng.choice(files), rng.choice(["S", "FS", "F", ""]))
    replica.add("INBOX", mails.small(f"{replica.dir.name}-{number}"), number)


def test_two_replicas_converge(instance):
    user = instance.new_user()
    for i in range(30):
        instance.deliver(mails.small(f"first {i}"), user)
    replicas = [Replica(instance, user) for _ in range(2)]
    rng = random.Random(7)
    stop = threading.Event()
    writer = threading.Thread(target=change_server, args=(instance, user, 1, stop))
    try:
        writer.start()
        for round_number in range(6):
            for replica in replicas:
                replica.sync()
                change_replica(replica, rng, round_number)
        stop.set()
        writer.join()
        for _ in range(2):
            for replica in replicas:
                replica.sync()
        replicas[0].sync()
        with instance.imap(user) as c:
            truth = server_contents(c)
        for replica in replicas:
            assert replica.contents() == truth
        subjects = [subject for subject, _ in truth["INBOX"]]
        assert len(subjects) == len(set(subjects)), "a mail was doubled"
    finally:
        stop.set()
        writer.join()
        for replica in replicas:
            replica.remove()
