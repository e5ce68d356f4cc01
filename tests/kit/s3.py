# SPDX-License-Identifier: Apache-2.0
"""MinIO as the S3 server of the tests, and requests to it signed with AWS Signature 4.

The bucket is a directory that is made before the start: MinIO takes it for a bucket."""

import datetime
import hashlib
import hmac
import http.client
import os
import shutil
import urllib.parse
import xml.etree.ElementTree

from .server import Server, StoreServer
from .testenv import go_program

MODULE = "github.com/minio/minio"
ACCESS_KEY = "testkey"
SECRET_KEY = "testsecret"
BUCKET = "mail"
REGION = "us-east-1"
HOST = "127.0.0.1"


class Minio(StoreServer):
    def start(self):
        (self.dir / "data" / BUCKET).mkdir(parents=True, exist_ok=True)
        certificates = self.dir / "certs"
        certificates.mkdir(exist_ok=True)
        if self.authority:
            shutil.copy(self.authority.cert, certificates / "public.crt")
            shutil.copy(self.authority.key, certificates / "private.key")
        env = dict(
            os.environ, MINIO_ROOT_USER=ACCESS_KEY, MINIO_ROOT_PASSWORD=SECRET_KEY, MINIO_BROWSER="off",
            MINIO_UPDATE="off", MINIO_SCANNER_SPEED="slowest", MINIO_STORAGE_CLASS_STANDARD="EC:0",
            GOMAXPROCS="2", GOMEMLIMIT="512MiB",
        )
        command = [go_program(MODULE), "server", "--quiet", "--address", f"{HOST}:{self.port}"]
        self.server = Server("minio", [*command, "--certs-dir", certificates, self.dir / "data"], self.dir, env)
        self.server.wait(self.is_serving, 60)
        return self

    @property
    def base(self):
        """URL of the bucket, without the keys."""
        return f"{'https' if self.authority else 'http'}://{HOST}:{self.port}/{BUCKET}"

    @property
    def url(self):
        """URL of the bucket with access and secret key, as settings take it."""
        return self.base.replace("://", f"://{ACCESS_KEY}:{SECRET_KEY}@")

    def is_serving(self):
        return Client(HOST, self.port, self.authority).request("GET", f"/{BUCKET}", {"max-keys": "1"})[0] == 200

    def client(self):
        return Client(HOST, self.port, self.authority)



class Client:
    """Looks at the bucket past the program under test."""

    def __init__(self, host, port, authority=None):
        self.host = f"{host}:{port}"
        self.context = authority.client_context() if authority else None

    def request(self, method, path, query=None, body=b"", service="s3"):
        """(status, body)"""
        if self.context:
            connection = http.client.HTTPSConnection(self.host, timeout=10, context=self.context)
        else:
            connection = http.client.HTTPConnection(self.host, timeout=10)
        text = "&".join(f"{quote(k)}={quote(v)}" for k, v in sorted((query or {}).items()))
        path = quote(path, "/")
        try:
            headers = self._sign(method, path, text, body, service)
            connection.request(method, f"{path}?{text}" if text else path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def keys(self, prefix=""):
        """All keys of the bucket that begin with `prefix`."""
        found = []
        query = {"list-type": "2", "prefix": prefix}
        while True:
            status, body = self.request("GET", f"/{BUCKET}", query)
            if status != 200:
                raise OSError(f"listing {BUCKET}: {status} {body[:300]!r}")
            tree = xml.etree.ElementTree.fromstring(body)
            space = tree.tag.partition("}")[0] + "}"
            found += [e.text for e in tree.iter(f"{space}Key")]
            token = tree.findtext(f"{space}NextContinuationToken")
            if not token:
                return found
            query["continuation-token"] = token

    def get(self, key):
        status, body = self.request("GET", f"/{BUCKET}/{key}")
        if status != 200:
            raise OSError(f"GET {key}: {status}")
        return body

    def delete(self, key):
        status, _ = self.request("DELETE", f"/{BUCKET}/{key}")
        if status != 204:
            raise OSError(f"DELETE {key}: {status}")

    def assume_role(self):
        """Access key, secret and token of a session of a quarter of an hour."""
        form = b"Action=AssumeRole&Version=2011-06-15&DurationSeconds=900"
        status, body = self.request("POST", "/", body=form, service="sts")
        if status != 200:
            raise OSError(f"AssumeRole: {status} {body[:300]!r}")
        tree = xml.etree.ElementTree.fromstring(body)
        space = tree.tag.partition("}")[0] + "}"
        return [tree.find(f".//{space}{name}").text for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")]

    def _sign(self, method, path, query, body, service):
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        payload = hashlib.sha256(body).hexdigest()
        signed = {"host": self.host, "x-amz-content-sha256": payload, "x-amz-date": now}
        names = ";".join(signed)
        head = "".join(f"{k}:{v}\n" for k, v in signed.items())
        canonical = "\n".join([method, path, query, head, names, payload])
        scope = f"{now[:8]}/{REGION}/{service}/aws4_request"
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        key = f"AWS4{SECRET_KEY}".encode()
        for word in scope.split("/"):
            key = hmac.new(key, word.encode(), "sha256").digest()
        text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{digest}"
        signature = hmac.new(key, text.encode(), "sha256").hexdigest()
        return {
            "x-amz-content-sha256": payload, "x-amz-date": now,
            "Content-Type": "application/x-www-form-urlencoded" if service == "sts" else "application/xml",
            "Authorization": f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/{scope}, "
            f"SignedHeaders={names}, Signature={signature}",
        }


def quote(text, safe=""):
    return urllib.parse.quote(text, safe=safe + "-_.~")
