# SPDX-License-Identifier: Apache-2.0
"""A running instance of the platform, started by ./run in a directory of its own."""

import itertools
import os
import pathlib
import random
import shlex
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile

from .doveadm import table
from .imap import Imap
from .lmtp import Lmtp
from .storage import Storage
from .waiting import PATIENCE_S, wait_for_success, wait_until

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
PORTS_OF_AN_INSTANCE = 9


class InstanceError(Exception):
    pass


def new_folder():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="pombal-test-"))
    folder.chmod(0o755)
    return folder


def free_port_base():
    """First of a run of ports on which nobody listens; below the ephemeral range."""
    for _ in range(200):
        base = random.randrange(15000, 30000)
        if all(_is_free(base + i) for i in range(PORTS_OF_AN_INSTANCE)):
            return base
    raise InstanceError("no free ports")


def _is_free(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


class Instance:
    def __init__(self, folder, is_owned, build=None, is_all_in_one=False):
        self.dir = pathlib.Path(folder)
        self.is_owned = is_owned
        self.build = build
        self.is_all_in_one = is_all_in_one
        self.extra_config = None
        self.storage = Storage()
        self.environment = None
        self.on_destroy = []  # called when everything has ended, before the directory goes
        self.other_dir = None  # of move()
        self._next_user = itertools.count(2)

    # ---- life

    @classmethod
    def create(cls, build=TOP / "build", is_all_in_one=False, users=200, config="", env=None, prepare=None, storage=None):
        """Makes a directory and starts an instance there; `config` is added to its settings;
        `prepare` gets the instance before its first start; `storage` says where its mails are."""
        folder = new_folder()
        self = cls(folder, True, pathlib.Path(build), is_all_in_one)
        self.user_count = users
        self.environment = env
        self.port_base = free_port_base()
        if config:
            self.extra_config = folder / "extra.conf"
            self.extra_config.write_text(config)
        self.storage = storage or Storage()
        try:
            if not self.storage.is_local:
                (folder / "storage.conf").write_text(self.storage.settings(folder))
                self.storage.prepare(self.build, folder)
            if prepare:
                prepare(self)
            self._start_first()
        except BaseException:
            self.destroy()
            raise
        return self

    @classmethod
    def attach(cls, folder):
        """An instance that somebody else runs; it is never stopped here."""
        self = cls(folder, False)
        self._read_env()
        return self

    def start(self):
        command = [TOP / "run", "--dir", self.dir, "--build", self.build, "--detach"]
        command += ["--port-base", str(self.port_base), "--users", str(self.user_count)]
        if self.is_all_in_one:
            command.append("--all-in-one")
        command += self.storage_options()
        if self.extra_config:
            command += ["--config", self.extra_config]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=120, env=self._full_environment()
        )
        if done.returncode != 0:
            raise InstanceError(f"./run failed: {done.stdout}{done.stderr}")
        self._read_env()

    def _start_first(self):
        """Between the choice of ports and the start somebody else may take one of them."""
        for attempts_left in (2, 1, 0):
            try:
                return self.start()
            except InstanceError as e:
                if "Address already in use" not in str(e) or not attempts_left:
                    raise
                self.port_base = free_port_base()

    def storage_options(self):
        """Of ./run: the file that says where the mails are."""
        return [] if self.storage.is_local else ["--config", self.dir / "storage.conf"]

    def _full_environment(self):
        full = dict(os.environ)
        # A leak is reported at exit, any other finding ends the process: both fail the test.
        full.setdefault("ASAN_OPTIONS", "detect_leaks=1:abort_on_error=0")
        full.setdefault("UBSAN_OPTIONS", "print_stacktrace=1:halt_on_error=1")
        full.update(self.environment or {})
        return full

    def _read_env(self):
        text = (self.dir / "instance.env").read_text()
        pairs = [shlex.split(line)[0].partition("=") for line in text.splitlines()]
        values = {key: value for key, _, value in pairs}
        self.pid = int(values["PID"])
        self.host = values["HOST"]
        self.imap_port = int(values["IMAP_PORT"])
        self.imaps_port = int(values["IMAPS_PORT"])
        self.lmtp_port = int(values["LMTP_PORT"])
        self.user_count = int(values["USERS"])
        self.user_format = values["USER_FMT"]
        self.password = values["PASSWORD"]
        self.config = pathlib.Path(values["CONFIG"])
        self.ca_file = values["CA_FILE"]
        self.values = values

    def stop(self):
        """A clean stop; whatever is not clean about it fails the test."""
        done = subprocess.run(
            [TOP / "run", "--stop", "--dir", self.dir], capture_output=True, text=True, timeout=120
        )
        if done.returncode != 0:
            raise InstanceError(f"./run --stop failed: {done.stdout}{done.stderr}")

    def restart(self):
        self.stop()
        self.start()

    def kill(self):
        """kill -9 of everything at once, as at the end of a machine's life (but for its cache). All stand
        still first: children whose master goes before them would close what they have open."""
        pids = self.freeze()
        for pid in pids:
            kill_process(pid)
        wait_until(lambda: not any(is_running(pid) for pid in pids), "killed processes have gone")

    def is_serving(self):
        """Its master lives."""
        return _is_ours(self.pid, self.dir) and is_running(self.pid)

    def freeze(self):
        """Everything stands still, as when a host is paused; thaw() lets it go on. Who that is. The master
        first, so that nobody is started meanwhile."""
        kill_process(self.pid, signal.SIGSTOP)
        children = [pid for pid, _ in self.processes()]
        for pid in children:
            kill_process(pid, signal.SIGSTOP)
        return [self.pid, *children]

    def thaw(self):
        """The master last, so that it finds its children alive."""
        for pid in (*(pid for pid, _ in self.processes()), self.pid):
            kill_process(pid, signal.SIGCONT)

    def move(self):
        """As if another host takes its users over: another directory and name, the same clouds. From the
        second time on it comes back to what the host before last had. It must not run; start() then."""
        old, self.dir = self.dir, self.other_dir or new_folder()
        if not self.other_dir:
            (self.dir / ".welcomed").touch()
            text = self.extra_config.read_text() if self.extra_config else ""
            (self.dir / "extra.conf").write_text(f"{text}hostname = {self.dir.name}\n")
            (self.dir / "storage.conf").write_text(self.storage.settings(self.dir))
        self.other_dir = old
        self.extra_config = self.dir / "extra.conf"

    def destroy(self):
        """Ends whatever runs and removes the directory."""
        if not self.is_owned:
            return
        if (self.dir / "instance.env").exists() and not hasattr(self, "pid"):
            self._read_env()
        if hasattr(self, "pid") and _is_ours(self.pid, self.dir):
            self.kill()
        for clean_up in self.on_destroy:
            clean_up()
        for folder in (self.dir, self.other_dir):
            if folder:
                shutil.rmtree(folder, ignore_errors=True)

    # ---- looking at it

    def processes(self):
        """[(pid, role)] of the master's children; role as in `--role mail`."""
        out = []
        for pid in _children(self.pid):
            out.append((pid, _role(pid)))
        return out

    def pids_of(self, role):
        return [pid for pid, name in self.processes() if name == role]

    def settled(self, role):
        """The processes of the role, once each of them serves: none is starting or leaving."""
        def look():
            rows = [row for row in self.process_table() if row["name"] == role]
            pids = sorted(int(row["pid"]) for row in rows)
            is_settled = pids and pids == sorted(self.pids_of(role)) and all(row["state"] == "serving" for row in rows)
            return pids if is_settled else None

        return wait_until(look, lambda: f"every process of {role} serves: {self.process_table()}")

    def process_table(self):
        """What doveadm process status tells, a dictionary a process."""
        return table(self.doveadm("process", "status"))

    def doveadm(self, *words, config=None, **options):
        """A finished process."""
        return subprocess.run(
            [self.build / "doveadm", "-c", config or self.config, *words],
            **{"capture_output": True, "text": True, "timeout": 2 * PATIENCE_S, **options},
        )

    def problems(self):
        """Lines of the logs that no healthy run has: failed checks, findings, errors."""
        bad = ("AddressSanitizer", "LeakSanitizer", "runtime error:", "ASSERT", "assertion",
               "Panic", "Fatal")
        out = []
        folders = [self.dir, *([self.other_dir] if self.other_dir else [])]
        for path in sorted(path for folder in folders for path in (folder / "log").glob("*")):
            lines = path.read_text(errors="replace").splitlines()
            for i, line in enumerate(lines):
                if any(word in line for word in bad):
                    out.append(f"{path.name}: {line}")
                    if "==ERROR" in line:  # the report that follows
                        out += lines[i + 1 : i + 25]
        return out

    def log_text(self):
        path = self.dir / "log" / "pombal.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def wait_for_log(self, words, after=0):
        """Lines of the log, from character `after` on, in which the words or the compiled pattern are; as
        soon as there is one."""
        is_in = words.search if hasattr(words, "search") else lambda line: words in line

        def look():
            return [line for line in self.log_text()[after:].splitlines() if is_in(line)]

        return wait_until(look, lambda: f"{words} in the log: {self.log_text()[-2000:]}")

    # ---- clients

    def user(self, number):
        return self.user_format % number

    def new_user(self):
        """A user whom nobody else in this run has used."""
        number = next(self._next_user)
        if number > self.user_count:
            raise InstanceError("out of fresh users; start the instance with more")
        return self.user(number)

    def tls_context(self):
        return ssl.create_default_context(cafile=self.ca_file)

    def connect(self, is_tls=True, timeout=PATIENCE_S):
        port = self.imaps_port if is_tls else self.imap_port
        return Imap(self.host, port, self.tls_context() if is_tls else None, timeout)

    def imap(self, user, timeout=PATIENCE_S):
        client = self.connect(timeout=timeout)
        client.login(user, self.password)
        return client

    def imap_again(self, user):
        """A session, as soon as one can be had."""
        return wait_for_success(lambda: self.imap(user), f"{user} logs in")

    def lmtp(self, **options):
        return Lmtp((self.host, self.lmtp_port), **options)

    def deliver(self, mail, *users):
        with self.lmtp() as client:
            return client.deliver(mail, *users)


# ---- processes


def _children(pid):
    """All descendants, parents first."""
    parents = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    out = []
    queue = [pid]
    while queue:
        for child in sorted(parents.get(queue.pop(0), [])):
            out.append(child)
            queue.append(child)
    return out


def _role(pid):
    try:
        words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    except OSError:
        return ""
    return words[words.index("--role") + 1] if "--role" in words else ""


def _is_ours(pid, folder):
    try:
        return str(folder).encode() in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def is_running(pid):
    """Not gone, and not only waiting for its parent to take notice."""
    try:
        return ") Z" not in pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def kill_process(pid, number=signal.SIGKILL):
    """The signal, to somebody who may be gone."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
