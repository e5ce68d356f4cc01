#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Starts and stops one instance of the platform in a directory of its own; ./run calls this.

What is below DIR:
    pombal.conf     the generated configuration; edit FILE of --config, not this
    instance.env    how to reach the instance, for shells and tests
    users           passwd-file of its users
    ssl/            certificate of the authority that clients trust, of the server, its key
    log/            pombal.log, and console.log of a detached master
    run/            sockets
    spool/          big mails that are coming in
    state/          the mail: catalog, objects, local indexes
Nothing outside DIR is written, except, as root, the system users that the roles run as."""

import argparse
import os
import pathlib
import pwd
import secrets
import select
import shlex
import shutil
import signal
import smtplib
import stat
import subprocess
import sys
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
DOMAIN = "example.test"
DEFAULT_PORT_BASE = 14300
# A port of a part that does not exist yet stays reserved and is empty in instance.env.
PORTS = ["IMAP", "IMAPS", "POP3", "POP3S", "LMTP", "SUBMISSION", "SIEVE", "HTTP", "METRICS"]
SERVED_PORTS = {"IMAP", "IMAPS", "LMTP"}
SYSTEM_USERS = ["dovenull", "dovecot", "vmail"]
START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 30
SOCKET_PATH_MAX = 107
SOCKET_NAME_MAX = 20


class Failure(Exception):
    """Told to the user as one line."""


# ---- the directory


class Home:
    """Paths of one instance."""

    def __init__(self, folder):
        self.dir = pathlib.Path(folder).resolve()
        self.config = self.dir / "pombal.conf"
        self.env = self.dir / "instance.env"
        self.users = self.dir / "users"
        self.ssl = self.dir / "ssl"
        self.log = self.dir / "log"
        self.run = self.dir / "run"
        self.state = self.dir / "state"
        self.spool = self.dir / "spool"
        self.welcomed = self.dir / ".welcomed"

    def read_env(self):
        """The values of instance.env; empty if there is none."""
        if not self.env.exists():
            return {}
        pairs = [shlex.split(line)[0].partition("=") for line in self.env.read_text().splitlines()]
        return {key: value for key, _, value in pairs}

    def running_pid(self):
        """The master's process, if it is one of this directory and runs; else None."""
        pid = self.read_env().get("PID")
        if not pid:
            return None
        try:
            command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return None
        return int(pid) if str(self.config).encode() in command else None


def role_users():
    """(login user, internal user, mail user, mail group) that the roles run as."""
    if os.geteuid() == 0:
        return "dovenull", "dovecot", "vmail", "vmail"
    me = pwd.getpwuid(os.geteuid()).pw_name
    group = subprocess.check_output(["id", "-gn"], text=True).strip()
    return me, me, me, group


def create_system_users():
    for name in SYSTEM_USERS:
        try:
            pwd.getpwnam(name)
        except KeyError:
            print(f"==> Creating the system user {name}")
            subprocess.run(
                ["useradd", "--system", "--user-group", "--no-create-home"]
                + ["--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin", name],
                check=True,
            )


def check_reachable(folder):
    """Roles that run as other users must be able to enter every parent of `folder`."""
    for parent in reversed(folder.parents):
        if not stat.S_IMODE(parent.stat().st_mode) & stat.S_IXOTH:
            raise Failure(
                f"{parent} may only be entered by its owner, but the roles run as users of their "
                f"own.\n    Use --dir with a directory elsewhere (--dir /srv/pombal), or: "
                f"chmod o+x {parent}"
            )


def make_directories(home):
    home.dir.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0:
        home.dir.chmod(0o755)
    for folder in (home.ssl, home.log, home.run):
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)
    _, _, mail, group = role_users()
    for folder in (home.state, home.spool):
        folder.mkdir(exist_ok=True)
        folder.chmod(0o700)
    if os.geteuid() == 0:
        shutil.chown(home.state, mail, group)  # the spool goes to the login user: the master's business
    if len(str(home.run)) + 1 + SOCKET_NAME_MAX > SOCKET_PATH_MAX:
        raise Failure(f"{home.run} is too long for the paths of UNIX sockets; use a shorter --dir")


# ---- certificate, users, configuration


def make_certificates(home):
    """An authority and a server certificate for localhost, once."""
    if (home.ssl / "server.pem").exists():
        return
    authority = ["-CA", home.ssl / "ca.pem", "-CAkey", home.ssl / "ca.key"]
    for name, subject, extensions, signer in (
        ("ca", "/CN=Pombal test authority", ["basicConstraints=critical,CA:TRUE"], []),
        (
            "server",
            "/CN=localhost",
            [f"subjectAltName=DNS:localhost,IP:{HOST}", "basicConstraints=critical,CA:FALSE"],
            authority,
        ),
    ):
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-nodes", "-days", "3650"]
        command += ["-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", subject]
        command += ["-keyout", home.ssl / f"{name}.key", "-out", home.ssl / f"{name}.pem"]
        for extension in extensions:
            command += ["-addext", extension]
        subprocess.run(command + signer, check=True, stderr=subprocess.DEVNULL)
        (home.ssl / f"{name}.key").chmod(0o600)


