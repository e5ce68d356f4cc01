#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What it costs: rate, CPU of all server processes per operation, memory per idle session, beside
what the plan asks for.

The load client (bench/load.c) and the server share the machine, so rates say what both together do;
CPU per operation is the server's alone: user and system time of the master and its descendants,
read from /proc before and after, and in brackets by role (user+system). fsync is on. Run it on an
otherwise quiet machine:

    bench/run.py                    all scenarios
    bench/run.py deliveries idle    those whose names begin so
    bench/run.py --json FILE        the figures for comparison as well
    bench/run.py --smoke            small and quick: only that the tools and the server work"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP / "tests"))
sys.path.insert(0, str(TOP / "bench"))

from big_mailbox import BigMailbox  # noqa: E402
from kit import mails  # noqa: E402
from kit.instance import Instance  # noqa: E402

TICKS = os.sysconf("SC_CLK_TCK")
USERS = 2000
LOAD_USERS = 100
MAILS_PER_BOX = 20
# 10,000 TLS sessions take two descriptors each in a login process, which may have 20,000.
CONFIG = """\
mail_max_userip_connections = 100
service imap-login {
  process_min_avail = 2
  client_limit = 20000
}
"""


def cpu_seconds(instance):
    """{(role, "user" or "system"): seconds} of everything that serves; children of the master that
    ended count as the master's."""
    sums = {}
    roles = [(instance.pid, "master")] + instance.processes()
    for pid, role in roles:
        try:
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks = [int(field) for field in fields[11:15]]  # utime stime cutime cstime
        for i, kind in enumerate(("user", "system")):
            used = ticks[i] + (ticks[i + 2] if pid == instance.pid else 0)
            sums[role, kind] = sums.get((role, kind), 0) + used / TICKS
    return sums


def cpu_used(before, after, operations):
    """Microseconds per operation, in all and by role: "mail 300+120" is user and system time."""
    each = {key: (after[key] - before.get(key, 0)) * 1e6 / operations for key in after}
    roles = sorted({role for role, _ in each})
    parts = {role: (round(each[role, "user"]), round(each[role, "system"])) for role in roles}
    text = ", ".join(f"{role} {u}+{s}" for role, (u, s) in parts.items() if u + s >= 1)
    return round(sum(each.values()), 1), text


def memory_kb(instance):
    """{"Rss": .., "Pss": .., role: Pss} summed over the processes; Pss counts shared pages once."""
    sums = {"Rss": 0, "Pss": 0}
    for pid, role in [(instance.pid, "master")] + instance.processes():
        try:
            for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                key = line.partition(":")[0]
                if key in ("Rss", "Pss"):
                    sums[key] += int(line.split()[1])
                if key == "Pss":
                    sums[role] = sums.get(role, 0) + int(line.split()[1])
        except OSError:
            continue
    return sums


def memory_used(before, after, sessions):
    """By role: "login 900, mail 400" bytes per session."""
    each = {role: (after[role] - before.get(role, 0)) * 1024 // sessions
            for role in sorted(after) if role not in ("Rss", "Pss")}
    return ", ".join(f"{role} {size} B" for role, size in each.items() if abs(size) > 9)


# Microseconds of CPU each, milliseconds to the push, bytes for a session: a fifth of what the best of
# the others needs on such a machine.
GOALS = {
    "deliveries x1": ("cpu_us", 400), "deliveries x8": ("cpu_us", 400), "deliveries x32": ("cpu_us", 400),
    "logins plain": ("cpu_us", 200), "logins TLS": ("cpu_us", 480), "logins TLS resumed": ("cpu_us", 480),
    "append x8": ("cpu_us", 170), "fetch 20 kB x8": ("cpu_us", 54), "new mails of 20 kB": ("cpu_us", 54),
    "UID STORE x8": ("cpu_us", 24), "push to an idle session": ("p50_ms", 5),
    "SELECT": ("cpu_us", 240), "FLAGS of all": ("cpu_us", 6200), "ENVELOPE of all": ("cpu_us", 32000),
    "idle plain": ("pss_bytes", 2000), "idle TLS": ("pss_bytes", 20000),
}


