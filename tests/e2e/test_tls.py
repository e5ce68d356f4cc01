# SPDX-License-Identifier: Apache-2.0
"""TLS as clients see it: certificates by name, tickets, versions, certificates of clients, reloads."""

import atexit
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile

from kit.imap import Imap
from kit.sasl import base64_text
from kit.waiting import PATIENCE_S, wait_until

FORMS = ("roles", "all-in-one")

HERE = pathlib.Path(tempfile.mkdtemp(prefix="pombal-tls-"))
atexit.register(shutil.rmtree, HERE, True)


def openssl(*args):
    subprocess.run(["openssl", *args], cwd=HERE, check=True, capture_output=True)


def make(name, subject, *key, signed_by=None):
    """NAME.pem and NAME.key; self-signed, or by a CA made before."""
    extra = ["-CA", f"{signed_by}.pem", "-CAkey", f"{signed_by}.key"] if signed_by else []
    openssl("req", "-x509", "-newkey", *(key or ("ec", "-pkeyopt", "ec_paramgen_curve:P-256")),
            "-nodes", "-days", "30", "-subj", f"/CN={subject}", "-keyout", f"{name}.key",
            "-out", f"{name}.pem", *extra)
    # The instance's programs read them as root or as whoever runs the tests.
    (HERE / f"{name}.key").chmod(0o644)


make("one", "one.example.test")
make("wild", "*.wild.test")
make("rsa", "rsa.example.test", "rsa:2048")
make("ca", "a CA of ours")
HERE.chmod(0o755)
CLIENT_USER = "u150@example.test"
make("client", CLIENT_USER, signed_by="ca")
make("stranger", CLIENT_USER)
openssl("rsa", "-in", "rsa.key", "-aes128", "-passout", "pass:sesame", "-out", "locked.key")
(HERE / "locked.key").chmod(0o644)

CONFIG = f"""
auth_mechanisms = plain login external
ssl_server_request_client_cert = yes
ssl_server_require_crl = no
ssl_server_ca_file = {HERE}/ca.pem
local_name one.example.test {{
  ssl_server_cert_file = {HERE}/one.pem
  ssl_server_key_file = {HERE}/one.key
  login_greeting = This is one.
}}
local_name *.wild.test {{
  ssl_server_cert_file = {HERE}/wild.pem
  ssl_server_key_file = {HERE}/wild.key
  ssl_server_alt_cert_file = {HERE}/rsa.pem
  ssl_server_alt_key_file = {HERE}/rsa.key
  ssl_min_protocol = TLSv1.3
}}
local_name locked.example.test {{
  ssl_server_cert_file = {HERE}/rsa.pem
  ssl_server_key_file = {HERE}/locked.key
  ssl_server_key_password = sesame
}}
"""


def open_context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def connect(instance, name, context=None, session=None):
    sock = socket.create_connection((instance.host, instance.imaps_port), 10)
    try:
        return (context or open_context()).wrap_socket(
            sock, server_hostname=name, session=session
        )
    except BaseException:
        sock.close()
        raise


def shown(instance, name, context=None):
    """The certificate that a client gets who asks for `name`, and the greeting."""
    with connect(instance, name, context) as tls:
        der = tls.getpeercert(binary_form=True)
        return ssl.DER_cert_to_PEM_cert(der), tls.recv(4096)


def pem_of(name):
    text = (HERE / f"{name}.pem").read_text()
    return text[text.index("-----BEGIN") :]


def test_certificates_by_name(instance):
    default = shown(instance, "unknown.example.test")[0]
    own = pathlib.Path(instance.values["CA_FILE"]).parent / "server.pem"
    assert default.strip() in own.read_text()
    assert shown(instance, None)[0] == default  # no name at all
    assert shown(instance, "x" * 60 + ".test")[0] == default
    assert shown(instance, "one.example.test")[0] == pem_of("one")
    assert shown(instance, "ONE.example.test")[0] == pem_of("one")
    assert shown(instance, "a.wild.test")[0] == pem_of("wild")
    assert shown(instance, "locked.example.test")[0] == pem_of("rsa")


def test_settings_by_name(instance):
    assert b"This is one." in shown(instance, "one.example.test")[1]
    assert b"This is one." not in shown(instance, "other.example.test")[1]
    old = open_context()
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    assert shown(instance, "one.example.test", old)[0] == pem_of("one")
    try:
        shown(instance, "a.wild.test", old)
    except ssl.SSLError:
        return
    raise AssertionError("TLS 1.2 where TLS 1.3 is the least")


