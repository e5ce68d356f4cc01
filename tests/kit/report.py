# SPDX-License-Identifier: Apache-2.0
"""Programs that are tests, run and counted: what ../runner.py and its parts report to."""

import json
import os
import pathlib
import signal
import subprocess
import threading
import time

TOP = pathlib.Path(__file__).resolve().parent.parent.parent


class Report:
    """Prints a line per test as it ends and counts."""

    def __init__(self):
        self.counts = {"ok": 0, "fail": 0, "skip": 0}
        self.failed = []
        self.began = time.monotonic()

    def add(self, name, status, seconds=0.0, reason=""):
        self.counts[status] += 1
        word = {"ok": "ok  ", "fail": "FAIL", "skip": "skip"}[status]
        first, _, rest = reason.strip().partition("\n")
        note = f"  ({first})" if first else ""
        print(f"{word}  {name}  {seconds:.1f} s{note}", flush=True)
        if status == "fail":
            self.failed.append(name)
            for line in rest.splitlines()[:40]:
                print(f"      {line}", flush=True)

    def end(self):
        if self.failed:
            print("\nFailed:\n" + "\n".join(f"  {name}" for name in self.failed))
        minutes = (time.monotonic() - self.began) / 60
        print(f"\n{minutes:.1f} minutes")
        c = self.counts
        print(f"{c['ok']} passed, {c['fail']} failed, {c['skip']} skipped", flush=True)
        return 1 if c["fail"] or not c["ok"] else 0


def run_limited(command, seconds, **options):
    """(exit status, output); the program and its children are ended after `seconds`."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        start_new_session=True, **options
    )
    try:
        out, _ = process.communicate(timeout=seconds)
        return process.returncode, out
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            out, _ = process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, _ = process.communicate()
        return None, f"{out}\nended after {seconds} s"
    except BaseException:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)
        raise


def run_check(report, name, command, seconds, **options):
    """A program that is one test: exit status 0 is ok, 77 is skip."""
    began = time.monotonic()
    status, out = run_limited(command, seconds, **options)
    took = time.monotonic() - began
    tail = "\n".join(out.strip().splitlines()[-40:])
    if status == 77:
        report.add(name, "skip", took, out.strip().splitlines()[-1] if out.strip() else "")
    elif status == 0:
        report.add(name, "ok", took)
    else:
        report.add(name, "fail", took, f"exit status {status}\n{tail}")


def run_counted(report, label, command, seconds, **options):
    """A script that prints a line per test: a JSON object (name, status, seconds, reason), or
    "ok NAME", "not ok NAME REASON", "skip NAME REASON". Other lines are passed by."""
    began = last = time.monotonic()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace",
        start_new_session=True, cwd=TOP, **options
    )
    seen = 0
    failed = False
    timer = _end_later(process, seconds)
    errors = []
    reader = threading.Thread(target=lambda: errors.extend(process.stderr))
    reader.start()
    try:
        for line in process.stdout:
            test = parse_result(line)
            if not test:
                continue
            now = time.monotonic()
            seconds = test.get("seconds", now - last)
            report.add(f"{label}/{test['name']}", test["status"], seconds, test["reason"])
            last = now
            failed = failed or test["status"] == "fail"
            seen += 1
        status = process.wait()
        reader.join()
    except BaseException:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)
        raise
    finally:
        timer.cancel()
    if (status != 0 and not failed) or not seen:
        text = "".join(errors)[-3000:]
        report.add(f"{label}/end", "fail", time.monotonic() - began, f"exit status {status}\n{text}")


def tell(name, status, seconds=0.0, reason=""):
    """Prints the line of a test, for run_counted()."""
    print(json.dumps({"name": name, "status": status, "seconds": seconds, "reason": reason}), flush=True)


def parse_result(line):
    """The test that a line tells of, or None."""
    if line.startswith("{"):
        return json.loads(line)
    for prefix, status in (("ok ", "ok"), ("not ok ", "fail"), ("skip ", "skip")):
        if line.startswith(prefix):
            name, _, reason = line.removeprefix(prefix).strip().partition(" ")
            return {"name": name, "status": status, "reason": reason.replace(" | ", "\n")}
    return None


def _end_later(process, seconds):
    """SIGTERM to a process group that takes too long, then SIGKILL."""
    def end():
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(process.pid, number)
            except ProcessLookupError:
                return
            time.sleep(20)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    return timer
