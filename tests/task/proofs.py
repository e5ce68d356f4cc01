#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Proofs that tasks work with every tool we rely on.

    tests/task/proofs.py [--build-root DIR] [--list] [NAME...]

One line a proof: "ok NAME", "not ok NAME reason" or "skip NAME reason"; lines with "#" are figures.
Exit status 1 if one is not ok. A tool has to find the bug that is made for it (tests/task/bugs.c),
in a trace that leads through the task's stack, and nothing in the clean run.

To add a proof: a function with @proof("name") that raises Failed or Skipped."""
import argparse
import concurrent.futures
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = ROOT / "tests" / "task"
TASK_TESTS = ["group", "offload", "stack", "task", "timer", "watch"]
NET_TESTS = ["socket", "stream", "tls"]
PROGRAMS = ["bugs", "figures", "soak"]
TIMEOUT_S = 100
FLAGS = ["-std=gnu17", "-D_GNU_SOURCE", "-g", "-fno-omit-frame-pointer",
         "-fno-optimize-sibling-calls", "-Isrc"]

PROOFS = {}


class Failed(Exception):
    pass


class Skipped(Exception):
    pass


def proof(name):
    def register(function):
        PROOFS[name] = function
        return function
    return register


# ---- building: the libraries once a configuration, then its programs ----

class Configuration:
    """A compiler with flags; what is built with it lies in its own directory."""

    def __init__(self, name, compiler, flags, folders=("base", "task", "crypto", "net"),
                 libraries=("-lssl", "-lcrypto", "-largon2", "-lcrypt"), cmocka="-lcmocka"):
        self.name, self.compiler, self.folders = name, compiler, folders
        self.flags, self.libraries, self.cmocka = FLAGS + flags, list(libraries), cmocka
        self.directory = None
        self.objects = None

    def compile(self, source):
        out = self.directory / (str(source.relative_to(ROOT)).replace("/", "_") + ".o")
        run_tool([self.compiler, *self.flags, "-c", str(source), "-o", str(out)])
        return str(out)

    def built_objects(self):
        if self.objects is None:
            if not shutil.which(self.compiler):
                raise Skipped("%s is not installed" % self.compiler)
            self.directory = BUILD_ROOT / self.name
            self.directory.mkdir(parents=True, exist_ok=True)
            sources = [s for f in self.folders for s in sorted((ROOT / "src" / f).glob("*.[cS]"))
                       if not s.name.endswith("_test.c")]
            self.objects = in_parallel(self.compile, sources)
        return self.objects

    def link(self, source, out_name, libraries=()):
        objects = self.built_objects()
        out = self.directory / out_name
        if not out.exists():
            run_tool([self.compiler, *self.flags, self.compile(source), *objects, *self.libraries,
                      *libraries, "-lpthread", "-lm", "-o", str(out)])
        return str(out)

    def program(self, name):
        return self.link(HERE / (name + ".c"), name)

    def unit_tests(self):
        """Names and programs of the unit tests of the folders that are part of it."""
        self.built_objects()
        tests = [("task", t) for t in TASK_TESTS]
        if "net" in self.folders:
            tests += [("net", t) for t in NET_TESTS]
        libraries = [self.cmocka] if self.cmocka else []
        return in_parallel(lambda t: ("%s/%s" % t, self.link(
            ROOT / "src" / t[0] / (t[1] + "_test.c"), "%s_%s_test" % t, libraries)), tests)


def in_parallel(function, items):
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(function, items))


def run_tool(command):
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise Failed("%s: %s" % (command[0], done.stderr.strip()[-800:]))


GCC = Configuration("gcc", "gcc", ["-O2", "-DPOMBAL_DEBUG"])
RELEASE = Configuration("release", "gcc", ["-O2"])
THREADS = Configuration("threads", "gcc", ["-O1", "-DPOMBAL_TASK_THREADS"])
GCC_ASAN = Configuration("gcc-asan", "gcc", [
    "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-DPOMBAL_DEBUG",
    "-DPOMBAL_INSTRUMENTED"])
CLANG_ASAN = Configuration("clang-asan", "clang", GCC_ASAN.flags[len(FLAGS):])
TSAN = Configuration("gcc-tsan", "gcc", ["-O1", "-fsanitize=thread", "-DPOMBAL_INSTRUMENTED"])
VALGRIND = Configuration("valgrind", "gcc", ["-O1", "-DPOMBAL_VALGRIND", "-DPOMBAL_INSTRUMENTED"])
AARCH64 = Configuration(
    "aarch64", "aarch64-linux-gnu-gcc", ["-O2", "-static", "-Itests/task/stand_in"],
    folders=("base", "task"), libraries=(), cmocka="")

VALGRIND_COMMAND = ["valgrind", "-q", "--error-exitcode=9", "--leak-check=full",
                    "--show-leak-kinds=definite", "--errors-for-leak-kinds=definite"]
# Where tests fork and the child dies on purpose, its own report is not ours.
QUIET_CHILDREN = "--child-silent-after-fork=yes"


# ---- running ----

def run(command, environment=None, timeout=TIMEOUT_S):
    """(status, everything it said). A status below 0 is a signal's."""
    try:
        done = subprocess.run(command, cwd=BUILD_ROOT, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=timeout, errors="replace",
                              env={**os.environ, **(environment or {})})
    except subprocess.TimeoutExpired:
        raise Failed("no end after %d s: %s" % (timeout, " ".join(command)))
    return done.returncode, done.stdout


