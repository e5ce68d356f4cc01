# SPDX-License-Identifier: Apache-2.0
"""Mail in a bucket, as an operator sets it up and gets it wrong: keys of roles that end, TLS, wrong
secrets, objects in parts."""

import base64
import json
import os
import random
import urllib.parse

from kit import imds, mails
from kit.lmtp import LmtpError
from kit.s3 import Client
from kit.testenv import Skip
from kit.waiting import wait_until

OWN_INSTANCE = True
STORAGES = ("local",)


def server(variable="POMBAL_TEST_S3"):
    value = os.environ.get(variable)
    if not value:
        raise Skip(f"{variable} is not set: tests/kit/clouds.py serve DIR starts servers")
    return urllib.parse.urlsplit(value)


def settings(more, variable="POMBAL_TEST_S3", driver="s3"):
    """With a place of its own in the bucket, and no cache: every FETCH asks the server."""
    url = server(variable)
    prefix = f"t{random.SystemRandom().getrandbits(48):012x}"
    return f"""
@fs_defaults = {driver}
fs_s3_url = {url.scheme}://{url.hostname}:{url.port}/{prefix}
fs_s3_bucket = {url.path.strip("/")}
fs_s3_region = us-east-1
obox {{
  fs fscache {{
    path = %{{owner_home}}/cache
    size = 0
  }}
}}
{more}
"""


def keys_of(url):
    return f"fs_s3_access_key = {url.username}\nfs_s3_secret = {url.password}\n"


def body(client, number=1):
    return client.fetch(str(number), "BODY.PEEK[]")[number]["BODY[]"]


class SessionImds(imds.Imds):
    """Hands out sessions of MinIO's own, so that requests without the right token are refused."""

    def json(self, more):
        self.fetched += 1
        url = server()
        access, secret, token = Client(url.hostname, url.port).assume_role()
        keys = {"AccessKeyId": access, "SecretAccessKey": secret, "Token": token}
        text = json.dumps({**more, **keys, "Expiration": imds.iso(self.life_s)})
        return 200, {"Content-Type": "application/json"}, text.encode()


def test_keys_of_a_role_are_renewed_and_outlive_their_service(new_instance):
    service = SessionImds(life_s=8).start()
    try:
        more = f"fs_s3_auth_role = {imds.ROLE}\nfs_s3_auth_host = 127.0.0.1:{service.port}\n"
        instance = new_instance(config=settings(more, driver="aws-s3"))
        user = instance.new_user()
        instance.deliver(mails.small("role", body="first\r\n"), user)
        fetched = service.fetched
        assert fetched >= 1
        wait_until(lambda: service.fetched > fetched, "keys are renewed")
        instance.deliver(mails.small("role", body="second\r\n"), user)
        # Keys in hand are used while nobody renews them.
        service.life_s = 3600
        fetched = service.fetched
        wait_until(lambda: service.fetched > fetched, "keys are renewed")
        service.failing = True
        instance.deliver(mails.small("role", body="third\r\n"), user)
        with instance.imap(user) as client:
            client.select()
            assert [b"first" in body(client, 1), b"second" in body(client, 2), b"third" in body(client, 3)] == [True] * 3
        assert "eyJhbGci" not in instance.log_text()  # as the tokens begin
    finally:
        service.stop()


def refused(instance, words):
    """A delivery is put off, not bounced, and the log says why."""
    try:
        instance.deliver(mails.small("refused"), instance.new_user())
    except LmtpError as e:
        assert e.reply.code // 100 == 4, e
    else:
        raise AssertionError("the delivery was accepted")
    instance.wait_for_log(words)


def change(instance, old, new):
    text = instance.extra_config.read_text()
    assert old in text
    instance.extra_config.write_text(text.replace(old, new))
    instance.restart()


def test_a_missing_role_is_told(new_instance):
    keys = keys_of(server())
    service = imds.Imds().start()
    try:
        instance = new_instance(config=settings(keys))
        change(instance, keys, f"fs_s3_auth_role = nobody\nfs_s3_auth_host = 127.0.0.1:{service.port}\n")
        refused(instance, "the metadata service knows no role nobody")
    finally:
        service.stop()


def test_wrong_settings_are_told_and_put_right(new_instance):
    url = server()
    secret, bucket = f"fs_s3_secret = {url.password}", f"fs_s3_bucket = {url.path.strip('/')}"
    instance = new_instance(config=settings(keys_of(url)))
    change(instance, secret, "fs_s3_secret = not-the-secret")
    refused(instance, "403 SignatureDoesNotMatch: fs_s3_secret does not belong")
    assert "not-the-secret" not in instance.log_text()
    change(instance, "fs_s3_secret = not-the-secret", secret)
    change(instance, bucket, "fs_s3_bucket = no-such-bucket")
    refused(instance, "404 NoSuchBucket: create the bucket")
    change(instance, "fs_s3_bucket = no-such-bucket", bucket)
    user = instance.new_user()
    instance.deliver(mails.small("right"), user)
    with instance.imap(user) as client:
        assert client.select().exists == 1


def test_tls_needs_the_authority(new_instance):
    url = server("POMBAL_TEST_S3_TLS")
    known = f"fs_s3 {{\n  ssl_client_ca_file = {os.environ['POMBAL_TEST_CA']}\n}}\n"
    instance = new_instance(config=settings(keys_of(url) + known, "POMBAL_TEST_S3_TLS", "aws-s3"))
    user = instance.new_user()
    instance.deliver(mails.small("tls", body="over TLS\r\n"), user)
    with instance.imap(user) as client:
        client.select()
        assert b"over TLS" in body(client)
    change(instance, known, "")
    refused(instance, "certificate")


def test_a_big_mail_goes_in_parts(new_instance):
    url = server()
    instance = new_instance(config=settings(keys_of(url) + "fs_s3_multipart_size = 5M\n"))
    noise = base64.encodebytes(random.Random(4).randbytes(9 << 20)).decode().replace("\n", "\r\n")
    user = instance.new_user()
    instance.deliver(mails.small("big", body=noise), user)
    with instance.imap(user) as client:
        client.select()
        assert body(client).endswith(noise.encode())
        part = client.fetch("1", "BODY.PEEK[TEXT]<8000000.100>")[1]["BODY[TEXT]<8000000>"]
        assert part == noise[8000000:8000100].encode()
