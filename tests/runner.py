#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the tests and counts them; ./test installs and builds, then calls this.

Parts, in this order; a NAME picks a part, a test file ("e2e/lmtp", "lmtp"), or one test of it
("lmtp/dots"):
    style      formatting, layers and house rules
    unit       meson test in the release build and under ASan and UBSan
    task       the proofs of the task library
    sim        the store on virtual time: backends, crashes, faults, a ledger; bugs planted on purpose
    e2e        dialogues and real clients, with real roles and with all roles in one process
    stress     fifty sessions that change the same mailboxes; also while S3 and Cassandra fail
    faults     full disks, wrong permissions, garbage in files
    crash      kill -9 under load
    clouds     real object stores and a real Cassandra: contracts, other pairs, faults between, kill -9 meanwhile
    takeover   several backends on the same mails: handed over, killed under load, both at once, what it costs
    powerloss  unsynced writes lost under load
    fuzz       every target for a short while
    bench      the load tools, briefly
To add an end-to-end test: write tests/e2e/test_x.py (kit/run_file.py says what it may hold)."""

import argparse
import ast
import concurrent.futures
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

TESTS = pathlib.Path(__file__).resolve().parent
TOP = TESTS.parent
RELEASE = TOP / "build"
SANITIZED = TOP / "build-asan"
FUZZ = TOP / "build-fuzz"
sys.path.insert(0, str(TESTS))

from kit.clouds import Clouds  # noqa: E402
from kit.report import Report, run_check, run_counted, run_limited  # noqa: E402

FILE_TIMEOUT_S = 1800
FUZZ_SECONDS = 10
FUZZ_JOBS = 2


# ---- servers of others


class Servers:
    """What kit/clouds.py starts, when the first test asks for it; its addresses are then in the
    environment of every program that is run."""

    def __init__(self):
        self.clouds = None
        self.folder = None

    def start(self):
        """{variable: why it is not there}"""
        if not self.clouds:
            self.folder = tempfile.mkdtemp(prefix="pombal-clouds-")
            os.chmod(self.folder, 0o755)
            self.clouds = Clouds(self.folder)
            self.clouds.start()
            os.environ.update(self.clouds.env)
        return self.clouds.missing

    def stop(self):
        if self.clouds:
            self.clouds.stop()
            shutil.rmtree(self.folder, ignore_errors=True)


SERVERS = Servers()


# ---- the parts


def part_style(report, args):
    for script in ("check-layers", "check-style", "check-docs", "check-the-checks"):
        path = TOP / "tools" / script
        if path.exists():
            run_check(report, f"style/{script}", [path], 120, cwd=TOP)
        else:
            report.add(f"style/{script}", "skip", 0, f"tools/{script} does not exist")
    sources = c_sources()
    if shutil.which("clang-format"):
        command = ["clang-format", "--dry-run", "-Werror", *sources]
        run_check(report, "style/clang-format", command, 300, cwd=TOP)
    else:
        report.add("style/clang-format", "skip", 0, "clang-format is not installed")
    run_tidy(report, [name for name in sources if name.startswith("src/") and name.endswith(".c")])


def c_sources():
    out = subprocess.run(
        ["git", "ls-files", "src/*.c", "src/*.h", "fuzz/*.c", "bench/*.c", "tests/*.c", "tests/*.h"],
        cwd=TOP, capture_output=True, text=True, check=True,
    ).stdout
    return [name for name in out.splitlines() if (TOP / name).exists()]


def run_tidy(report, files):
    database = SANITIZED / "compile_commands.json"
    if not shutil.which("clang-tidy") or not database.exists():
        report.add("style/clang-tidy", "skip", 0, "clang-tidy or build-asan is not there")
        return
    began = time.monotonic()
    command = ["clang-tidy", "-p", SANITIZED, "--quiet"]

    def tidy(name):
        return run_limited(command + [name], 300, cwd=TOP)

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        bad = [out for status, out in pool.map(tidy, files) if status != 0]
    took = time.monotonic() - began
    report.add("style/clang-tidy", "fail" if bad else "ok", took, "\n".join(bad))


def part_unit(report, args):
    for build, label in ((RELEASE, "release"), (SANITIZED, "asan")):
        run_meson(report, build, f"unit/{label}", ["--suite", "unit"])


def run_meson(report, build, label, selection):
    """Every test of a meson suite counts."""
    log = build / "meson-logs" / "testlog.json"
    log.unlink(missing_ok=True)
    status, out = run_limited(
        ["meson", "test", "-C", build, "--no-rebuild", "--timeout-multiplier", "4", "--print-errorlogs", *selection], 1200
    )
    if not log.exists():
        report.add(label, "fail", 0, f"meson test: exit status {status}\n{out[-3000:]}")
        return
    for line in log.read_text().splitlines():
        test = json.loads(line)
        word = {"OK": "ok", "EXPECTEDFAIL": "ok", "SKIP": "skip"}.get(test["result"], "fail")
        text = f"{test['result']}\n{(test.get('stdout') or '')[-1500:]}{(test.get('stderr') or '')[-3000:]}"
        name = test["name"].split(" / ")[0].split(":")[-1]
        reason = text if word == "fail" else (test.get("stdout") or "").strip() if word == "skip" else ""
        report.add(f"{label}/{name}", word, test["duration"], reason)


def part_task(report, args):
    script = TESTS / "task" / "proofs.py"
    if not script.exists():
        report.add("task/proofs", "skip", 0, "tests/task/proofs.py does not exist")
        return
    run_counted(report, "task", [sys.executable, script, "--build-root", TOP / "build-proofs"], 1200)


# A sample in ./test: what is quickly found, of each kind.
SIM_SEEDS = 2000
SIM_BOTH_SEEDS = 500
SIM_NO_JOURNAL_SEEDS = 300
SIM_MUTANTS = ("acknowledge-first", "copy-without-reverse", "vanished-misses-one")


def part_sim(report, args):
    seeds = 100_000 if args.long else SIM_SEEDS
    run_sim(report, RELEASE, "sim/release", seeds)
    run_sim(report, SANITIZED, "sim/asan", seeds // 40)
    run_sim(report, RELEASE, "sim/both", SIM_BOTH_SEEDS, "--both")
    run_sim(report, RELEASE, "sim/no-journal", SIM_NO_JOURNAL_SEEDS, "--no-journal")
    run_sim(report, RELEASE, "sim/both-no-journal", SIM_NO_JOURNAL_SEEDS, "--both", "--no-journal")
    command = [sys.executable, TESTS / "sim" / "mutants.py", "--build", RELEASE]
    run_counted(report, "sim", command + ([] if args.long else list(SIM_MUTANTS)), 7200 if args.long else 600)


def run_sim(report, build, label, seeds, *options):
    run_check(report, label, [build / "tests" / "sim" / "sim", "--seeds", f"1..{seeds}", *options], 120 + seeds)


# The form decides the build too: real roles run the release build, all-in-one the sanitizers'.
# With --long, real roles run under the sanitizers as well.
FORMS = {
    "roles": (RELEASE, []),
    "all-in-one": (SANITIZED, ["--all-in-one"]),
    "s3-cql": (RELEASE, ["--storage", "s3-cql"]),
    "roles-asan": (SANITIZED, []),
}


def part_e2e(report, args):
    for path in sorted((TESTS / "e2e").glob("test_*.py")):
        name = path.stem.removeprefix("test_").replace("_", "-")
        only = wanted_of(args.names, name)
        if only is None:
            continue
        run_file(report, f"e2e/{name}", path, only, args)


def run_file(report, name, path, only, args):
    """The functions of a test file, in each form that is wanted."""
    for form, (build, options) in FORMS.items():
        if not is_form_wanted(form, path, args):
            continue
        label = f"{name}/{form}"
        if form == "s3-cql" and not has_servers(report, label, "POMBAL_TEST_S3", "POMBAL_TEST_CQL"):
            continue
        if not (build / "pombal").exists():
            report.add(label, "fail", 0, f"{build.name}/pombal is not built")
            continue
        command = [sys.executable, TESTS / "kit" / "run_file.py", path, "--build", build, *options]
        if only:
            command += ["--only", *only]
        run_counted(report, label, command, FILE_TIMEOUT_S)


def has_servers(report, label, *variables):
    """Starts what can be started; skips the test, with the reason, when one of these is not there."""
    missing = SERVERS.start()
    for variable in variables:
        if variable in missing:
            report.add(label, "skip", 0, missing[variable].replace("\n", " "))
            return False
    return True


def is_form_wanted(form, path, args):
    if form == "s3-cql":
        fits = "s3-cql" in line_of(path, "STORAGES", ("local", "s3-cql"))
        fits = fits and "roles" in line_of(path, "FORMS", ("roles",))
    else:
        fits = form.removesuffix("-asan") in line_of(path, "FORMS", ("roles", "all-in-one"))
        fits = fits and "local" in line_of(path, "STORAGES", ("local",))
    if not fits:
        return False
    return form == args.form if args.form else args.long or form != "roles-asan"


def line_of(path, name, default):
    """The line "NAME = (...)" of a test file, without running it."""
    for line in path.read_text().splitlines():
        if line.startswith(f"{name} = "):
            return ast.literal_eval(line.removeprefix(f"{name} = "))
    return default


def wanted_of(names, file):
    """None: this file is not wanted; []: all of it; else words in the names of functions."""
    if not names or "e2e" in names:
        return []
    only = []
    for name in names:
        words = name.removeprefix("e2e/").replace("_", "-").split("/")
        if words[0] == file or (len(words) == 1 and words[0] in file):
            if len(words) == 1:
                return []
            only.append(words[1].replace("-", "_"))
    return only or None


# Under the sanitizers everything is slower: a shorter time finds what it can.
STRESS_FORMS = (("roles", 1), ("all-in-one", 0.4))


def part_stress(report, args):
    seconds = args.stress_seconds or (900 if args.long else 80)
    for form, share in STRESS_FORMS:
        if args.form not in (None, form):
            continue
        build, options = FORMS[form]
        command = [sys.executable, TESTS / "stress" / "stress_test.py", "--build", build, *options]
        length = max(10, int(seconds * share))
        run_counted(report, f"stress/{form}", command + ["--seconds", str(length)], length * 4 + 400)
    if args.form in (None, "s3-cql") and has_servers(report, "stress/storm", "POMBAL_TEST_S3", "POMBAL_TEST_CQL"):
        run_storm_stress(report, args.stress_seconds or (600 if args.long else 25), RELEASE, "storm")
        if args.long:
            run_storm_stress(report, args.stress_seconds or 300, SANITIZED, "storm-asan")


def run_storm_stress(report, seconds, build, label):
    command = [sys.executable, TESTS / "stress" / "stress_test.py", "--build", build, "--storm"]
    run_counted(report, f"stress/{label}", command + ["--seconds", str(seconds)], seconds * 4 + 400)


def part_faults(report, args):
    for path in sorted((TESTS / "faults").glob("test_*.py")):
        run_file(report, f"faults/{path.stem.removeprefix('test_')}", path, [], args)


def part_crash(report, args):
    rounds = args.crash_rounds or (100 if args.long else 10)
    run_crash(report, "crash", rounds)


def run_crash(report, label, rounds, *options):
    command = [sys.executable, TESTS / "crash" / "kill_test.py", "--rounds", str(rounds), *options]
    run_counted(report, label, command, 300 + 60 * rounds)


# The other pairs run these alone: every operation of a store, and a client that compares everything.
SMOKE_FILES = ("lmtp", "mbsync")
LONG_SMOKE_FILES = ("imap_messages", "imap_fetch", "imap_mailboxes")
SMOKE_PAIRS = {
    "s3-sqlite": ("POMBAL_TEST_S3",),
    "local-cql": ("POMBAL_TEST_CQL",),
    "azure-sqlite": ("POMBAL_TEST_AZURE",),
    "azure-client-sqlite": ("POMBAL_TEST_AZURE_TLS", "POMBAL_TEST_ENTRA"),
    "sproxyd-sqlite": ("POMBAL_TEST_SPROXYD",),
}


def part_clouds(report, args):
    began = time.monotonic()
    missing = SERVERS.start()
    took = time.monotonic() - began
    for variable in SERVERS.clouds.variables():
        label = f"clouds/servers/{variable.removeprefix('POMBAL_TEST_').lower()}"
        if variable in missing:
            report.add(label, "skip", 0, missing[variable].replace("\n", " "))
        else:
            report.add(label, "ok", took / len(SERVERS.clouds.variables()))
    for build, label in ((RELEASE, "release"), *([(SANITIZED, "asan")] if args.long else [])):
        run_meson(report, build, f"clouds/{label}", cloud_tests())
    for pair, variables in SMOKE_PAIRS.items():
        if has_servers(report, f"clouds/{pair}", *variables):
            run_smoke(report, pair, SMOKE_FILES + LONG_SMOKE_FILES if args.long else SMOKE_FILES)
    if has_servers(report, "clouds/faults", "POMBAL_TEST_S3", "POMBAL_TEST_CQL"):
        for form in ("roles", "all-in-one"):
            build, options = FORMS[form]
            command = [sys.executable, TESTS / "kit" / "run_file.py", TESTS / "faults" / "clouds_test.py"]
            run_counted(report, f"clouds/faults/{form}", [*command, "--build", build, *options], FILE_TIMEOUT_S)
        long = ["--long"] if args.long else []
        script = TESTS / "faults" / "clouds.py"
        run_counted(report, "clouds/faults/load", [sys.executable, script, *long], 3600 if args.long else 600)
        run_crash(report, "clouds/crash", 45 if args.long else 6, "--storm")
        run_check(report, "clouds/bench", [sys.executable, TOP / "bench" / "clouds.py", "--smoke"], 300, cwd=TOP)


def cloud_tests():
    """Names of the unit tests that look for servers in the environment, themselves or by a header:
    folder/subject."""
    sources = {p: p.read_text() for p in (TOP / "src").rglob("*_test.[ch]")}
    headers = [f'"{p.parent.name}/{p.name}"' for p, text in sources.items()
               if p.suffix == ".h" and "POMBAL_TEST_" in text]
    tests = [p for p, text in sources.items()
             if p.suffix == ".c" and any(word in text for word in ["POMBAL_TEST_", *headers])]
    return [f"{p.parent.name}/{p.stem.removesuffix('_test')}" for p in sorted(tests)]


def run_smoke(report, pair, files):
    build, _ = FORMS["roles"]
    for name in files:
        command = [sys.executable, TESTS / "kit" / "run_file.py", TESTS / "e2e" / f"test_{name}.py"]
        command += ["--build", build, "--storage", pair]
        run_counted(report, f"clouds/{pair}/{name.replace('_', '-')}", command, FILE_TIMEOUT_S)


def part_takeover(report, args):
    if not has_servers(report, "takeover", "POMBAL_TEST_S3", "POMBAL_TEST_CQL"):
        return
    for path in sorted((TESTS / "takeover").glob("test_*.py")):
        run_file(report, f"takeover/{path.stem.removeprefix('test_')}", path, [], args)
    rounds = args.crash_rounds or (20 if args.long else 5)
    command = [sys.executable, TESTS / "takeover" / "kill_test.py", "--rounds", str(rounds)]
    run_counted(report, "takeover/kill", command, 200 + 60 * rounds)


def part_powerloss(report, args):
    script = TESTS / "crash" / "plug_test.py"
    command = [sys.executable, script, "--rounds", str(20 if args.long else 3)]
    run_counted(report, "powerloss", command, 1800)


def part_fuzz(report, args):
    targets = sorted(p for p in FUZZ.glob("fuzz/fuzz_*") if p.is_file() and os.access(p, os.X_OK))
    if not targets:
        report.add("fuzz", "skip", 0, "build-fuzz has no targets")
        return
    seconds = args.fuzz_seconds or (160 if args.long else FUZZ_SECONDS)
    if args.fuzz_total:
        seconds = max(1, args.fuzz_total // len(targets))

    def fuzz(target):
        # What it finds stays in the build directory; the seeds are in the tree.
        corpus = FUZZ / "corpus" / target.name
        corpus.mkdir(parents=True, exist_ok=True)
        seeds = TOP / "fuzz" / "corpus" / target.name
        command = [target, corpus, *([seeds] if seeds.is_dir() else []), f"-max_total_time={seconds}", "-timeout=10",
                   "-rss_limit_mb=2048", "-print_final_stats=0", f"-artifact_prefix={FUZZ}/"]
        began = time.monotonic()
        status, out = run_limited(command, seconds + 60)
        return target, status, out, time.monotonic() - began

    with concurrent.futures.ThreadPoolExecutor(FUZZ_JOBS) as pool:
        for target, status, out, took in pool.map(fuzz, targets):
            word = "ok" if status == 0 else "fail"
            report.add(f"fuzz/{target.name}", word, took, "" if status == 0 else f"finding\n{out[-3000:]}")


def part_bench(report, args):
    command = [sys.executable, TOP / "bench" / "run.py", "--smoke"]
    run_check(report, "bench/smoke", command, 300, cwd=TOP)


PARTS = {
    "style": part_style,
    "unit": part_unit,
    "task": part_task,
    "sim": part_sim,
    "e2e": part_e2e,
    "stress": part_stress,
    "faults": part_faults,
    "crash": part_crash,
    "clouds": part_clouds,
    "takeover": part_takeover,
    "powerloss": part_powerloss,
    "fuzz": part_fuzz,
    "bench": part_bench,
}


def chosen_parts(names):
    if not names:
        return list(PARTS)
    chosen = [part for part in PARTS if part in names]
    known = {p.stem.removeprefix("test_").replace("_", "-") for p in (TESTS / "e2e").glob("test_*.py")}
    for name in names:
        word = name.removeprefix("e2e/").replace("_", "-").split("/")[0]
        if name not in PARTS:
            if not any(word in file for file in known):
                sys.exit(f"test: there is no part or test called {name}; parts: {', '.join(PARTS)}")
            if "e2e" not in chosen:
                chosen.append("e2e")
    return chosen


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*")
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--form", choices=list(FORMS))
    parser.add_argument("--stress-seconds", type=int)
    parser.add_argument("--crash-rounds", type=int)
    parser.add_argument("--fuzz-seconds", type=int, help="for each target")
    parser.add_argument("--fuzz-total", type=int, help="seconds for all targets together")
    parser.add_argument("--list-parts", action="store_true", help="print the parts and end")
    args = parser.parse_args()
    parts = chosen_parts(args.names)
    if args.list_parts:
        print(" ".join(parts))
        return 0
    # Ended from outside: unwind, so that started processes end too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    report = Report()
    if args.long:
        os.environ["POMBAL_TEST_LONG"] = "1"  # unit tests that take a sample otherwise
    try:
        for part in parts:
            print(f"\n== {part}", flush=True)
            PARTS[part](report, args)
    finally:
        SERVERS.stop()
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
