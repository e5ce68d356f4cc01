# SPDX-License-Identifier: Apache-2.0
"""An instance whose mails are in Azure Blob Storage (Azurite), and what goes wrong between.

It runs where the servers of the storage s3-cql are started, and needs Azurite instead."""

from faults.stores_kit import Place, check_faults, check_outage
from kit import entra, mails
from kit.storage import Storage

OWN_INSTANCE = True
STORAGES = ("s3-cql",)

QUICK = """
imap_fetch_failure = no-after
fs_azure {
  http_client_request_timeout = 2s
  http_client_connect_timeout = 1s
}
"""


def azure(make):
    url = Storage("azure-sqlite").server("POMBAL_TEST_AZURE")
    return Place(make, "azure-sqlite", "POMBAL_TEST_AZURE", url, QUICK)


def test_refusals_and_broken_answers_are_asked_again(make):
    place = azure(make)
    # What was damaged on the way is noticed, and asked for again.
    check_faults(place, reads=[("corrupt", {"kinds": ["GET"], "limit": 1})])
    place.instance.stop()


def test_service_that_is_gone_comes_back(make):
    place = azure(make)
    check_outage(place)
    place.instance.stop()


def test_no_secret_is_told(make):
    """A client of Entra, with everything logged that can be."""
    storage = Storage("azure-client-sqlite")
    instance = make(storage=storage, config="log_debug = event=*\n", users=5)
    user = instance.new_user()
    with instance.imap(user) as client:
        client.do("CREATE Kept")
    instance.deliver(mails.small(), user)
    with instance.imap(user) as client:
        assert client.select().exists == 1
    instance.stop()
    log = instance.log_text()
    assert "sig=..." in log, "no request was logged"
    assert entra.SECRET not in log and "access_token" not in log
    assert "sig=" not in log.replace("sig=...", "")
