# SPDX-License-Identifier: Apache-2.0
"""An instance on S3 and Cassandra with proxies between that can be told to misbehave."""

import time
import urllib.parse

from kit.faultproxy import Proxy
from kit.storage import Storage, remove_below

# With these an outage of seconds is long. They are the driver's and the client's own settings.
QUICK = """\
imap_fetch_failure = no-after
fs_s3 {
  http_client_request_timeout = 2s
  http_client_connect_timeout = 1s
  http_client_request_max_attempts = 3
}
dict_server {
  dict mails {
    cassandra_request_timeout = 2s
    cassandra_connect_timeout = 1s
  }
}
"""


def mark_welcomed(instance):
    """The first mail was delivered by another instance."""
    (instance.dir / ".welcomed").touch()


class Cloud:
    """`make(storage=..., config=..., users=...)` makes the instance. `cluster`: a Cassandra of one's own,
    then without a proxy. `beside`: another one, of whose mails this is a second backend. What is started
    here ends with the instance."""

    def __init__(self, make, config=QUICK, users=200, cluster=None, beside=None):
        plain = Storage("s3-cql")
        url = urllib.parse.urlsplit(plain.server("POMBAL_TEST_S3"))
        address = plain.server("POMBAL_TEST_CQL")
        self.s3 = Proxy("http", f"{url.hostname}:{url.port}").start()
        self.cql = None if cluster else Proxy("cql", address).start()
        try:
            netloc = f"{url.username}:{url.password}@{url.hostname}:{self.s3.port}"
            env = {"POMBAL_TEST_S3": url._replace(netloc=netloc).geturl()}
            port = cluster.port if cluster else self.cql.port
            env["POMBAL_TEST_CQL"] = f"{address.rpartition(':')[0]}:{port}"
            self.storage = Storage("s3-cql", env=env, hosts=cluster.hosts if cluster else (),
                                   beside=beside.storage if beside else None)
            config = "mail_worker_count = 2\n" + config
            options = {"prepare": mark_welcomed} if beside else {}
            self.instance = make(storage=self.storage, config=config, users=users, **options)
        except BaseException:
            self.stop_proxies()
            raise
        self.instance.on_destroy.append(self.stop_proxies)

    def stop_proxies(self):
        self.s3.stop()
        if self.cql:
            self.cql.stop()

    def empty_cache(self):
        """What is read next comes from the store; also what was on its way into the cache, unless more follows
        all the time."""
        folder = self.instance.dir / "state" / "cache"
        for _ in range(5):
            remove_below(folder)
            time.sleep(0.05)
            if not any(path.is_file() for path in folder.rglob("*")):
                return

    def lose_local_state(self):
        """As on another host: nothing is left but what is in the clouds. The instance must not run."""
        remove_below(self.instance.dir / "state")
