# SPDX-License-Identifier: Apache-2.0
"""An emulator of Microsoft Entra's token endpoint: client credentials for tokens that Azurite takes.

Azurite looks at a token's issuer, audience and times, not at its signature."""

import base64
import json
import time
import urllib.parse

from .emulator import Emulator

TENANT = "ab1f708d-50f6-404c-a006-d71b2ac7a606"
CLIENT = "f997392c-e15a-4ad8-af9e-cd6966caba7f"
SECRET = "secret-of-the-client"
OBJECT = "11059fcc-5514-4800-b5f8-49808b9cfab6"
SCOPE = "https://storage.azure.com/.default"


class Entra(Emulator):
    def __init__(self, authority=None, life_s=3600):
        super().__init__(authority)
        self.life_s = life_s

    def answer(self, request):
        if request.method != "POST" or request.path != f"/{TENANT}/oauth2/v2.0/token":
            return error(404, "invalid_tenant", "AADSTS90002: Tenant not found.")
        form = dict(urllib.parse.parse_qsl(request.body.decode()))
        if form.get("grant_type") != "client_credentials" or form.get("scope") != SCOPE:
            return error(400, "invalid_request", "AADSTS90014: The request is wrong.")
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT, SECRET):
            return error(401, "invalid_client", "AADSTS7000215: Invalid client secret provided.")
        now = int(time.time())
        token = ".".join(map(part, (
            {"typ": "JWT", "alg": "RS256"},
            {"aud": "https://storage.azure.com", "iss": f"https://sts.windows.net/{TENANT}/", "iat": now, "nbf": now - 5,
             "exp": now + self.life_s, "oid": OBJECT, "sub": OBJECT, "tid": TENANT, "appid": CLIENT, "ver": "1.0"},
            {"signature": "none"},
        )))
        return answer(200, {"token_type": "Bearer", "expires_in": self.life_s, "access_token": token})


def part(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def answer(status, value):
    return status, {"Content-Type": "application/json"}, json.dumps(value).encode()


def error(status, code, text):
    return answer(status, {"error": code, "error_description": text})