def write_users(home, count, password):
    """All users have the same password and the same hash of it: thousands are made at once."""
    hashed = subprocess.run(
        ["openssl", "passwd", "-6", "-stdin"],
        input=password, text=True, capture_output=True, check=True,
    ).stdout.strip()
    lines = [f"u{i}@{DOMAIN}:{{SHA512-CRYPT}}{hashed}::::::\n" for i in range(1, count + 1)]
    home.users.write_text("".join(lines))
    home.users.chmod(0o640 if os.geteuid() == 0 else 0o600)
    if os.geteuid() == 0:
        shutil.chown(home.users, "root", "dovecot")


def config_text(home, ports, extra):
    login, internal, mail, group = role_users()
    text = f"""\
# Written by ./run; every start overwrites it.
!include {TOP}/docs/default.conf

base_dir = {home.run}
state_dir = {home.state}
mail_temp_dir = {home.spool}
log_path = {home.log}/pombal.log
listen = {HOST}

default_login_user = {login}
default_internal_user = {internal}
default_internal_group = {internal if os.geteuid() == 0 else group}
mail_uid = {mail}
mail_gid = {group}

ssl_server_cert_file = {home.ssl}/server.pem
ssl_server_key_file = {home.ssl}/server.key

passdb passwd-file {{
  passwd_file_path = {home.users}
}}

service imap-login {{
  inet_listener imap {{
    port = {ports["IMAP"]}
  }}
  inet_listener imaps {{
    port = {ports["IMAPS"]}
    ssl = yes
  }}
}}
service lmtp {{
  unix_listener lmtp {{
    mode = 0666
  }}
  inet_listener lmtp {{
    port = {ports["LMTP"]}
  }}
}}
"""
    for path in extra:
        text += f"\n!include {path}\n"
    return text


def write_env(home, pid, ports, users, password):
    values = {"PID": pid, "HOST": HOST}
    values.update({f"{name}_PORT": ports[name] if name in SERVED_PORTS else "" for name in PORTS})
    values.update({
        "USERS": users,
        "USER_FMT": f"u%d@{DOMAIN}",
        "PASSWORD": password,
        "CONFIG": home.config,
        "CA_FILE": home.ssl / "ca.pem",
    })
    temporary = home.env.with_suffix(".new")
    temporary.write_text("".join(f"{k}={shlex.quote(str(v))}\n" for k, v in values.items()))
    temporary.chmod(0o600)
    temporary.replace(home.env)


# ---- start


def find_program(build):
    for path in (build / "pombal", build / "src/main/pombal"):
        if path.exists():
            return path
    raise Failure(f"there is no program pombal in {build}")


def spawn_master(home, program, is_detached, is_all_in_one):
    """Starts the master; returns (process, descriptor that tells READY)."""
    ready_read, ready_write = os.pipe()
    command = [program, "-c", home.config, "-F", "--ready-fd", str(ready_write)]
    if is_all_in_one:
        command.append("--all-in-one")
    console = open(home.log / "console.log", "ab") if is_detached else None
    process = subprocess.Popen(
        command,
        pass_fds=[ready_write],
        stdin=subprocess.DEVNULL,
        stdout=console,
        stderr=console,
        cwd=home.dir,
        start_new_session=is_detached,
    )
    os.close(ready_write)
    if console:
        console.close()
    return process, ready_read


def wait_ready(home, process, ready_fd, seconds):
    deadline = time.monotonic() + seconds
    said = b""
    while time.monotonic() < deadline:
        if select.select([ready_fd], [], [], 0.2)[0]:
            data = os.read(ready_fd, 64)
            said += data
            if b"READY\n" in said:
                os.close(ready_fd)
                return
            if not data:
                break
        if process.poll() is not None:
            break
    if process.poll() is None:
        process.kill()
        process.wait()
    raise Failure(f"it did not start to serve (see below, and {home.log})\n{log_tails(home)}")


def log_tails(home):
    out = []
    for name in ("console.log", "pombal.log"):
        path = home.log / name
        if path.exists():
            out += path.read_text(errors="replace").splitlines()[-15:]
    return "\n".join("    " + line for line in out)


WELCOME = """\
From: Pombal <postmaster@{domain}>\r
To: {user}\r
Subject: Welcome to Pombal\r
Date: {date}\r
Message-ID: <welcome.{stamp}@{domain}>\r
MIME-Version: 1.0\r
Content-Type: text/plain; charset=utf-8\r
\r
This mail came in by LMTP, is stored as an immutable object, and reached\r
you by IMAP. Whatever you do with it now, your mail platform works.\r
"""


