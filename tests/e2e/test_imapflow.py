# SPDX-License-Identifier: Apache-2.0
"""imapflow (Node.js): what a modern webmail or mail API does; the script is imapflow.mjs."""

import json
import os
import pathlib
import subprocess

from kit import mails
from kit.testenv import Skip, need_program, npm_package

FORMS = ("roles", "all-in-one")
NODE_MIN = 18


def test_session(instance):
    node = need_program("node")
    version = subprocess.check_output([node, "--version"], text=True).strip()
    if int(version.lstrip("v").split(".")[0]) < NODE_MIN:
        raise Skip(f"node is {version}, imapflow wants {NODE_MIN}")
    package = npm_package("imapflow")
    user = instance.new_user()
    for i in range(5):
        instance.deliver(mails.small(f"flow {i}", f"text {i}\r\n"), user)
    environment = dict(
        os.environ,
        IMAPFLOW=str(package / "node_modules" / "imapflow" / "lib" / "imap-flow.js"),
        CA_FILE=instance.ca_file,
        IMAPS_PORT=str(instance.imaps_port),
        LMTP_PORT=str(instance.lmtp_port),
        MAIL_USER=user,
        PASSWORD=instance.password,
    )
    script = pathlib.Path(__file__).parent / "imapflow.mjs"
    done = subprocess.run(
        ["timeout", "100", node, script], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-1000:]
    steps = json.loads(done.stdout.splitlines()[-1])
    assert len(steps) >= 10, steps
