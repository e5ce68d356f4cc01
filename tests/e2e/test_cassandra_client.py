# SPDX-License-Identifier: Apache-2.0
"""What an operator sets for the way to Cassandra and reads of it: TLS, credentials, figures, the log."""

import json
import os
import re
import urllib.parse

from faults.checks import deliver_some
from kit.storage import Storage
from kit.testenv import Skip
from kit.waiting import wait_until

OWN_INSTANCE = True
STORAGES = ("local",)

FIGURES = """
cassandra_metrics_path = cassandra-%{pid}.json
cassandra_debug_queries = yes
"""


class Guarded(Storage):
    """The cluster that wants TLS and a password."""

    def __init__(self):
        where = os.environ.get("POMBAL_TEST_CQL_TLS")
        if not where:
            raise Skip("POMBAL_TEST_CQL_TLS is not set")
        self.url = urllib.parse.urlsplit(f"cql://{where}")
        super().__init__("local-cql", env={"POMBAL_TEST_CQL": f"{self.url.hostname}:{self.url.port}"})

    def settings(self, folder):
        return f"""{super().settings(folder)}
cassandra_user = {self.url.username}
cassandra_password = {self.url.password}
cassandra_ssl = cert-ip
cassandra_ssl_ca_file = {self.server("POMBAL_TEST_CA")}
"""


def figures(instance):
    """Those of all workers."""
    return [json.loads(path.read_text()) for path in (instance.dir / "state").glob("cassandra-*.json")]


def test_mail_goes_to_a_cluster_with_tls_and_passwords(new_instance):
    instance = new_instance(storage=Guarded(), users=5)
    saved, reply = deliver_some(instance, instance.new_user(), "guarded", 3, 2000)
    assert len(saved) == 3, reply


def test_figures_and_queries_are_told(new_instance):
    instance = new_instance(storage=Storage("local-cql"), config=FIGURES, users=5)
    user = instance.new_user()
    saved, reply = deliver_some(instance, user, "counted", 3, 2000)
    assert saved, reply
    wait_until(lambda: any(f["queries"]["recv_ok"] >= 3 for f in figures(instance)), "figures of a delivery")
    wait_until(lambda: all(f["stats"]["total_connections"] == 1 for f in figures(instance)), lambda: figures(instance))
    for one in figures(instance):
        assert one["queries"]["recv_err_other"] == 0
        assert one["requests"]["median"] <= one["requests"]["percentile_99th"] <= one["requests"]["max"]
        assert sum(s["count"] for s in one["statements"].values()) <= one["queries"]["sent"]
    told = instance.wait_for_log(re.compile("Cassandra: .* us"))
    assert not [line for line in told if "counted" in line], told


def test_a_wrong_password_is_named_but_not_shown(new_instance):
    guarded = Guarded()
    instance = new_instance(storage=guarded, users=5)
    wrong = instance.dir / "wrong.conf"
    for password, says in [(guarded.url.password, "keyspace mails"), ("not-it", "bad_credentials")]:
        wrong.write_text(f"!include {instance.config}\ncassandra_password = {password}\n")
        done = instance.doveadm("dictmap", "status", config=wrong)
        assert (done.returncode == 0) == (password == guarded.url.password), done.stderr
        assert says in done.stdout + done.stderr, done.stdout + done.stderr
        assert "not-it" not in done.stdout + done.stderr