class Bench(BigMailbox):
    def __init__(self, instance, scale):
        self.instance = instance
        self.scale = scale
        self.rows = []
        self.failed = False

    def command(self, mode, is_tls=False, resumes=False, **options):
        port = self.instance.lmtp_port if mode == "lmtp" else (
            self.instance.imaps_port if is_tls else self.instance.imap_port)
        command = [self.instance.build / "bench" / "load", mode, "--host", self.instance.host]
        command += ["--port", str(port), "--password", self.instance.password]
        if is_tls:
            command += ["--tls", self.instance.ca_file]
        if resumes:
            command.append("--resume")
        for key, value in options.items():
            command += [f"--{key.replace('_', '-')}", str(value)]
        return command

    def count(self, number):
        return max(20, int(number * self.scale))

    def measure(self, name, mode, count, warm_up=0, **options):
        """One row: the rate, and CPU per operation."""
        if warm_up:
            self.load(self.command(mode, count=self.count(warm_up), **options))
        before = cpu_seconds(self.instance)
        figures = self.load(self.command(mode, count=self.count(count), **options))
        done = max(1, figures["done"])
        cpu_us, roles = cpu_used(before, cpu_seconds(self.instance), done)
        if options.get("resumes"):
            roles += f", {figures['resumed']} of {done} resumed"
        self.add({
            "name": name,
            "per_second": round(done / max(figures["seconds"], 1e-6), 1),
            "cpu_us": cpu_us,
            "roles": roles,
            "p50_ms": figures["p50_us"] / 1000,
            "p99_ms": figures["p99_us"] / 1000,
        })

    def load(self, command):
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600)
        lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
        if done.returncode != 0 or not lines:
            self.failed = True
            print(f"FAILED: {' '.join(map(str, command))}\n{done.stderr}{done.stdout}", flush=True)
            return {"done": 0, "seconds": 1, "resumed": 0, "p50_us": 0, "p99_us": 0}
        return json.loads(lines[-1])

    def add(self, row):
        self.rows.append(row)
        cells = [f"{row['name']:28}"]
        for key, label in (("per_second", "/s"), ("cpu_us", "us CPU each"), ("p50_ms", "ms p50"),
                           ("p99_ms", "ms p99"), ("pss_bytes", "B PSS each"), ("rss_bytes", "B RSS each")):
            if key in row:
                cells.append(f"{row[key]:>10,} {label}")
        key, goal = GOALS.get(row.get("goal", row["name"]), (None, None))
        if key and self.scale == 1:
            cells.append(f"{'MEETS' if row[key] <= goal else 'MISSES'} the goal of {goal:,}")
        cells.append(f"({row['roles']})")
        print("  ".join(cells), flush=True)

    # ---- scenarios

    def deliveries(self):
        for connections, count in ((1, 1000), (8, 3000), (32, 6000)):
            self.measure(f"deliveries x{connections}", "lmtp", count, warm_up=200,
                         users=LOAD_USERS, connections=connections)

    def logins(self):
        for label, options in (("plain", {}), ("TLS", {"is_tls": True}),
                               ("TLS resumed", {"is_tls": True, "resumes": True})):
            self.measure(f"logins {label}", "login", 3000, warm_up=300, users=LOAD_USERS, connections=8, **options)

    def append(self):
        self.measure("append x8", "append", 2000, warm_up=100, users=LOAD_USERS, connections=8,
                     first_user=LOAD_USERS + 1)

    def fetch(self):
        self.fill()
        self.measure("fetch 20 kB x8", "fetch", 10000, users=LOAD_USERS, connections=8,
                     first_user=2 * LOAD_USERS + 1, mails=MAILS_PER_BOX)

    def store(self):
        self.fill()
        self.measure("UID STORE x8", "store", 10000, users=LOAD_USERS, connections=8,
                     first_user=2 * LOAD_USERS + 1, mails=MAILS_PER_BOX)

    def fill(self):
        """Known mailboxes for fetch and store: the same number of mails of 20 kB for each user."""
        if getattr(self, "is_filled", False):
            return
        self.is_filled = True
        # LMTP goes round the users, so that each gets the same number.
        self.load(self.command("lmtp", users=LOAD_USERS, first_user=2 * LOAD_USERS + 1, mail_size=20000,
                               connections=1, count=LOAD_USERS * MAILS_PER_BOX))

    def push(self):
        """From the 250 of a delivery to the EXISTS in a session that idles; seen by one client, whose
        own work is part of the figure."""
        instance, user = self.instance, self.instance.user(USERS)
        mail = mails.small("push", "x" * 70 + "\r\n" + "y" * 2000 + "\r\n")
        delays_us = []
        with instance.connect(is_tls=False) as session, instance.lmtp() as lmtp:
            session.login(user, instance.password)
            session.select()
            session.start("IDLE")
            session.read_pieces()
            before = cpu_seconds(instance)
            for number in range(1, self.count(500) + 1):
                lmtp.deliver(mail, user)
                began = time.monotonic()
                session.wait_untagged(lambda line: line[:2] == [str(number).encode(), b"EXISTS"], 10)
                delays_us.append((time.monotonic() - began) * 1e6)
        delays_us.sort()
        cpu_us, roles = cpu_used(before, cpu_seconds(instance), len(delays_us))
        self.add({
            "name": "push to an idle session",
            "cpu_us": cpu_us,
            "p50_ms": round(delays_us[len(delays_us) // 2] / 1000, 3),
            "p99_ms": round(delays_us[len(delays_us) * 99 // 100] / 1000, 3),
            "roles": roles,
        })

    def idle(self):
        for is_tls in (False, True):
            sessions = self.count(10000)
            self.idle_sessions(f"idle {sessions} {'TLS' if is_tls else 'plain'}", sessions, is_tls)

    def idle_sessions(self, name, sessions, is_tls):
        """Opens the sessions, looks at memory, looks at CPU for a while, lets them go."""
        before = memory_kb(self.instance)
        cpu_before = cpu_seconds(self.instance)
        began = time.monotonic()
        client_count = 2
        clients = [
            subprocess.Popen(
                self.command("idle", is_tls=is_tls, users=USERS // client_count,
                             first_user=1 + i * (USERS // client_count),
                             connections=sessions // client_count),
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )
            for i in range(client_count)
        ]
        said = [client.stdout.readline().strip() for client in clients]
        seconds = time.monotonic() - began
        cpu_us, roles = cpu_used(cpu_before, cpu_seconds(self.instance), sessions)
        time.sleep(1 if self.scale < 1 else 5)
        after = memory_kb(self.instance)
        ends = [client.communicate(timeout=120) for client in clients]
        if said != ["idle"] * client_count or any(client.returncode for client in clients):
            self.failed = True
            print(f"FAILED: {name}: {said} {ends}", flush=True)
            return
        self.add({
            "name": name,
            "goal": f"idle {'TLS' if is_tls else 'plain'}",
            "per_second": round(sessions / seconds, 1),
            "cpu_us": cpu_us,
            "roles": f"{roles}; {memory_used(before, after, sessions)}",
            "pss_bytes": (after["Pss"] - before["Pss"]) * 1024 // sessions,
            "rss_bytes": (after["Rss"] - before["Rss"]) * 1024 // sessions,
        })


SCENARIOS = ["deliveries", "logins", "append", "fetch", "store", "push", "new_mails", "large", "mass",
             "search", "idle"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("scenarios", nargs="*", help=f"of: {' '.join(SCENARIOS)}")
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--build", type=pathlib.Path, default=TOP / "build")
    parser.add_argument("--all-in-one", action="store_true")
    args = parser.parse_args()
    chosen = [s for s in SCENARIOS if not args.scenarios or any(s.startswith(w) for w in args.scenarios)]
    instance = Instance.create(build=args.build, is_all_in_one=args.all_in_one, users=USERS, config=CONFIG)
    bench = Bench(instance, scale=0.02 if args.smoke else 1)
    try:
        for scenario in chosen:
            getattr(bench, scenario)()
        instance.stop()
    finally:
        instance.destroy()
    if args.json:
        args.json.write_text(json.dumps(bench.rows, indent=1) + "\n")
    return 1 if bench.failed else 0


if __name__ == "__main__":
    sys.exit(main())
