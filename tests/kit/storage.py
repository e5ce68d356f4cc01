# SPDX-License-Identifier: Apache-2.0
"""Where an instance keeps its mails: settings for every pair of object store and catalog.

An instance on shared servers has a place of its own there: a prefix of its objects' keys and of its
users in the catalog. The settings are what an operator would write: the platform's presets, and what
is to be different here."""

import os
import pathlib
import secrets
import shutil
import subprocess
import urllib.parse

from . import entra
from .s3 import Client
from .testenv import Skip

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
KEYSPACE = os.environ.get("POMBAL_TEST_KEYSPACE", "mails")

# Name: (object store, catalog). "local" is what docs/default.conf says.
PAIRS = {
    "local": ("local", "sqlite"),
    "s3-cql": ("s3", "cassandra"),
    "s3-sqlite": ("s3", "sqlite"),
    "local-cql": ("local", "cassandra"),
    "azure-sqlite": ("azure", "sqlite"),
    "azure-client-sqlite": ("azure-client", "sqlite"),
    "sproxyd-sqlite": ("sproxyd", "sqlite"),
}


class Storage:
    """Of one instance. `env` takes the place of the environment: addresses of proxies, for example.
    `hosts`: all nodes of a Cassandra of several. `beside`: the storage of another instance with the same
    mails."""

    def __init__(self, name="local", env=None, cache_mb=64, hosts=(), beside=None):
        self.name = name
        self.objects, self.catalog = PAIRS[name]
        self.env = {**os.environ, **(env or {})}
        self.prefix = beside.prefix if beside else f"t{secrets.token_hex(6)}"
        self.key_folders = beside.key_folders if beside else []  # of all instances with these mails
        self.cache_mb = cache_mb
        self.hosts = hosts

    @property
    def is_local(self):
        return self.name == "local"

    def server(self, variable):
        """What the environment says of a server; Skip without it."""
        value = self.env.get(variable)
        if not value:
            raise Skip(f"{variable} is not set: tests/kit/clouds.py serve DIR starts servers")
        return value

    def settings(self, folder):
        """The text for an instance in `folder`."""
        preset = "azure" if self.objects == "azure-client" else self.objects
        text = f"@fs_defaults = {preset}\n@fs_dictmap_defaults = {self.catalog}\n"
        text += {
            "local": self._local, "s3": self._s3, "azure": self._azure, "azure-client": self._azure_client,
            "sproxyd": self._sproxyd,
        }[self.objects](folder)
        if self.catalog == "cassandra":
            text += self._cassandra()
        return text

    def _local(self, folder):
        return ""

    def _s3(self, folder):
        url = urllib.parse.urlsplit(self.server("POMBAL_TEST_S3"))
        bucket = url.path.strip("/")
        return f"""\
fs_s3_url = {url.scheme}://{url.netloc}/{self.prefix}
fs_s3_bucket = {bucket}
fs_s3_region = us-east-1
{self._remote(folder)}"""

    def _azure(self, folder):
        url = urllib.parse.urlsplit(self.server("POMBAL_TEST_AZURE"))
        account, container = url.path.strip("/").split("/")
        return f"""\
fs_azure_url = {url.scheme}://{url.hostname}:{url.port}/{account}/{self.prefix}
fs_azure_account_name = {account}
fs_azure_container_name = {container}
fs_azure_auth_type = shared-key
fs_azure_account_key = {urllib.parse.unquote(url.password)}
{self._remote(folder)}"""

    def _azure_client(self, folder):
        """By https, with a client of Entra in the place of the account's key."""
        url = urllib.parse.urlsplit(self.server("POMBAL_TEST_AZURE_CLIENT"))
        account, container = url.path.strip("/").split("/")
        return f"""\
fs_azure_url = {url.scheme}://{url.hostname}:{url.port}/{account}/{self.prefix}
fs_azure_account_name = {account}
fs_azure_container_name = {container}
fs_azure_auth_user_sas_tenant_id = {entra.TENANT}
fs_azure_auth_user_sas_client_id = {url.username}
fs_azure_auth_user_sas_client_secret = {url.password}
fs_azure_auth_user_sas_url = {self.server("POMBAL_TEST_ENTRA")}
{self._remote(folder)}"""

    def _sproxyd(self, folder):
        return f"fs_sproxyd_url = {self.server('POMBAL_TEST_SPROXYD')}/{self.prefix}\n{self._remote(folder)}"

    def _remote(self, folder):
        """What stacks over a network have in common: the cache, keys, and authorities."""
        keys = self._keys(pathlib.Path(folder))
        authority = self.env.get("POMBAL_TEST_CA")
        return f"""\
obox {{
  fs fscache {{
    path = {folder}/state/cache
    size = {self.cache_mb}M
  }}
}}
crypt_global_public_key_file = {keys}/crypt.pub
crypt_global_private_key main {{
  crypt_private_key_file = {keys}/crypt.key
}}
{f"ssl_client_ca_file = {authority}" if authority else ""}
"""

    def _keys(self, folder):
        """All instances with these mails have the keys of the first one."""
        if not self.key_folders:
            key_pair(folder)
        elif folder not in self.key_folders:
            for name in ("crypt.key", "crypt.pub"):
                shutil.copy2(self.key_folders[0] / name, folder / name)
        if folder not in self.key_folders:
            self.key_folders.append(folder)
        return folder

    def _cassandra(self):
        host, _, port = self.server("POMBAL_TEST_CQL").rpartition(":")
        return f"""\
fs_dictmap_dict_prefix = {self.prefix}/
dict_server {{
  dict mails {{
    cassandra_hosts = {' '.join(self.hosts) or host}
    cassandra_port = {port}
    cassandra_keyspace = {KEYSPACE}
  }}
}}
"""

    def object_keys(self, folder):
        """Names of all objects of the instance in `folder`; journals and what is half written are none."""
        if self.objects == "s3":
            return set(self._bucket().keys(f"{self.prefix}/"))
        if self.objects == "local":
            objects = pathlib.Path(folder) / "state" / "objects"
            return {str(path) for path in objects.rglob("*") if path.is_file() and not path.name.startswith(".tmp-")}
        raise Skip(f"objects of {self.objects} cannot be listed here")

    def lose_object(self, folder, key):
        """Takes one away behind the server's back, also from the cache."""
        if self.objects == "s3":
            self._bucket().delete(key)
            remove_below(pathlib.Path(folder) / "state" / "cache")
        else:
            os.unlink(key)

    def _bucket(self):
        url = urllib.parse.urlsplit(self.server("POMBAL_TEST_S3"))
        return Client(url.hostname, url.port)

    def prepare(self, build, folder):
        """Makes the tables of the catalog, once per cluster and process."""
        if self.catalog == "cassandra":
            make_tables(build, self.server("POMBAL_TEST_CQL"), self.settings(folder), str(folder))


def remove_below(folder):
    for path in folder.glob("*"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def key_pair(folder):
    """crypt.key and crypt.pub in `folder`; its owner alone and the roles' group read the key."""
    key, public = folder / "crypt.key", folder / "crypt.pub"
    command = ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    subprocess.run([*command, "-out", key], check=True, capture_output=True)
    subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-out", public], check=True, capture_output=True)


_made = set()


def make_tables(build, address, settings, folder):
    """`doveadm dictmap init`, as an operator does before the first start."""
    if address in _made:
        return
    config = pathlib.Path(folder) / "tables.conf"
    config.write_text(f"!include {TOP}/docs/default.conf\nstate_dir = {folder}/state\n{settings}")
    done = subprocess.run(
        [pathlib.Path(build) / "doveadm", "-c", config, "dictmap", "init"],
        capture_output=True, text=True, timeout=60,
    )
    if done.returncode != 0:
        raise RuntimeError(f"doveadm dictmap init: {done.stdout}{done.stderr}")
    _made.add(address)
