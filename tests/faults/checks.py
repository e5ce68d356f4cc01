# SPDX-License-Identifier: Apache-2.0
"""What every fault test asks: is all that was acknowledged there, and did nothing crash?"""

import contextlib

from kit import mails
from kit.lmtp import LmtpEnded
from kit.waiting import wait_until


def deliver_some(instance, user, prefix, count, size=2000):
    """Delivers marked mails until one is refused; (marks acknowledged, the refusal or None)."""
    saved = []
    with instance.lmtp() as client:
        for number in range(count):
            mark = f"{prefix}.{number}~"
            client.expect(250, "MAIL FROM:<a@example.org>")
            reply = client.command(f"RCPT TO:<{user}>")
            if reply.code == 250:
                (reply,) = client.send_data(mails.marked(mark, size), 1)
            if reply.code != 250:
                return saved, reply
            saved.append(mark)
    return saved, None


def refusal(instance, user, size=2000):
    """The reply to a delivery that must be refused for now."""
    try:
        saved, reply = deliver_some(instance, user, "refused", 1, size)
    except LmtpEnded as e:
        raise AssertionError(f"instead of an answer: {e}") from e
    assert not saved, "the mail was accepted"
    assert 400 <= reply.code < 500, f"not a refusal for now: {reply}"
    return reply


def marks_in(client, mailbox="INBOX"):
    """The marks of all mails there, in order."""
    if not client.select(mailbox).exists:
        return []
    found = client.fetch("1:*", "BODY.PEEK[HEADER.FIELDS (X-Mark)]")
    texts = [value for items in found.values() for key, value in items.items() if key.startswith("BODY[")]
    return [text.decode().partition(":")[2].strip() for text in texts]


def assert_has(instance, user, marks, others=()):
    """INBOX holds these marks once each, with their bodies; `others` may be there besides."""
    with instance.imap(user) as client:
        have = marks_in(client)
        missing = set(marks) - set(have)
        assert not missing, f"acknowledged, and lost: {sorted(missing)[:10]} of {len(marks)}"
        assert len(have) == len(set(have)), f"there more than once: {sorted(have)}"
        strange = set(have) - set(marks) - set(others)
        assert not strange, f"refused, but there: {sorted(strange)[:10]}"


@contextlib.contextmanager
def same_processes(instance):
    """No process ends meanwhile."""
    before = sorted(instance.processes())
    yield
    after = sorted(instance.processes())
    assert before == after, f"processes ended: {before} became {after}"


def errors_since(instance, at):
    """Lines of the log from byte `at` on that tell of errors."""
    words = ("Error:", "Warning:", "Fatal:", "Panic:")
    return [line for line in instance.log_text()[at:].splitlines() if any(word in line for word in words)]


def assert_told(instance, at, *words):
    """The log tells the operator, with these words, and does not repeat itself without end."""
    def is_told():
        return any(all(word in line for word in words) for line in errors_since(instance, at))

    wait_until(is_told, lambda: f"{words} in one of {errors_since(instance, at)[-10:]}")
    lines = errors_since(instance, at)
    assert len(lines) < 200, f"{len(lines)} lines of errors: {lines[:3]}"
    return lines
