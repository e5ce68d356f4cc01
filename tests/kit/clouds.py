#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The servers of other people that the tests need, started once per run and shared.

`Clouds` starts what can be started; what cannot is told with its reason. Its environment is how
everyone finds them: C contract tests (meson), kit/instance.py, faults. By hand:

    tests/kit/clouds.py serve DIR     starts them, writes DIR/clouds.env, serves until it is ended
    . DIR/clouds.env                  in the shell that runs meson test or kit/run_file.py

    POMBAL_TEST_CQL         host:port of a Cassandra without TLS and passwords
    POMBAL_TEST_CQL_TLS     user:password@host:port of one with both
    POMBAL_TEST_S3          URL of a bucket with access key and secret key
    POMBAL_TEST_S3_TLS      the same by https
    POMBAL_TEST_AZURE       URL of a container with account and key
    POMBAL_TEST_AZURE_TLS   the same by https
    POMBAL_TEST_ENTRA       URL of an emulator of Entra whose tokens Azurite by https takes (kit/entra.py)
    POMBAL_TEST_AZURE_CLIENT  POMBAL_TEST_AZURE_TLS with Entra's client and its secret
    POMBAL_TEST_SPROXYD     URL of an emulator of sproxyd
    POMBAL_TEST_SPROXYD_TLS the same by https
    POMBAL_TEST_IMDS        URL of an emulator of what gives out keys for S3 (kit/imds.py)
    POMBAL_TEST_CA          file with the authority of all certificates here"""

import argparse
import pathlib
import shlex
import signal
import sys

if __package__ in (None, ""):
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from kit.azurite import Azurite  # noqa: E402
from kit.cassandra import PASSWORD, USER, Cluster  # noqa: E402
from kit import entra  # noqa: E402
from kit.entra import Entra  # noqa: E402
from kit.imds import Imds  # noqa: E402
from kit.s3 import Minio  # noqa: E402
from kit.server import Authority, ServerError  # noqa: E402
from kit.sproxyd import Sproxyd  # noqa: E402
from kit.testenv import Skip  # noqa: E402


class Clouds:
    def __init__(self, folder):
        self.dir = pathlib.Path(folder)
        self.authority = Authority(self.dir / "ssl")
        self.running = {}  # by variable: what has .stop() and .cpu_seconds()
        self.missing = {}  # by variable: why
        self.env = {"POMBAL_TEST_CA": str(self.authority.ca)}

    def start(self, wanted=None):
        """Starts all servers, or those of the variables `wanted`."""
        for variable, make in MAKERS.items():
            if wanted and variable not in wanted:
                continue
            folder = self.dir / variable.removeprefix("POMBAL_TEST_").lower()
            folder.mkdir(parents=True, exist_ok=True)
            try:
                server, value = make(folder, self.authority)
            except (Skip, ServerError) as e:
                self.missing[variable] = str(e)
                continue
            self.running[variable] = server
            self.env[variable] = value
        if {"POMBAL_TEST_AZURE_TLS", "POMBAL_TEST_ENTRA"} <= self.env.keys():
            place = self.env["POMBAL_TEST_AZURE_TLS"].rpartition("@")[2]
            self.env["POMBAL_TEST_AZURE_CLIENT"] = f"https://{entra.CLIENT}:{entra.SECRET}@{place}"
        return self

    @staticmethod
    def variables():
        return list(MAKERS)

    def stop(self):
        for server in self.running.values():
            server.stop()


def _cassandra(folder, authority):
    cluster = Cluster(folder).start()
    return cluster, cluster.address


def _cassandra_tls(folder, authority):
    cluster = Cluster(folder, authority=authority, has_password=True, heap_mb=512).start()
    return cluster, f"{USER}:{PASSWORD}@{cluster.address}"


def _store(kind, is_tls=False):
    def make(folder, authority):
        server = kind(folder, authority if is_tls else None).start()
        return server, server.url

    return make


def _emulator(kind, is_tls=False):
    def make(folder, authority):
        server = kind(authority if is_tls else None).start()
        return server, server.url

    return make


MAKERS = {
    "POMBAL_TEST_S3": _store(Minio),
    "POMBAL_TEST_S3_TLS": _store(Minio, is_tls=True),
    "POMBAL_TEST_AZURE": _store(Azurite),
    "POMBAL_TEST_AZURE_TLS": _store(Azurite, is_tls=True),
    "POMBAL_TEST_ENTRA": _emulator(Entra, is_tls=True),
    "POMBAL_TEST_SPROXYD": _emulator(Sproxyd),
    "POMBAL_TEST_SPROXYD_TLS": _emulator(Sproxyd, is_tls=True),
    "POMBAL_TEST_IMDS": _emulator(Imds),
    "POMBAL_TEST_CQL": _cassandra,
    "POMBAL_TEST_CQL_TLS": _cassandra_tls,
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("action", choices=["serve"])
    parser.add_argument("dir", type=pathlib.Path)
    parser.add_argument("--only", nargs="*", help="variables of the servers to start")
    args = parser.parse_args()
    args.dir.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    clouds = Clouds(args.dir.resolve())
    try:
        clouds.start(args.only)
        for variable, reason in clouds.missing.items():
            print(f"{variable}: {reason}", file=sys.stderr)
        lines = [f"export {name}={shlex.quote(value)}\n" for name, value in clouds.env.items()]
        (args.dir / "clouds.env").write_text("".join(lines))
        print("".join(lines), flush=True)
        signal.pause()
    finally:
        clouds.stop()


if __name__ == "__main__":
    main()