def test_the_second_certificate_is_for_those_who_cannot_take_the_first(instance):
    command = ["openssl", "s_client", "-connect", f"{instance.host}:{instance.imaps_port}",
               "-servername", "a.wild.test", "-sigalgs", "RSA-PSS+SHA256:RSA+SHA256"]
    done = subprocess.run(command, input=b"", capture_output=True, timeout=PATIENCE_S, check=False)
    assert b"CN = rsa.example.test" in done.stdout + done.stderr, done


def resume(instance, version, rounds):
    """How many connections resumed the first one's session."""
    context = open_context()
    context.minimum_version = context.maximum_version = version
    with connect(instance, "localhost", context) as tls:
        tls.recv(4096)  # with it comes the ticket
        session = tls.session
    resumed = 0
    for _ in range(rounds):
        with connect(instance, "localhost", context, session) as tls:
            tls.recv(4096)
            resumed += tls.session_reused
    return resumed


def test_sessions_are_resumed_in_every_process(instance):
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        assert resume(instance, version, 8) == 8, version


def test_sessions_are_not_resumed_under_another_name(instance):
    context = open_context()
    with connect(instance, "localhost", context) as tls:
        tls.recv(4096)
        session = tls.session
    with connect(instance, "one.example.test", context, session) as tls:
        tls.recv(4096)
        assert not tls.session_reused


def external(instance, name):
    context = open_context()
    if name:
        context.load_cert_chain(HERE / f"{name}.pem", HERE / f"{name}.key")
    with Imap(instance.host, instance.imaps_port, context) as c:
        (line,) = c.do("CAPABILITY").all("CAPABILITY")
        is_offered = b"AUTH=EXTERNAL" in line
        reply = c.run("AUTHENTICATE EXTERNAL", base64_text("") or "=")
        return is_offered, reply.status


def test_a_clients_certificate_is_his_name(instance):
    assert external(instance, "client") == (True, "OK")
    # A certificate that nobody of ours signed is no certificate; the handshake stands all the same.
    assert external(instance, "stranger") == (False, "NO")
    assert external(instance, None) == (False, "NO")


def test_what_was_said_before_tls_is_not_heard(instance):
    """RFC 8314 §6; the connection ends."""
    sock = socket.create_connection((instance.host, instance.imap_port), 10)
    with sock:
        sock.recv(4096)
        sock.sendall(b"a STARTTLS\r\nb NOOP\r\n")
        heard = b""
        while chunk := sock.recv(4096):
            heard += chunk
        assert heard.startswith(b"a OK") and b"b " not in heard, heard


def test_no_renegotiation(instance):
    command = ["openssl", "s_client", "-connect", f"{instance.host}:{instance.imaps_port}",
               "-tls1_2", "-crlf"]
    child = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    # The greeting comes first: a client that renegotiates while it is under way fails at that instead.
    out = b""
    while b"* OK" not in out:
        chunk = os.read(child.stdout.fileno(), 4096)
        assert chunk, out
        out += chunk
    child.stdin.write(b"R\n")
    child.stdin.flush()
    rest, _ = child.communicate(timeout=PATIENCE_S)
    out += rest
    assert b"no renegotiation" in out or b"unexpected message" in out or b"alert" in out, out
    assert b"Compression: NONE" in out, out


def reload(instance):
    os.kill(instance.pid, signal.SIGHUP)


def test_reload_brings_new_certificates_and_keeps_tickets(instance):
    if instance.is_all_in_one:
        return  # that form is for tests and does not reload
    context = open_context()
    with connect(instance, "localhost", context) as tls:
        tls.recv(4096)
        session = tls.session
    before = pem_of("one")
    make("one", "one.example.test")
    assert pem_of("one") != before
    reload(instance)
    wait_until(lambda: shown(instance, "one.example.test")[0] == pem_of("one"), "the new certificate is shown")
    with connect(instance, "localhost", context, session) as tls:
        tls.recv(4096)
        assert tls.session_reused


def test_a_key_that_does_not_belong_changes_nothing(instance):
    if instance.is_all_in_one:
        return
    shutil.copy(HERE / "one.key", HERE / "kept.key")
    shutil.copy(HERE / "wild.key", HERE / "one.key")
    try:
        reload(instance)
        instance.wait_for_log("the private key does not belong to the certificate")
        instance.wait_for_log("one.example.test")
        assert shown(instance, "one.example.test")[0] == pem_of("one")
    finally:
        shutil.copy(HERE / "kept.key", HERE / "one.key")
