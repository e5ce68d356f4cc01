# SPDX-License-Identifier: Apache-2.0
"""auth_ssl_require_client_cert: a password alone is not enough."""

import atexit
import pathlib
import shutil
import subprocess
import tempfile

from kit.imap import Imap, quote
from kit.sasl import authenticate, plain

FORMS = ("roles", "all-in-one")

HERE = pathlib.Path(tempfile.mkdtemp(prefix="pombal-tls-"))
atexit.register(shutil.rmtree, HERE, True)
HERE.chmod(0o755)


def openssl(*args):
    subprocess.run(["openssl", *args], cwd=HERE, check=True, capture_output=True)


def make(name, subject, *more):
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-days", "30", "-subj", f"/CN={subject}", "-keyout", f"{name}.key", "-out",
            f"{name}.pem", *more)


def make_authority():
    """A CA with a revocation list, in which the client "revoked" stands."""
    make("ca", "a CA of ours")
    for number, name in ((5, "good"), (6, "revoked")):
        make(name, name, "-CA", "ca.pem", "-CAkey", "ca.key", "-set_serial", str(number))
    (HERE / "index.txt").write_text("")
    (HERE / "ca.conf").write_text(
        f"[ca]\ndefault_ca = x\n[x]\ndatabase = {HERE}/index.txt\ndefault_md = sha256\n"
        "default_crl_days = 30\n"
    )
    key = ("-config", "ca.conf", "-keyfile", "ca.key", "-cert", "ca.pem")
    openssl("ca", *key, "-revoke", "revoked.pem")
    openssl("ca", *key, "-gencrl", "-out", "ca.crl")
    both = (HERE / "ca.pem").read_text() + (HERE / "ca.crl").read_text()
    (HERE / "both.pem").write_text(both)


make_authority()
make("stranger", "good")
CONFIG = f"""
ssl_server_request_client_cert = yes
ssl_server_ca_file = {HERE}/both.pem
auth_ssl_require_client_cert = yes
auth_failure_delay = 0
"""


def answers(instance, name):
    tls = instance.tls_context()
    if name:
        tls.load_cert_chain(HERE / f"{name}.pem", HERE / f"{name}.key")
    user = instance.new_user()
    with Imap(instance.host, instance.imaps_port, tls) as c:
        reply = authenticate(c, "PLAIN", plain(user, instance.password)) if name == "good" else None
        if reply is None:
            reply = c.run("LOGIN", quote(user), quote(instance.password))
        return reply.status, reply.text


def test_only_with_a_certificate(instance):
    assert answers(instance, "good")[0] == "OK"
    for name in ("revoked", "stranger"):
        status, text = answers(instance, name)
        assert status == "NO" and b"valid TLS certificate" in _bytes(text), (name, text)
    status, text = answers(instance, None)
    assert status == "NO" and b"TLS certificate" in _bytes(text), text


def _bytes(text):
    return text if isinstance(text, bytes) else text.encode()
