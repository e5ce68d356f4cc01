# SPDX-License-Identifier: Apache-2.0
"""What an operator sets for requests to an object store and reads of them: headers, the log, a server
that is slow or out of order."""

import time

from faults.checks import deliver_some, refusal
from kit.sproxyd import Sproxyd
from kit.storage import Storage
from kit.waiting import wait_until

OWN_INSTANCE = True
STORAGES = ("local",)

TELLING = """
log_debug = event=http_request_finished
fs_sproxyd {
  fs_http_add_headers {
    X-Site = cellar of %{user}
  }
  fs_http_log_headers = x-request-id
  fs_http_reason_header_max_length = 200
  http_client_user_agent = Cellar/7
}
"""


class Server(Sproxyd):
    """Remembers what it was sent, and can be slow or out of order."""

    def __init__(self):
        super().__init__()
        self.requests = []
        self.slow_s = 0
        self.is_failing = False

    def answer(self, request):
        self.requests.append(request)
        time.sleep(self.slow_s)
        if self.is_failing:
            return 500, {}, b"out of order"
        status, headers, body = super().answer(request)
        return status, {**headers, "X-Request-Id": f"request-{len(self.requests)}"}, body

    def puts(self):
        return [r for r in self.requests if r.method == "PUT"]


def start(new_instance, config):
    server = Server().start()
    env = {"POMBAL_TEST_SPROXYD": server.url, "POMBAL_TEST_CA": ""}
    instance = new_instance(storage=Storage("sproxyd-sqlite", env=env), config=config, users=5)
    instance.on_destroy.append(server.stop)
    return server, instance, instance.new_user()


def deliver(instance, user):
    saved, reply = deliver_some(instance, user, "told", 1, 2000)
    assert saved, reply


def test_requests_say_who_asks_and_the_log_says_what_was_asked(new_instance):
    server, instance, user = start(new_instance, TELLING)
    deliver(instance, user)
    headers = server.puts()[-1].headers  # the first are those of ./run
    assert headers["x-dovecot-username"] == user
    assert headers["x-dovecot-session-id"]
    assert headers["x-site"] == f"cellar of {user}"
    assert headers["user-agent"] == "Cellar/7"
    lines = instance.wait_for_log(f"PUT {server.base}/proxy/")
    assert any(": 200 after " in line and "x-request-id=request-" in line for line in lines), lines
    assert any(headers["x-dovecot-session-id"] in line for line in lines), lines


def test_who_asks_can_be_kept_secret(new_instance):
    quiet = "fs_sproxyd {\n  fs_http_log_trace_headers = no\n}\n"
    server, instance, user = start(new_instance, quiet)
    deliver(instance, user)
    for request in server.requests:
        assert not [name for name in request.headers if name.startswith("x-dovecot")], request.headers


def test_slow_requests_are_warned_about(new_instance):
    server, instance, user = start(new_instance, "fs_sproxyd {\n  fs_http_slow_warning = 500ms\n}\n")
    server.slow_s = 0.7
    deliver(instance, user)
    assert " took " in instance.wait_for_log(f"PUT {server.base}/proxy/")[0]


def test_a_server_out_of_order_is_left_alone_and_taken_back(new_instance):
    config = "mail_worker_count = 1\nfs_sproxyd {\n  http_client_request_max_attempts = 2\n}\n"
    server, instance, user = start(new_instance, config)
    deliver(instance, user)
    server.is_failing = True

    def is_given_up():
        refusal(instance, user)
        return "is left alone" in instance.log_text()

    wait_until(is_given_up, "the server is given up")
    # Refused without asking.
    asked = len(server.requests)
    refusal(instance, user)
    assert len(server.requests) <= asked + 2
    server.is_failing = False
    wait_until(lambda: deliver_some(instance, user, "again", 1, 2000)[0], "the server is taken back")
    instance.wait_for_log("answers again")
    assert len(instance.wait_for_log("is left alone")) == 1
