#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Apache Cassandra from its jars, without its distribution: our own configuration, small and quick.

One node or several, on 127.0.0.1, .2, .3 with the same ports. Data live in the folder of the
cluster and are not synced: what is tested is the client, not Cassandra."""

import argparse
import pathlib
import signal
import socket
import struct
import sys
import tempfile

if __package__ in (None, ""):
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
    from kit.server import Authority, Server, free_port
    from kit.testenv import maven_jars, need_program
else:
    from .server import Authority, Server, free_port
    from .testenv import maven_jars, need_program

PACKAGE = "org.apache.cassandra:cassandra-all"
START_TIMEOUT_S = 120
# What an unattended cluster with PasswordAuthenticator begins with.
USER = PASSWORD = "cassandra"
STORE_PASSWORD = "storepass"

# Cassandra reaches into the JDK; each of these is used at start or by a request.
EXPORTS = """
    java.base/jdk.internal.misc java.base/java.lang.ref java.management.rmi/com.sun.jmx.remote.internal.rmi
    java.rmi/sun.rmi.registry java.rmi/sun.rmi.server java.sql/java.sql jdk.unsupported/sun.misc
    jdk.attach/sun.tools.attach
"""
OPENS = """
    java.base/java.io java.base/java.lang java.base/java.lang.module java.base/java.lang.reflect
    java.base/java.math java.base/java.net java.base/java.nio java.base/java.util
    java.base/java.util.concurrent java.base/java.util.concurrent.atomic java.base/jdk.internal.loader
    java.base/jdk.internal.math java.base/jdk.internal.module java.base/jdk.internal.ref
    java.base/jdk.internal.reflect java.base/jdk.internal.util.jar java.base/sun.nio.ch
    jdk.compiler/com.sun.tools.javac jdk.management.jfr/jdk.management.jfr
    jdk.management/com.sun.management.internal
"""

YAML = """\
cluster_name: tests
num_tokens: 4
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
endpoint_snitch: SimpleSnitch
seed_provider:
  - class_name: org.apache.cassandra.locator.SimpleSeedProvider
    parameters:
      - seeds: "127.0.0.1:{storage_port}"
listen_address: {host}
rpc_address: {host}
storage_port: {storage_port}
native_transport_port: {port}
authenticator: {authenticator}
authorizer: AllowAllAuthorizer
data_file_directories: [{folder}/data]
commitlog_directory: {folder}/commitlog
hints_directory: {folder}/hints
saved_caches_directory: {folder}/caches
cdc_raw_directory: {folder}/cdc
commitlog_sync: periodic
commitlog_sync_period: 10000ms
commitlog_segment_size: 8MiB
commitlog_total_space: 256MiB
commitlog_disk_access_mode: legacy
auto_snapshot: false
dynamic_snitch: false
hinted_handoff_enabled: true
concurrent_reads: 8
concurrent_writes: 16
concurrent_compactors: 1
native_transport_max_threads: 16
memtable_flush_writers: 1
memtable_heap_space: 128MiB
memtable_offheap_space: 64MiB
key_cache_size: 16MiB
file_cache_size: 32MiB
networking_cache_size: 16MiB
{tls}"""

TLS = """\
client_encryption_options:
  enabled: true
  optional: false
  keystore: {store}
  keystore_password: {password}
  store_type: PKCS12
  require_client_auth: false
"""

LOGBACK = """\
<configuration>
  <appender name="OUT" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%d{HH:mm:ss.SSS} %-5level %logger{0} - %msg%n</pattern></encoder>
  </appender>
  <root level="INFO"><appender-ref ref="OUT"/></root>