def expect_clean(command, environment=None, complaints=()):
    status, said = run(command, environment)
    if status != 0:
        raise Failed("status %d of %s: %s" % (status, " ".join(command), said.strip()[-800:]))
    for complaint in complaints:
        if complaint in said:
            raise Failed("%s: %s" % (" ".join(command), said.strip()[-800:]))


def expect_bug(command, words, environment=None):
    """The tool ends it with an error and its report has all the words."""
    status, said = run(command, environment)
    if status == 0:
        raise Failed("not found: %s" % " ".join(command))
    for word in words:
        if word not in said:
            raise Failed("no %r in the report of %s: %s" % (
                word, " ".join(command), said.strip()[:800]))


def run_unit_tests(configuration, prefix=(), environment=None):
    for name, program in configuration.unit_tests():
        status, said = run([*prefix, program], environment)
        if status != 0:
            raise Failed("%s: %s" % (name, said.strip()[-800:]))


def need(program, why=""):
    if not shutil.which(program):
        raise Skipped("%s is not installed%s" % (program, why))


# ---- sanitizers ----

ASAN = {"ASAN_OPTIONS": "detect_stack_use_after_return=1:detect_leaks=1:abort_on_error=0",
        "UBSAN_OPTIONS": "print_stacktrace=1"}
THROUGH_THE_TASK = ["buggy_task", "task_main"]


def prove_asan(configuration):
    bugs = configuration.program("bugs")
    expect_clean([bugs, "none"], ASAN, ["Sanitizer", "runtime error"])
    for kind, words in {
            "use-after-free": ["heap-use-after-free", "read_freed", *THROUGH_THE_TASK],
            "stack-buffer": ["stack-buffer-overflow", "bug_stack_buffer", *THROUGH_THE_TASK],
            "use-after-return": ["stack-use-after-return", "read_freed", *THROUGH_THE_TASK],
            "stack-overflow": ["stack-overflow", "deeper"],
            "leak": ["detected memory leaks", "777 byte", "bug_leak", *THROUGH_THE_TASK],
            "undefined": ["signed integer overflow", "bug_undefined", *THROUGH_THE_TASK],
    }.items():
        expect_bug([bugs, kind], words, ASAN)
    # An ended task's stack is poisoned. (Not with fake frames: they are not on it.)
    expect_bug([bugs, "stale-stack"], ["AddressSanitizer", "read_freed", *THROUGH_THE_TASK],
               {"ASAN_OPTIONS": "detect_stack_use_after_return=0"})


@proof("asan-gcc")
def asan_gcc():
    prove_asan(GCC_ASAN)


@proof("asan-clang")
def asan_clang():
    prove_asan(CLANG_ASAN)


@proof("unit-asan-clang")
def unit_asan_clang():
    # Without fake frames: they are not on the stack whose depth is measured.
    run_unit_tests(CLANG_ASAN, environment={"ASAN_OPTIONS": "detect_stack_use_after_return=0"})


