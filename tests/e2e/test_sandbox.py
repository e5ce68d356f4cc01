# SPDX-License-Identifier: Apache-2.0
"""Walls around the processes, seen from outside: what the kernel says about them, what a debugger can make
them do, and what is left of one that crashes."""

import os
import re
import signal
import subprocess

from kit.lmtp import Lmtp
from kit.testenv import Skip, need_program
from kit.waiting import PATIENCE_S

FORMS = ("roles",)


def status_of(pid):
    lines = open(f"/proc/{pid}/status", encoding="ascii").read().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def test_every_process_is_filtered_and_has_no_rights(instance):
    for pid, role in instance.processes():
        status = status_of(pid)
        assert status["Seccomp"] == "2" and status["NoNewPrivs"] == "1", (role, status)
        assert int(status["CapPrm"], 16) == int(status["CapEff"], 16) == 0, (role, status)


def test_login_has_a_root_directory_of_its_own(instance):
    if os.geteuid() != 0:
        raise Skip("chroot takes root")
    for pid in instance.pids_of("login"):
        root = os.readlink(f"/proc/{pid}/root")
        assert root == str(instance.dir / "run" / "ipc"), root
        for path in os.listdir(root):
            assert os.path.exists(f"{root}/{path}") and not os.path.isfile(f"{root}/{path}"), path


def called(pid, expression):
    """What the process answers when a debugger makes it call a function: as code of an attacker would."""
    gdb = need_program("gdb")
    command = [gdb, "-q", "-nx", "-batch", "-p", str(pid), "-ex", f"print (int){expression}",
               "-ex", "print *(int *)__errno_location()"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=2 * PATIENCE_S, check=False)
    values = re.findall(r"^\$\d+ = (-?\d+)", done.stdout, re.M)
    return values, done.stdout + done.stderr


def test_login_cannot_open_files_or_leave_the_host(instance):
    if os.geteuid() != 0:
        raise Skip("attaching takes root")
    pid = instance.settled("login")[0]
    for expression in ('((int(*)(const char*,int))open)("/etc/passwd", 0)',
                       '((int(*)(const char*,int))open)("../../../../etc/passwd", 0)',
                       '((int(*)(const char*,int))open)(".", 0)',
                       "((int(*)(int,int,int))socket)(2, 1, 0)"):
        values, text = called(pid, expression)
        assert values and values[0] == "-1", (expression, text)
    instance.imap(instance.new_user()).logout()


def test_a_forbidden_call_ends_the_process_and_is_reported(instance):
    if os.geteuid() != 0:
        raise Skip("attaching takes root")
    pid = instance.settled("login")[0]
    called(pid, f"((int(*)(int,int))kill)({instance.pid}, 0)")
    line = instance.wait_for_log(f"child {pid} killed with signal 31 ")[0]
    number = {"x86_64": 62, "aarch64": 129}[os.uname().machine]
    assert f"system call {number} is not allowed in the sandbox" in line, line
    instance.imap_again(instance.new_user()).logout()


def test_a_crash_is_told_with_names_of_functions(instance):
    for role in ("mail", "login"):
        pid = instance.settled(role)[-1]
        os.kill(pid, signal.SIGSEGV)
        line = instance.wait_for_log(f"service({role}): child {pid} killed with signal 11 ")[0]
        frames = r"build [0-9a-f]{40}: .*loop_run\+0x[0-9a-f]+ < .*main\+0x"
        assert re.search(frames, line), line
    instance.imap_again(instance.new_user()).logout()


def test_everything_still_works_inside(instance):
    """Spooled mail in a file, TLS, relays: what the walls must not hinder."""
    user = instance.new_user()
    big = b"Subject: big\r\n\r\n" + b"x" * 70 + b"\r\n"
    big += (b"y" * 70 + b"\r\n") * 60000
    with Lmtp((instance.host, instance.lmtp_port)) as lmtp:
        lmtp.deliver(big, user)
    with instance.imap(user) as session:
        assert session.select().exists == 1
