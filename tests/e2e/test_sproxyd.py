# SPDX-License-Identifier: Apache-2.0
"""An instance whose mails are in a RING behind an emulated sproxyd, and what goes wrong between."""

import re

from faults.stores_kit import Place, check_faults, check_outage
from kit.sproxyd import Sproxyd

OWN_INSTANCE = True
STORAGES = ("local",)

QUICK = """
imap_fetch_failure = no-after
fs_sproxyd {
  http_client_request_timeout = 2s
  http_client_connect_timeout = 1s
}
"""
MAIL = 0x01


def ring(make, config=""):
    sproxyd = Sproxyd().start()
    try:
        place = Place(make, "sproxyd-sqlite", "POMBAL_TEST_SPROXYD", sproxyd.url, QUICK + config)
    except BaseException:
        sproxyd.stop()
        raise
    place.instance.on_destroy.append(sproxyd.stop)
    return sproxyd, place


def test_mails_are_objects_with_keys_of_the_ring(make):
    sproxyd, place = ring(make, "fs_sproxyd_class = 1\n")
    first, second = place.deliver("first"), place.deliver("second")
    with place.instance.imap(place.user) as client:
        client.select()
        assert place.has(client, 1, first) and place.has(client, 2, second)
    found = [name.rpartition("/")[2] for name in sproxyd.objects]
    assert all(re.fullmatch(r"[0-9a-f]{30}83[0-9a-f]{4}0010", key) for key in found), found
    assert [int(key[34:36], 16) for key in found].count(MAIL) >= 2, found
    for body, _, _ in sproxyd.objects.values():
        assert b"first" not in body and b"second" not in body, "it lies there in plain text"
    place.instance.stop()


def test_refusals_and_broken_answers_are_asked_again(make):
    _, place = ring(make)
    check_faults(
        place,
        reads=[("refuse", {"status": 423, "kinds": ["GET", "HEAD"], "limit": 2})],
        writes=[("refuse", {"status": 423, "kinds": ["PUT"], "limit": 2})],
    )
    place.instance.stop()


def test_ring_that_is_gone_comes_back(make):
    _, place = ring(make)
    check_outage(place)
    place.instance.stop()
