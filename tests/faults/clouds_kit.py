# SPDX-License-Identifier: Apache-2.0
"""An instance on S3 and Cassandra with proxies between that can be told to misbehave."""

import pathlib
import shutil
import urllib.parse

from kit.faultproxy import Proxy
from kit.instance import Instance
from kit.storage import Storage


def quick_timeouts(is_long=False):
    """Settings with which an outage of a second is long; with `is_long`, those of the platform."""
    if is_long:
        return ""
    return """\
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


class CloudInstance:
    """`cql`: the address of a cluster of its own, without a proxy; `hosts`: all of its nodes."""

    def __init__(self, build, is_all_in_one=False, config="", users=200, cql=None, hosts=()):
        self.options = {"build": build, "is_all_in_one": is_all_in_one, "users": users}
        self.options["config"] = "mail_worker_count = 2\n" + config
        self.cluster, self.hosts = cql, hosts
        self.s3 = self.cql = self.instance = self.storage = None

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def start(self):
        plain = Storage("s3-cql")
        url = urllib.parse.urlsplit(plain.server("POMBAL_TEST_S3"))
        self.s3 = Proxy("http", f"{url.hostname}:{url.port}").start()
        netloc = f"{url.username}:{url.password}@{url.hostname}:{self.s3.port}"
        env = {"POMBAL_TEST_S3": url._replace(netloc=netloc).geturl()}
        if self.cluster:
            env["POMBAL_TEST_CQL"] = self.cluster
        else:
            address = plain.server("POMBAL_TEST_CQL")
            self.cql = Proxy("cql", address).start()
            env["POMBAL_TEST_CQL"] = f"{address.rpartition(':')[0]}:{self.cql.port}"
        self.storage = Storage("s3-cql", env=env, hosts=self.hosts)
        self.instance = Instance.create(storage=self.storage, **self.options)

    def __exit__(self, *_):
        if self.instance:
            self.instance.destroy()
        for proxy in (self.s3, self.cql):
            if proxy:
                proxy.stop()

    def empty_cache(self):
        """What is read next comes from the store."""
        for path in pathlib.Path(self.instance.dir / "state" / "cache").glob("*"):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