@proof("tsan")
def tsan():
    bugs = TSAN.program("bugs")
    expect_clean([bugs, "none"], complaints=["ThreadSanitizer"])
    expect_bug([bugs, "race"], ["data race", "write_foreign", "bug_race", "buggy_task"])


@proof("unit-tsan")
def unit_tsan():
    run_unit_tests(TSAN)


@proof("valgrind")
def valgrind():
    need("valgrind")
    bugs = VALGRIND.program("bugs")
    expect_clean([*VALGRIND_COMMAND, bugs, "none"], complaints=["=="])
    for kind, words in {
            "use-after-free": ["Invalid read", "bug_use_after_free", *THROUGH_THE_TASK],
            "stale-stack": ["Invalid read", "bug_stale_stack", *THROUGH_THE_TASK],
            "uninitialised": ["uninitialised", "bug_uninitialised", *THROUGH_THE_TASK],
            "leak": ["777 bytes", "bug_leak", *THROUGH_THE_TASK],
    }.items():
        expect_bug([*VALGRIND_COMMAND, bugs, kind], words)


@proof("unit-valgrind")
def unit_valgrind():
    need("valgrind")
    run_unit_tests(VALGRIND, prefix=[*VALGRIND_COMMAND, QUIET_CHILDREN])


# ---- plain builds ----

@proof("unit-release")
def unit_release():
    run_unit_tests(RELEASE)


@proof("unit-high-water")
def unit_high_water():
    run_unit_tests(GCC)  # POMBAL_DEBUG: measures stacks


@proof("guard-page")
def guard_page():
    status, said = run([RELEASE.program("bugs"), "stack-overflow"])
    if status != -signal.SIGSEGV:
        raise Failed("status %d instead of SIGSEGV: %s" % (status, said[-200:]))


@proof("threads-backend")
def threads_backend():
    run_unit_tests(THREADS)
    expect_clean([THREADS.program("bugs"), "none"])


@proof("figures")
def figures():
    status, said = run([RELEASE.program("figures"), "200000"])
    if status != 0:
        raise Failed(said.strip())
    for line in said.splitlines():
        print("# " + line)


# ---- gdb ----

SUSPENDED = {
    "sleeper": ["task_sleep", "waits_in_sleep", "suspended_sleeper", "task_main"],
    "locker-1": ["task_sleep", "suspended_locker", "task_main"],
    "locker-2": ["task_mutex_lock", "suspended_locker", "task_main"],
    "offloader": ["offload", "suspended_offloader", "task_main"],
    "buggy": ["show_suspended", "buggy_task", "task_main"],
}


def allow_core():
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def start_suspended(directory):
    process = subprocess.Popen([RELEASE.program("bugs"), "suspended"], cwd=directory, text=True,
                               stdout=subprocess.PIPE, preexec_fn=allow_core)
    if process.stdout.readline() != "ready\n":
        process.kill()
        raise Failed("bugs suspended did not get ready")
    time.sleep(0.2)  # until the one who said so is suspended too
    return process


def check_tasks(said):
    blocks = {}
    for block in said.split("\ntask ")[1:]:
        blocks[block.split(" ", 1)[0]] = block
    for name, functions in SUSPENDED.items():
        block = blocks.get(name, "")
        at = [block.find(" %s" % f) for f in functions]
        if -1 in at or at != sorted(at):
            raise Failed("task %s: no frames %s in: %s" % (name, functions, said[-1500:]))
    if "user=u1@example.test doing=sleeping deeply" not in blocks["sleeper"]:
        raise Failed("what the sleeper is doing is missing")


def gdb(*arguments):
    return run(["gdb", "-nx", "-batch", *arguments, "-x", str(ROOT / "tools/gdb/tasks.py"),
                "-ex", "tasks"])[1]


@proof("gdb-live")
def gdb_live():
    need("gdb")
    process = start_suspended(BUILD_ROOT)
    try:
        said = gdb("-p", str(process.pid))
        if "ptrace: Operation not permitted" in said:
            raise Skipped("this machine does not allow ptrace")
        check_tasks(said)
    finally:
        process.kill()
        process.wait()


