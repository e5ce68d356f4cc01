#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Hostile and odd mails, generated: what parsers of MIME and headers break on.

samples() yields (name, bytes), ending with CRLF, as SMTP transports them. Run as a
program it writes them into a directory, one file each: seeds for fuzzing, input for other servers.
To extend: write a function that returns bytes and decorate it with @sample."""

import pathlib
import sys

_SAMPLES = []


def sample(make):
    _SAMPLES.append((make.__name__, make))
    return make


def samples():
    for name, make in _SAMPLES:
        mail = make()
        yield name, mail if mail.endswith(b"\r\n") else mail + b"\r\n"


def _mail(header, body=""):
    base = "From: a@example.org\r\nSubject: hostile\r\nDate: Tue, 04 Mar 2025 10:20:30 +0100\r\n"
    return (base + header + "\r\n" + body).encode("latin-1")


def _multipart(body, boundary="b", subtype="mixed", extra=""):
    head = f'MIME-Version: 1.0\r\nContent-Type: multipart/{subtype}; boundary="{boundary}"\r\n'
    return _mail(head + extra, body)


# ---- shapes of a mail


@sample
def header_only():
    return b"Subject: no body at all\r\n\r\n"


@sample
def header_without_blank_line():
    return b"From: a@example.org\r\nSubject: the header never ends\r\n"


@sample
def body_only():
    return b"\r\nThere is no header here.\r\n"


@sample
def one_byte():
    return b"x\r\n"


@sample
def empty_line_only():
    return b"\r\n"


@sample
def dots():
    return _mail("", ".\r\n..\r\n...\r\n.x\r\n. \r\n\r\n.\r\n")


@sample
def begins_with_dot():
    return b".Subject: dot\r\n\r\n.\r\n"


@sample
def binary_body():
    return _mail("Content-Transfer-Encoding: binary\r\n") + bytes(
        b for b in range(256) if b not in (0, 10, 13)
    ) + b"\r\n"


@sample
def eight_bit_header():
    return _mail("X-Raw: gr\xfc\xdfe \xff\xfe\r\nTo: J\xf6rg <j@example.org>\r\n", "8 bit\r\n")


@sample
def utf8_header():
    return "From: Jörg <j@example.org>\r\nSubject: Grüße ☃\r\n\r\nschön\r\n".encode()


@sample
def line_of_100_kilobytes():
    return _mail("", "x" * 100_000 + "\r\n")


@sample
def header_line_of_100_kilobytes():
    return _mail("X-Long: " + "y" * 100_000 + "\r\n", "body\r\n")


@sample
def header_folded_ten_thousand_times():
    return _mail("X-Fold: a" + "\r\n b" * 10_000 + "\r\n", "body\r\n")


@sample
def ten_thousand_header_fields():
    return _mail("".join(f"X-Field-{i}: {i}\r\n" for i in range(10_000)), "body\r\n")


@sample
def header_line_without_colon():
    return b"From: a@example.org\r\nthis line has no colon\r\nSubject: after it\r\n\r\nbody\r\n"


@sample
def header_begins_with_fold():
    return b" folded before any field\r\nSubject: x\r\n\r\nbody\r\n"


@sample
def field_name_of_2000_bytes():
    return _mail("N" * 2000 + ": value\r\n", "body\r\n")


@sample
def spaces_before_colon():
    return b"From : a@example.org\r\nSubject \t: spaced\r\n\r\nbody\r\n"


@sample
def fields_twice():
    return (
        b"From: a@example.org\r\nFrom: b@example.org\r\nSubject: one\r\nSubject: two\r\n"
        b"Date: Tue, 04 Mar 2025 10:20:30 +0100\r\nDate: nonsense\r\nTo: c@x.org\r\nTo: d@x.org\r\n"
        b"\r\nbody\r\n"
    )


# ---- addresses, dates, words


@sample
def address_group():
    return _mail("To: friends: a@example.org, B <b@example.org>;, empty:;\r\n")


@sample
def address_garbage():
    return _mail("To: <<<>>>,,,;;;:::@@@\r\nCc: a@\r\nBcc: @b\r\nReply-To: <\r\nSender: \"\r\n")


@sample
def address_comment_bomb():
    return _mail("To: " + "(" * 20_000 + ")" * 20_000 + " a@example.org\r\n")


@sample
def address_comment_ends_in_backslash():
    return _mail("To: a@example.org (comment \\\r\n")


@sample
def address_route():
    return _mail("To: <@a.example.org,@b.example.org:user@example.org>\r\n")


@sample
def address_list_of_5000():
    return _mail("To: " + ",\r\n ".join(f"U{i} <u{i}@example.org>" for i in range(5000)) + "\r\n")


@sample
def address_quotes_and_backslashes():
    return _mail('To: "a \\"quoted\\" \\\\ name" <"odd \\" local"@example.org>\r\n')


@sample
def dates_that_do_not_exist():
    return b"Date: Mon, 31 Feb 2025 25:61:61 +9999\r\nSubject: date\r\n\r\nbody\r\n"


@sample
def date_of_two_digits():
    return b"Date: 1 Jan 49 00:00 EST\r\nSubject: date\r\n\r\nbody\r\n"


@sample
def encoded_words():
    return _mail(
        "Subject: =?utf-8?B?R3LDvMOf?= =?utf-8?Q?e_=E2=98=83?= =?iso-8859-1*de?Q?=FC?=\r\n"
        "X-Bad: =?utf-8?B?###?= =?x?Q?=ZZ?= =?=?= =?utf-8?Q?never ends\r\n"
    )


@sample
def encoded_word_bomb():
    return _mail("Subject: " + "=?utf-8?Q?x?= " * 10_000 + "\r\n")


@sample
def references_of_5000_ids():
    ids = "\r\n ".join(f"<{i}@example.org>" for i in range(5000))
    return _mail(f"References: {ids}\r\nIn-Reply-To: {ids[:300]}\r\nMessage-ID: <<>>\r\n")


# ---- MIME


@sample
def multipart_without_boundary():
    return _mail("MIME-Version: 1.0\r\nContent-Type: multipart/mixed\r\n", "--b\r\n\r\nx\r\n")


@sample
def multipart_without_parts():
    return _multipart("There is no delimiter in here.\r\n")


@sample
def multipart_never_closed():
    return _multipart("--b\r\n\r\none\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>two")


@sample
def multipart_empty_parts():
    return _multipart("--b\r\n--b\r\n\r\n--b\r\n\r\n\r\n--b--\r\n")


@sample
def multipart_preamble_and_epilogue():
    return _multipart("preamble\r\n--b\r\n\r\none\r\n--b--\r\nepilogue\r\n--b\r\nnot a part\r\n")


@sample
def multipart_boundary_is_prefix():
    inner = (
        'Content-Type: multipart/mixed; boundary="outer2"\r\n\r\n'
        "--outer2\r\n\r\ninner\r\n--outer2--\r\n"
    )
    return _multipart(f"--outer\r\n{inner}--outer\r\n\r\nlast\r\n--outer--\r\n", "outer")


@sample
def multipart_outer_boundary_closes_inner():
    inner = 'Content-Type: multipart/mixed; boundary="i"\r\n\r\n--i\r\n\r\nnever closed\r\n'
    return _multipart(f"--o\r\n{inner}--o\r\n\r\nlast\r\n--o--\r\n", "o")


@sample
def multipart_same_boundary_inside():
    inner = 'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n\r\ninner\r\n--b--\r\n'
    return _multipart(f"--b\r\n{inner}--b--\r\n")


@sample
def multipart_boundary_of_10_kilobytes():
    boundary = "B" * 10_000
    return _multipart(f"--{boundary}\r\n\r\nx\r\n--{boundary}--\r\n", boundary)


@sample
def multipart_boundary_trailing_spaces():
    return _multipart("--b  \t \r\n\r\none\r\n--b-- \r\n")


@sample
def multipart_bare_line_feeds():
    return _multipart("").replace(b"\r\n\r\n", b"\r\n\r\n--b\n\none\n--b\n\ntwo\n--b--\n") + b"\r\n"


@sample
def multipart_200_levels():
    out = "Content-Type: text/plain\r\n\r\nthe deepest\r\n"
    for i in range(200):
        out = f'Content-Type: multipart/mixed; boundary="n{i}"\r\n\r\n--n{i}\r\n{out}--n{i}--\r\n'
    head, body = out.split("\r\n\r\n", 1)
    return _mail(f"MIME-Version: 1.0\r\n{head}\r\n", body)


@sample
def multipart_3000_parts():
    return _multipart("".join(f"--b\r\n\r\npart {i}\r\n" for i in range(3000)) + "--b--\r\n")


@sample
def multipart_digest():
    part = "--b\r\n\r\nSubject: inside a digest\r\n\r\nbody\r\n"
    return _multipart(part * 3 + "--b--\r\n", subtype="digest")


@sample
def message_inside_message():
    inner = "Content-Type: message/rfc822\r\n\r\nSubject: inner\r\nContent-Type: message/rfc822\r\n\r\n"
    return _multipart(f"--b\r\n{inner}Subject: innermost\r\n\r\nbody\r\n--b--\r\n")


@sample
def message_150_levels():
    head = "Content-Type: message/rfc822\r\n\r\n"
    outer = "MIME-Version: 1.0\r\nContent-Type: message/rfc822\r\n"
    return _mail(outer, head * 150 + "Subject: x\r\n\r\nbody\r\n")


@sample
def message_in_base64():
    head = "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n"
    return _mail(head, "U3ViamVjdDogeA0KDQpib2R5DQo=\r\n")


@sample
def content_type_garbage():
    return _mail("Content-Type: ;;;===///\r\nContent-Transfer-Encoding: \x01?\r\n", "body\r\n")


@sample
def content_type_parameters_2231():
    return _mail(
        "Content-Type: application/x; name*0*=utf-8'en'a%20b; name*2=late; name*1*=%E2%98%83;\r\n"
        "\tname*99999999999=huge; x*=broken; =; y; z=\"unterminated\r\n"
        "Content-Disposition: attachment; filename*=iso-8859-1''%FC.txt; filename=plain.txt\r\n"
    )


@sample
def content_type_parameter_bomb():
    return _mail("Content-Type: text/plain" + "".join(f"; p*{i}=x" for i in range(20_000)) + "\r\n")


@sample
def content_fields_all():
    return _mail(
        "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8; format=flowed\r\n"
        "Content-ID: <id@example.org>\r\nContent-Description: =?utf-8?Q?d=C3=A9?=\r\n"
        "Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==\r\nContent-Language: de, en ,fr\r\n"
        "Content-Location: http://example.org/x\r\nContent-Disposition: inline\r\n",
        "body\r\n",
    )


@sample
def base64_garbage():
    return _mail("Content-Transfer-Encoding: base64\r\n", "%%%=a=b=\r\n" + "A" * 5000 + "\r\n====\r\n")


@sample
def quoted_printable_garbage():
    return _mail("Content-Transfer-Encoding: quoted-printable\r\n", "=\r\n=Z\r\n=4\r\n==\r\n=F" * 200 + "\r\n=\r\n")


@sample
def charset_unknown():
    return _mail("Content-Type: text/plain; charset=x-none-such\r\n", "\xe4\xf6\xfc\r\n")


@sample
def null_bytes():
    return b"Subject: nul\x00inside\r\nX-\x00: y\r\n\r\nbody\x00with\x00nul\r\n"


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: samples.py DIRECTORY")
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, mail in samples():
        (folder / f"{name}.eml").write_bytes(mail)


if __name__ == "__main__":
    main()
