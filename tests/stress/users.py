# SPDX-License-Identifier: Apache-2.0
"""One user under stress: his sessions, his deliveries, and the comparison at a quiet point."""

import asyncio
import random

from kit import mails
from kit.imap import quote
from kit.lmtp import stuffed
from kit.mirror import RECENT, Fault, Mirror, id_of
from stress.actor import STABLE, SUBJECT, Actor
from stress.client import Client, Ended, NotNow, connect, note_line
from stress.ledger import Box, Ledger

SETTLE_LIMIT_S = 60
ACT_LIMIT_S = 90
BACK_WITHIN_S = 30


class User:
    def __init__(self, stress, name, sessions, seed, is_shared):
        self.stress = stress
        self.ledger = Ledger(name, STABLE, is_shared)
        self.name = name
        self.rng = random.Random(f"{seed}-{name}")
        self.actors = [Actor(stress, self.ledger, number, random.Random(f"{seed}-{name}-{number}"))
                       for number in sessions]

    async def prepare(self):
        client = await self.fresh_session()
        for box in STABLE[1:]:
            await client.run(f"CREATE {box}")
        client.close()
        self.ledger.check(await self.read_truth())

    async def fresh_session(self):
        client = await connect(self.stress.instance, "fresh", self.stress.fault, user=self.name)
        await client.do(f"LOGIN {quote(self.name)} {quote(self.stress.instance.password)}")
        return client

    # ---- a round

    async def act(self, seconds):
        """Everybody acts for a while; then everything is at rest."""
        until = asyncio.Event()
        jobs = [asyncio.create_task(actor.run(until)) for actor in self.actors]
        jobs.append(asyncio.create_task(self.deliver(until)))
        done, _ = await asyncio.wait(jobs, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
        until.set()
        if any(job.exception() for job in done):
            await asyncio.sleep(0)
        _, late = await asyncio.wait(jobs, timeout=ACT_LIMIT_S)
        if late:
            raise Fault(f"{self.name}: hangs: {[self.under_way(a) for a in self.actors if a.client]}")
        for job in jobs:
            job.result()

    def under_way(self, actor):
        return [command.text for command in actor.client.pending]

    async def deliver(self, until):
        """LMTP, one mail after the other."""
        reader, writer = await asyncio.open_connection(self.stress.instance.host, self.stress.instance.lmtp_port)

        async def reply(code):
            """False: not now."""
            while True:
                line = await reader.readline()
                note_line(self.name, "lmtp", f"S: {line.decode('latin-1').strip()}")
                if Client.may_be_refused and line[:1] == b"4" and line[3:4] == b" ":
                    self.stress.count("refused")
                    return False
                if not line.startswith(str(code).encode()):
                    raise Fault(f"{self.name}: LMTP: {line!r} instead of {code}")
                if line[3:4] != b"-":
                    return True

        async def say(line, code):
            writer.write(line)
            return await reply(code)

        await reply(220)
        await say(b"LHLO stress\r\n", 250)
        while not until.is_set():
            mail_id = self.stress.new_id("d")
            await say(b"MAIL FROM:<a@example.org>\r\n", 250)
            if not await say(f"RCPT TO:<{self.name}>\r\n".encode(), 250):
                await say(b"RSET\r\n", 250)
                await asyncio.sleep(0.1)
                continue
            await say(b"DATA\r\n", 354)
            self.ledger.delivered[mail_id] = False
            note_line(self.name, "lmtp", f"C: {mail_id}")
            self.ledger.delivered[mail_id] = await say(stuffed(mails.small(mail_id)), 250)
            self.stress.count("deliver")
            await asyncio.sleep(self.rng.random() * 0.6)
        writer.close()

    # ---- a quiet point

    async def compare(self):
        """Every mirror, and the ledger, against what a fresh session reads. The differences."""
        if Client.may_be_refused:
            await asyncio.wait_for(self.end_doubts(), BACK_WITHIN_S)
        await asyncio.wait_for(asyncio.gather(*(a.settle() for a in self.actors)), SETTLE_LIMIT_S)
        truth = await self.read_truth()
        by_validity = {box.uid_validity: box for box in truth.values()}
        out = self.ledger.check(truth)
        for actor in self.actors:
            box = by_validity.get(actor.mirror.uid_validity)
            if box is None:
                out.append(f"{self.name}: {actor.name} has {actor.mirror.name} selected, which is not there")
                continue
            out += self.differences_of(actor, box)
            # What was not told yet is asked for, and must agree as well.
            await actor.client.do("UID FETCH 1:* (UID FLAGS)")
            out += self.differences_of(actor, box)
        return out

    async def end(self):
        """His sessions leave; {name: Box}."""
        for actor in self.actors:
            await actor.leave()
        return await self.read_truth()

    async def compare_elsewhere(self, before):
        """On a host that never saw him; the differences."""
        truth = await self.read_truth()
        out = self.ledger.check(truth)
        for name in before.keys() | truth.keys():
            old, new = ((box.uid_validity, box.uid_next, box.highest_modseq, box.mails, box.modseqs) if box else None
                        for box in (before.get(name), truth.get(name)))
            if old != new:
                out.append(f"{self.name}: {name} elsewhere: {new}, was {old}")
        return out

    async def end_doubts(self):
        """The first change after an outage settles what was in doubt before."""
        while True:
            client = None
            try:
                client = await self.fresh_session()
                await self.change_once(client, "CREATE settled", b"ALREADYEXISTS")
                await self.change_once(client, "DELETE settled", b"NONEXISTENT")
                return
            except (NotNow, Ended):
                await asyncio.sleep(0.2)
            finally:
                if client:
                    client.close()

    async def change_once(self, client, text, is_done_code):
        """A refused try may have done it."""
        command = await client.run(text)
        if command.is_for_now:
            raise NotNow(command)
        if command.status != "OK" and command.code != [is_done_code]:
            raise Fault(f"refused: {command} {command.reply_text!r}")

    def differences_of(self, actor, box):
        found = actor.mirror.differences(box.rows())
        if found:
            self.stress.tell_transcript(actor.client)
        return [f"{self.name}: {actor.name}: {text}" for text in found]

    async def read_truth(self):
        """{name: Box}"""
        client = await self.fresh_session()
        listed = await client.do('LIST "" *')
        names = [line[3].decode() for line in listed.lines if line[0] == b"LIST" and b"\\Noselect" not in line[1]]
        truth = {}
        for name in names:
            truth[name] = await self.read_box(client, name)
        await client.do("LOGOUT")
        client.close()
        return truth

    async def read_box(self, client, name):
        items = "MESSAGES UIDNEXT UIDVALIDITY UNSEEN HIGHESTMODSEQ"
        told = (await client.do(f"STATUS {name} ({items})")).lines
        values = next(line[2] for line in told if line[0] == b"STATUS")
        status = {values[i].upper().decode(): int(values[i + 1]) for i in range(0, len(values), 2)}
        client.mirror = Mirror(name, self.ledger)
        await client.do(f"EXAMINE {name}")
        mirror, client.mirror = client.mirror, None
        found, modseqs = {}, {}
        if len(mirror):
            command = await client.do(f"FETCH 1:* (UID FLAGS MODSEQ {SUBJECT})")
            for line in command.lines:
                if len(line) > 2 and line[1] == b"FETCH":
                    self.take_mail(line[2], found, modseqs)
        box = Box(name, mirror.uid_validity, status["UIDNEXT"], status["HIGHESTMODSEQ"], found, modseqs)
        self.check_status(name, status, mirror, found, modseqs)
        return box

    def take_mail(self, values, found, modseqs):
        items = {values[i].upper(): values[i + 1] for i in range(0, len(values), 2)}
        uid = int(items[b"UID"])
        (subject,) = [value for key, value in items.items() if key.startswith(b"BODY[")]
        if found and uid <= max(found):
            raise Fault(f"{self.name}: UIDs do not ascend at {uid}")
        found[uid] = (frozenset(items[b"FLAGS"]) - {RECENT}, id_of(subject))
        if b"MODSEQ" in items:
            modseqs[uid] = int(items[b"MODSEQ"][0])

    def check_status(self, name, status, mirror, found, modseqs):
        unseen = sum(b"\\Seen" not in flags for flags, _ in found.values())
        least = max(found, default=0) + 1
        highest = max(modseqs.values(), default=0)
        if (status["MESSAGES"] != len(found) or len(mirror) != len(found) or status["UNSEEN"] != unseen
                or status["UIDNEXT"] < least or status["UIDVALIDITY"] != mirror.uid_validity
                or status["HIGHESTMODSEQ"] < highest):
            raise Fault(f"{self.name}: {name}: STATUS {status}, EXISTS {len(mirror)}, but {len(found)} mails, "
                        f"{unseen} unseen, UIDNEXT at least {least}, MODSEQ up to {highest}")