@proof("gdb-core")
def gdb_core():
    need("gdb")
    with tempfile.TemporaryDirectory(dir=BUILD_ROOT) as directory:
        process = start_suspended(directory)
        process.send_signal(signal.SIGABRT)
        process.wait()
        cores = list(pathlib.Path(directory).glob("*core*"))
        if not cores:
            pattern = pathlib.Path("/proc/sys/kernel/core_pattern").read_text().strip()
            raise Skipped("the kernel put no core file here (core_pattern is %s)" % pattern)
        check_tasks(gdb(RELEASE.program("bugs"), str(cores[0])))


# ---- another processor ----

@proof("aarch64")
def aarch64():
    need("aarch64-linux-gnu-gcc", " (package gcc-aarch64-linux-gnu)")
    qemu = shutil.which("qemu-aarch64") or shutil.which("qemu-aarch64-static")
    if not qemu:
        raise Skipped("qemu-aarch64 is not installed (package qemu-user)")
    run_unit_tests(AARCH64, prefix=[qemu])
    expect_clean([qemu, AARCH64.program("bugs"), "none"])


# ---- soak ----

HEAP_BYTES_MAX = {"plain": 1024, "tls": 20 * 1000}


def make_certificate():
    key, certificate = BUILD_ROOT / "key.pem", BUILD_ROOT / "certificate.pem"
    if not certificate.exists():
        run_tool(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                  "ec_paramgen_curve:P-256", "-nodes", "-keyout", str(key), "-out",
                  str(certificate), "-days", "2", "-subj", "/CN=localhost", "-addext",
                  "subjectAltName=DNS:localhost"])
    return [str(certificate), str(key)]


def soak(configuration, kind, connections, prefix=(), environment=None):
    status, said = run([*prefix, configuration.program("soak"), kind, str(connections),
                        *make_certificate()], environment)
    if status != 0:
        raise Failed(said.strip()[-800:])
    return said


def soak_and_measure(kind):
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if limit < 10200:
        raise Skipped("needs 10,200 descriptors a process, the limit is %d" % limit)
    said = soak(RELEASE, kind, 10000)
    heap = int(said.split("heap ")[1].split()[0])
    print("# " + " ".join(said.split("\n")[:2]))
    if heap > HEAP_BYTES_MAX[kind]:
        raise Failed("%d bytes of heap per parked connection, %d are allowed" % (
            heap, HEAP_BYTES_MAX[kind]))


@proof("soak-plain")
def soak_plain():
    soak_and_measure("plain")


@proof("soak-tls")
def soak_tls():
    soak_and_measure("tls")


@proof("soak-asan")
def soak_asan():
    soak(CLANG_ASAN, "tls", 2000, environment=ASAN)


@proof("soak-valgrind")
def soak_valgrind():
    need("valgrind")
    soak(VALGRIND, "tls", 200, prefix=VALGRIND_COMMAND)


# ---- main ----

def main():
    global BUILD_ROOT
    parser = argparse.ArgumentParser(description="Proofs that tasks work with every tool.")
    parser.add_argument("--build-root", help="where to build (default: a temporary directory)")
    parser.add_argument("--list", action="store_true", help="print the names and end")
    parser.add_argument("names", nargs="*", metavar="NAME", help="default: all")
    arguments = parser.parse_args()
    if arguments.list:
        print("\n".join(PROOFS))
        return 0
    unknown = [n for n in arguments.names if n not in PROOFS]
    if unknown:
        parser.error("no proof %s" % ", ".join(unknown))

    temporary = None
    if arguments.build_root:
        BUILD_ROOT = pathlib.Path(arguments.build_root).resolve()
        shutil.rmtree(BUILD_ROOT, ignore_errors=True)
        BUILD_ROOT.mkdir(parents=True)
    else:
        temporary = tempfile.TemporaryDirectory(prefix="pombal-proofs-")
        BUILD_ROOT = pathlib.Path(temporary.name)
    result = 0
    for name in arguments.names or PROOFS:
        try:
            PROOFS[name]()
            print("ok %s" % name, flush=True)
        except Skipped as reason:
            print("skip %s %s" % (name, reason), flush=True)
        except Failed as reason:
            print("not ok %s %s" % (name, " | ".join(str(reason).split("\n"))), flush=True)
            result = 1
    if temporary:
        temporary.cleanup()
    return result


if __name__ == "__main__":
    sys.exit(main())
