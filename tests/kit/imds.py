# SPDX-License-Identifier: Apache-2.0
"""An emulator of the services that give out keys for S3: the instance metadata service (IMDSv2 alone), a
container's agent, and the token service.

The keys are MinIO's own, so that what is signed with them is accepted; their life is as short as a
test wants it. Paths and answers: AWS's public descriptions."""

import json
import secrets
import time
import urllib.parse

from .emulator import Emulator
from .s3 import ACCESS_KEY, SECRET_KEY

ROLE = "mailstore"
ARN = f"arn:aws:iam::123456789012:role/{ROLE}"
METADATA = "/latest/meta-data/iam/security-credentials/"
CONTAINER = "/v2/credentials/tests"
CONTAINER_TOKEN = "token-of-the-container"
IDENTITY_TOKEN = "token-of-the-identity"


class Imds(Emulator):
    def __init__(self, authority=None, life_s=3600):
        super().__init__(authority)
        self.life_s = life_s
        self.tokens = {}  # token -> when it ends
        self.fetched = 0
        self.failing = False

    def answer(self, request):
        with self.lock:
            if self.failing:
                return 500, {}, b"failing"
            path = request.path.partition("?")[0]
            if path == "/latest/api/token":
                return self.token(request)
            if path.startswith(METADATA):
                return self.metadata(request, path.removeprefix(METADATA))
            if path == CONTAINER:
                return self.container(request)
            if path == "/" and request.method == "POST":
                return self.identity(request)
            return 404, {}, b""

    def token(self, request):
        seconds = request.headers.get("x-aws-ec2-metadata-token-ttl-seconds", "")
        if request.method != "PUT" or not seconds.isdigit() or not 1 <= int(seconds) <= 21600:
            return 400, {}, b""
        token = secrets.token_urlsafe(24)
        self.tokens[token] = time.monotonic() + int(seconds)
        return 200, {"X-Aws-Ec2-Metadata-Token-Ttl-Seconds": seconds}, token.encode()

    def metadata(self, request, role):
        if self.tokens.get(request.headers.get("x-aws-ec2-metadata-token"), 0) < time.monotonic():
            return 401, {}, b""
        if not role:
            return 200, {}, ROLE.encode()
        if role != ROLE:
            return 404, {}, b""
        return self.json({"Code": "Success", "Type": "AWS-HMAC", "LastUpdated": iso(0)})

    def container(self, request):
        if request.headers.get("authorization") != CONTAINER_TOKEN:
            return 401, {}, b""
        return self.json({"RoleArn": ARN})

    def json(self, more):
        self.fetched += 1
        keys = {"AccessKeyId": ACCESS_KEY, "SecretAccessKey": SECRET_KEY, "Token": ""}
        text = json.dumps({**more, **keys, "Expiration": iso(self.life_s)})
        return 200, {"Content-Type": "application/json"}, text.encode()

    def identity(self, request):
        form = dict(urllib.parse.parse_qsl(request.body.decode()))
        if form.get("Action") != "AssumeRoleWithWebIdentity" or form.get("RoleArn") != ARN:
            return 400, {}, IDENTITY_ERROR.format(code="ValidationError").encode()
        if form.get("WebIdentityToken") != IDENTITY_TOKEN:
            return 400, {}, IDENTITY_ERROR.format(code="InvalidIdentityToken").encode()
        self.fetched += 1
        text = IDENTITY_ANSWER.format(key=ACCESS_KEY, secret=SECRET_KEY, end=iso(self.life_s), arn=ARN)
        return 200, {"Content-Type": "text/xml"}, text.encode()


def iso(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))


IDENTITY_ANSWER = """\
<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult>
<AssumedRoleUser><Arn>{arn}</Arn><AssumedRoleId>ROLE:tests</AssumedRoleId></AssumedRoleUser>
<Credentials><SessionToken></SessionToken><SecretAccessKey>{secret}</SecretAccessKey>
<Expiration>{end}</Expiration><AccessKeyId>{key}</AccessKeyId></Credentials>
</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>
"""
IDENTITY_ERROR = "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code></Error></ErrorResponse>"