def deliver_welcome(home, ports):
    """The first mail to read, once in the life of an instance."""
    if home.welcomed.exists():
        return
    user = f"u1@{DOMAIN}"
    date = time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime())
    mail = WELCOME.format(domain=DOMAIN, user=user, date=date, stamp=int(time.time()))
    try:
        with smtplib.LMTP(HOST, ports["LMTP"], timeout=30) as lmtp:
            lmtp.sendmail(f"postmaster@{DOMAIN}", [user], mail)
    except smtplib.SMTPException as e:
        raise Failure(f"it serves, but cannot take a mail: {e} (see below, and {home.log})\n{log_tails(home)}")
    home.welcomed.touch()


def print_how_to_connect(home, ports, users, password):
    user = f"u1@{DOMAIN}"
    ca = home.ssl / "ca.pem"
    print(f"""
Pombal serves.

  Users      {user} ... u{users}@{DOMAIN}
  Password   {password}

  Read the first mail with curl:
    curl --cacert {ca} -u {user}:{password} 'imaps://localhost:{ports["IMAPS"]}/INBOX;MAILINDEX=1'

  With mutt:
    mutt -e 'set ssl_ca_certificates_file={ca}' -e 'set imap_pass={password}' \\
      -f 'imaps://{user}@localhost:{ports["IMAPS"]}/INBOX'

  With Thunderbird: incoming server IMAP, host localhost, port {ports["IMAPS"]}, SSL/TLS,
    normal password, user name {user}; accept the certificate, or import
    {ca} as an authority.

  Deliver a mail (Debian package swaks):
    swaks --protocol LMTP --server {HOST}:{ports["LMTP"]} --to {user}

  Logs       {home.log}
  Settings   {home.config}
  Values     {home.env}""", flush=True)


def start(args):
    check(args)
    home = Home(args.dir)
    program = find_program(pathlib.Path(args.build).resolve())
    ports = {name: args.port_base + i for i, name in enumerate(PORTS)}
    if os.geteuid() == 0:
        create_system_users()
    make_directories(home)
    make_certificates(home)
    password = home.read_env().get("PASSWORD") or secrets.token_urlsafe(9).replace("-", "x")
    write_users(home, args.users, password)
    extra = [pathlib.Path(path).resolve() for path in args.config]
    home.config.write_text(config_text(home, ports, extra))

    process, ready_fd = spawn_master(home, program, args.detach, args.all_in_one)
    try:
        write_env(home, process.pid, ports, args.users, password)
        wait_ready(home, process, ready_fd, START_TIMEOUT_S)
        deliver_welcome(home, ports)
    except BaseException:
        process.kill()
        process.wait()
        raise
    if args.detach:
        print(f"Pombal serves in {home.dir}; its values: {home.env}")
        return 0
    print_how_to_connect(home, ports, args.users, password)
    print("\nIt runs until you press Ctrl-C.", flush=True)
    return run_until_told(process)


def run_until_told(process):
    """Passes SIGINT and SIGTERM on as a clean stop; the exit code is the master's."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: process.send_signal(signal.SIGTERM))
    signal.signal(signal.SIGHUP, lambda *_: process.send_signal(signal.SIGHUP))
    return process.wait()


# ---- stop


def stop(args):
    home = Home(args.dir)
    pid = home.running_pid()
    if pid is None:
        print(f"No instance runs in {home.dir}")
        return 0
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while time.monotonic() < deadline:
        if home.running_pid() is None or is_zombie(pid):
            print(f"Stopped the instance in {home.dir}")
            return 0
        time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
    raise Failure(f"process {pid} did not stop within {STOP_TIMEOUT_S} s and was killed")


def is_zombie(pid):
    try:
        return ") Z" in pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True


def check(args):
    """What can be said before a build that takes a minute."""
    home = Home(args.dir)
    if home.running_pid():
        raise Failure(f"an instance runs in {home.dir} already; stop it: ./run --stop --dir {args.dir}")
    if os.geteuid() == 0:
        check_reachable(home.dir)
    for path in args.config:
        if not pathlib.Path(path).is_file():
            raise Failure(f"--config: there is no file {path}")
    return 0


ACTIONS = {"check": check, "start": start, "stop": stop}


def main():
    parser = argparse.ArgumentParser(prog="instance.py")
    parser.add_argument("action", choices=list(ACTIONS))
    parser.add_argument("--dir", default=TOP / "var")
    parser.add_argument("--build", default=TOP / "build")
    parser.add_argument("--port-base", type=int, default=DEFAULT_PORT_BASE)
    parser.add_argument("--users", type=int, default=3)
    parser.add_argument("--config", action="append", default=[])
    parser.add_argument("--detach", action="store_true")
    parser.add_argument("--all-in-one", action="store_true")
    args = parser.parse_args()
    try:
        return ACTIONS[args.action](args)
    except Failure as e:
        print(f"run: {e}", file=sys.stderr)
        return 1
    except (OSError, subprocess.CalledProcessError, smtplib.SMTPException) as e:
        print(f"run: {type(e).__name__}: {e}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