</configuration>
"""


class Cluster:
    """Nodes of one cluster. `authority`: with TLS; `has_password`: PasswordAuthenticator."""

    def __init__(self, folder, nodes=1, authority=None, has_password=False, heap_mb=1024):
        self.dir = pathlib.Path(folder)
        self.hosts = [f"127.0.0.{i}" for i in range(1, nodes + 1)]
        self.port = free_port(*self.hosts)
        self.storage_port = free_port(*self.hosts)
        self.authority = authority
        self.has_password = has_password
        self.heap_mb = heap_mb
        self.nodes = {}  # Server by host

    @property
    def address(self):
        """Of the first node, as in a setting."""
        return f"{self.hosts[0]}:{self.port}"

    def start(self):
        for host in self.hosts:  # one after the other: each takes its tokens
            self.start_node(host)
        return self

    def start_node(self, host):
        folder = self.dir / host
        folder.mkdir(parents=True, exist_ok=True)
        tls = ""
        if self.authority:
            store = self.authority.pkcs12(STORE_PASSWORD)
            tls = TLS.format(store=store, password=STORE_PASSWORD)
        authenticator = "PasswordAuthenticator" if self.has_password else "AllowAllAuthenticator"
        (folder / "cassandra.yaml").write_text(YAML.format(
            host=host, port=self.port, storage_port=self.storage_port, folder=folder,
            authenticator=authenticator, tls=tls,
        ))
        (folder / "logback.xml").write_text(LOGBACK)
        server = Server("cassandra", java_command(folder, self.heap_mb), folder)
        self.nodes[host] = server
        server.wait(lambda: self.is_serving(host), START_TIMEOUT_S)
        return server

    def is_serving(self, host):
        """It answers OPTIONS of the native protocol."""
        with socket.create_connection((host, self.port), timeout=2) as plain:
            s = plain
            if self.authority:
                s = self.authority.client_context().wrap_socket(plain, server_hostname=host)
            s.sendall(struct.pack(">BBhBI", 4, 0, 1, 5, 0))
            return s.recv(1)[:1] == b"\x84"

    def stop(self):
        """Nothing of it is needed again: no drain."""
        for server in self.nodes.values():
            server.kill()

    def cpu_seconds(self):
        return sum(server.cpu_seconds() for server in self.nodes.values())


def java_command(folder, heap_mb):
    jars = maven_jars(PACKAGE)
    (jamm,) = jars.glob("jamm-*.jar")
    command = [need_program("java"), f"-Xms{heap_mb // 2}m", f"-Xmx{heap_mb}m", "-XX:+UseSerialGC"]
    command += ["-XX:TieredStopAtLevel=1", "-Xss384k", "-XX:-UsePerfData", f"-javaagent:{jamm}"]
    command += [f"--add-exports={name}=ALL-UNNAMED" for name in EXPORTS.split()]
    command += [f"--add-opens={name}=ALL-UNNAMED" for name in OPENS.split()]
    for key, value in {
        "jdk.attach.allowAttachSelf": "true",
        "io.netty.tryReflectionSetAccessible": "true",
        "java.net.preferIPv4Stack": "true",
        "logback.configurationFile": folder / "logback.xml",
        "cassandra.config": f"file://{folder}/cassandra.yaml",
        "cassandra.storagedir": folder,
        "cassandra-foreground": "yes",
        "cassandra.skip_wait_for_gossip_to_settle": "0",
        "cassandra.ring_delay_ms": "2000",
        "cassandra.superuser_setup_delay_ms": "100",
        "cassandra.disable_tcactive_openssl": "true",
        "java.io.tmpdir": folder,
    }.items():
        command.append(f"-D{key}={value}")
    return [*command, "-cp", f"{jars}/*", "org.apache.cassandra.service.CassandraDaemon"]


def main():
    parser = argparse.ArgumentParser(description="Runs a cluster until it is ended.")
    parser.add_argument("--nodes", type=int, default=1)
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--auth", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pombal-cassandra-") as folder:
        authority = Authority(pathlib.Path(folder) / "ssl") if args.tls else None
        cluster = Cluster(folder, args.nodes, authority, args.auth)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        try:
            cluster.start()
            print(f"{cluster.address}", *(f"{h}: pid {n.pid}" for h, n in cluster.nodes.items()), flush=True)
            signal.pause()
        finally:
            cluster.stop()


if __name__ == "__main__":
    main()
