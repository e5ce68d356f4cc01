# SPDX-License-Identifier: Apache-2.0
"""Mails made on the spot: small ones for dialogues, realistic ones for load."""

import base64
import random

WORDS = (
    "the of and to in we is that for it was on with as be at by this have from or had not are but "
    "which you they one report meeting invoice please find attached thanks regards tomorrow budget "
    "project customer delivery schedule update review question answer number office travel server"
).split()


def small(subject="Hello", body="A line.\r\n", sender="sender@example.org", extra=""):
    """A complete plain mail as bytes, with CRLF lines."""
    return (
        f"From: Sender <{sender}>\r\n"
        "To: reader@example.test\r\n"
        f"Subject: {subject}\r\n"
        "Date: Tue, 04 Mar 2025 10:20:30 +0100\r\n"
        f"Message-ID: <{subject.replace(' ', '.')}@example.org>\r\n"
        f"{extra}"
        "\r\n"
        f"{body}"
    ).encode()


def marked(mark, size=2000):
    """A mail that is recognised again by its X-Mark header; `size` bytes of body, roughly."""
    rng = random.Random(mark)
    return small(subject=f"mark {mark}", extra=f"X-Mark: {mark}\r\n", body=text(rng, size))


def text(rng, size):
    lines = []
    have = 0
    while have < size:
        line = " ".join(rng.choices(WORDS, k=11))
        lines.append(line)
        have += len(line) + 2
    return "\r\n".join(lines) + "\r\n"


def realistic_size(rng):
    """Bytes: median 23 kB, mean near 44 kB, at most 2 MB."""
    return int(min(2_000_000, max(900, rng.lognormvariate(10.04, 1.14))))


def realistic(seed):
    """One mail as an office gets it; one in five has an attachment that makes up its size."""
    rng = random.Random(seed)
    size = realistic_size(rng)
    if rng.random() < 0.2:
        return _with_attachment(rng, seed, size)
    return small(subject=f"Realistic {seed}", body=text(rng, max(100, size - 300)))


def _with_attachment(rng, seed, size):
    boundary = f"=_part_{seed}"
    data = base64.encodebytes(rng.randbytes(max(100, (size - 1500) * 73 // 100)))
    body = (
        f"--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text(rng, 800)}"
        f"--{boundary}\r\nContent-Type: application/pdf; name=report-{seed}.pdf\r\n"
        f"Content-Disposition: attachment; filename=report-{seed}.pdf\r\n"
        "Content-Transfer-Encoding: base64\r\n\r\n"
        + data.decode().replace("\n", "\r\n")
        + f"--{boundary}--\r\n"
    )
    extra = f'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="{boundary}"\r\n'
    return small(subject=f"Realistic {seed}", extra=extra, body=body)
