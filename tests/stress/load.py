#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One process of the stress: some users with all their sessions, round after round.

Prints a JSON line per round, {"round": 1, "acts": {...}, "mails": 812}, at a failure
{"failed": [...], "transcripts": [...]}, and for the user whom mbsync follows a line of his replicas;
stress_test.py starts it. What it asks of that one, {"weather": ...} and {"elsewhere": ...}, is done when
a line comes back."""

import argparse
import asyncio
import collections
import itertools
import json
import pathlib
import sys
import time
import traceback

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS))

from kit.instance import Instance  # noqa: E402
from kit.mirror import Fault  # noqa: E402
from kit.testenv import Skip  # noqa: E402
from stress.client import Client, Ended, NotNow  # noqa: E402
from stress.replicas import Replicas  # noqa: E402
from stress.users import User  # noqa: E402


class Stress:
    def __init__(self, args):
        self.instance = Instance.attach(args.attach)
        self.prefix = args.prefix
        self.ids = itertools.count(1)
        self.acts = collections.Counter()
        self.faults = []
        self.transcripts = []
        self.users = []
        self.replicas = None
        for i, number in enumerate(range(args.first_user, args.first_user + args.users)):
            first = 1 + i * args.sessions
            sessions = range(first, first + args.sessions)
            name = self.instance.user(number)
            self.users.append(User(self, name, sessions, args.seed, number == args.shared_user))

    def new_id(self, who):
        """Ends in a mark, so that no id is the beginning of another."""
        return f"{self.prefix}{who}.{next(self.ids)}~"

    def count(self, act):
        self.acts[act] += 1

    def fault(self, client, text):
        """A session saw something that must not be."""
        self.faults.append(f"{client.name}: {text}")
        self.tell_transcript(client)
        client.close()

    def tell_transcript(self, client):
        if len(self.transcripts) < 3:
            self.transcripts.append([client.name, *client.transcript])

    async def run(self, seconds, round_seconds):
        deadline = time.monotonic() + seconds
        await asyncio.gather(*(user.prepare() for user in self.users))
        self.start_replicas()
        self.weather("bad")
        for number in itertools.count(1):
            await asyncio.gather(*(user.act(round_seconds) for user in self.users))
            await self.compare(number)
            if time.monotonic() > deadline:
                break
        self.weather("good")
        if self.replicas:
            self.end_replicas()
        if Client.may_be_refused:
            await self.compare_elsewhere()

    def start_replicas(self):
        for user in self.users:
            if user.ledger.is_shared:
                try:
                    self.replicas = Replicas(self.instance, user.ledger, self.prefix, Client.may_be_refused)
                except Skip as e:
                    self.tell_replicas("skip", 0, str(e))

    def end_replicas(self):
        """The sessions are quiet now, and closed."""
        began = time.monotonic()
        try:
            self.tell_replicas("ok", began, self.replicas.converge())
        except Exception as e:
            self.tell_replicas("fail", began, f"{type(e).__name__}: {e}\n{traceback.format_exc(limit=-3)}")

    def tell_replicas(self, status, began, text):
        seconds = time.monotonic() - began
        print(json.dumps({"replicas": text, "status": status, "seconds": seconds}), flush=True)

    def weather(self, wish):
        """Asks for faults, or for none."""
        if Client.may_be_refused:
            self.ask(weather=wish)

    def ask(self, **what):
        print(json.dumps(what), flush=True)
        sys.stdin.readline()

    async def compare_elsewhere(self):
        """Whoever has nothing but the catalog and the objects sees the same."""
        before = [await user.end() for user in self.users]
        self.ask(elsewhere=True)
        self.instance = Instance.attach(self.instance.dir)
        for user, truth in zip(self.users, before):
            self.faults += await user.compare_elsewhere(truth)
        if self.faults:
            raise Fault("differences")

    async def compare(self, number):
        if self.replicas:
            await asyncio.get_running_loop().run_in_executor(None, self.replicas.pause)
        self.weather("good")
        try:
            found = await asyncio.gather(*(user.compare() for user in self.users))
        finally:
            if self.replicas:
                self.replicas.resume()
        self.faults += [text for differences in found for text in differences]
        if self.faults:
            raise Fault("differences")
        self.weather("bad")
        mails = sum(len(user.ledger.ids) for user in self.users)
        print(json.dumps({"round": number, "acts": dict(self.acts), "mails": mails}), flush=True)
        self.acts.clear()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--attach", required=True)
    parser.add_argument("--first-user", type=int, default=1)
    parser.add_argument("--users", type=int, default=5)
    parser.add_argument("--sessions", type=int, default=5, help="of each user")
    parser.add_argument("--shared-user", type=int, default=0, help="number of one whom mbsync changes too")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--prefix", default="s")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--round-seconds", type=float, default=8)
    parser.add_argument("--deaf-every", type=int, default=0, help="the control: miss one response of so many")
    parser.add_argument("--storm", action="store_true", help="the server may refuse; its weather is asked for")
    parser.add_argument("--record", type=pathlib.Path, help="every line of every dialogue goes to this file")
    args = parser.parse_args()
    if args.record:
        Client.record = args.record.open("w")
    Client.may_be_refused = args.storm
    Client.deaf_every = args.deaf_every
    stress = Stress(args)
    try:
        asyncio.run(stress.run(args.seconds, args.round_seconds))
        return 0
    except (Exception, asyncio.CancelledError) as e:
        faults = stress.faults or [f"{type(e).__name__}: {e}"]
        if not isinstance(e, (Fault, Ended, NotNow)):
            faults.append(traceback.format_exc(limit=-5))
        for user in stress.users:
            for actor in user.actors:
                if actor.client and actor.client.name in str(e):
                    stress.tell_transcript(actor.client)
        print(json.dumps({"failed": faults[:20], "transcripts": stress.transcripts}), flush=True)
        return 1
    finally:
        if stress.replicas:
            stress.replicas.remove()


if __name__ == "__main__":
    sys.exit(main())
