/* SPDX-License-Identifier: Apache-2.0 */
/* Who may talk, and for whom: networks, XCLIENT, STARTTLS, settings of places. */
#include "service/lmtp/dialogue.h"

const struct dialogue dialogues_trust[] = {
	{ "sheet protocols §8: strangers are refused", "",
		"!from 192.0.2.1\n"
		"S: 554 5.7.1 You are not from a trusted network\n"
		"S: EOF\n" },
	{ "sheet protocols §8: loopback may deliver", "",
		"!from 127.0.0.1\n"
		"S: 220 ..\n" },
	{ "sheet protocols §8: loopback of IPv6 may deliver", "",
		"!from ::1\n"
		"S: 220 ..\n" },
	{ "sheet protocols §8: lmtp_trusted_networks may deliver",
		"lmtp_trusted_networks = 10.0.0.0/8 2001:db8::/32\n",
		"!from 10.1.2.3\n"
		"S: 220 ..\n"
		"!from 2001:db8::7\n"
		"S: 220 ..\n"
		"!from 11.1.2.3\n"
		"S: 554 5.7.1 ..\n"
		"S: EOF\n" },
	{ "sheet protocols §8: the client's address stands in Received",
		"lmtp_trusted_networks = 10.0.0.0/8\n",
		"!from 10.1.2.3\n"
		"!hello\n"
		"C: MAIL FROM:<s@example.org>|RCPT TO:<u@example.test>|DATA\n"
		"S: 250 2.1.0 OK\n"
		"S: 250 2.1.5 OK\n"
		"S: 354 OK\n"
		"C: x|.\n"
		"S: 250 2.0.0 <u@example.test> ..:R1 Saved\n"
		"U: u@example.test from s@example.org to u@example.test detail \n"
		"H: ..Received: from client.example.org ([10.1.2.3])|..\n" },
	{ "sheet protocols §1.6: XCLIENT is offered to trusted peers alone",
		"login_trusted_networks = 127.0.0.0/8\n",
		"!from 127.0.0.1\n"
		"S: 220 ..\n"
		"C: LHLO c.example\n"
		"S: 250-mail.example.test\n"
		"S: 250-8BITMIME\n"
		"S: 250-CHUNKING\n"
		"S: 250-ENHANCEDSTATUSCODES\n"
		"S: 250-PIPELINING\n"
		"S: 250-SIZE 1073741824\n"
		"S: 250-STARTTLS\n"
		"S: 250-VRFY\n"
		"S: 250-XCLIENT ADDR PORT DESTADDR DESTPORT DESTNAME HELO LOGIN PROTO SESSION "
		"CLIENT-TRANSPORT TTL TIMEOUT FORWARD\n"
		"S: 250 XRCPTFORWARD\n" },
	{ "sheet protocols §7.3: XCLIENT from others",
		"login_trusted_networks = 127.0.0.0/8\nlmtp_trusted_networks = 10.0.0.0/8\n",
		"!from 10.1.2.3\n"
		"!hello\n"
		"C: XCLIENT ADDR=192.0.2.1\n"
		"S: 550 5.7.14 You are not from trusted IP\n" },
	{ "sheet protocols §7.3: XCLIENT by the UNIX socket",
		"login_trusted_networks = 127.0.0.0/8\n",
		"!hello\n"
		"C: XCLIENT ADDR=192.0.2.1\n"
		"S: 550 5.7.14 You are not from trusted IP\n" },
	{ "sheet protocols §7.3: XCLIENT begins anew", "login_trusted_networks = 127.0.0.0/8\n",
		"!from 127.0.0.1\n"
		"!hello\n"
		"C: XCLIENT ADDR=192.0.2.1\n"
		"S: 220 mail.example.test ..\n"
		"C: MAIL FROM:<a@b>\n"
		"S: 503 5.5.0 LHLO needed first\n"
		"C: LHLO c.example\n"
		"S: 250-mail.example.test\n"
		"S: 250-8BITMIME\n"
		"S: 250-CHUNKING\n"
		"S: 250-ENHANCEDSTATUSCODES\n"
		"S: 250-PIPELINING\n"
		"S: 250-SIZE 1073741824\n"
		"S: 250-STARTTLS\n"
		"S: 250-VRFY\n"
		"S: 250-XCLIENT ADDR PORT DESTADDR DESTPORT DESTNAME HELO LOGIN PROTO SESSION "
		"CLIENT-TRANSPORT TTL TIMEOUT FORWARD\n"
		"S: 250 XRCPTFORWARD\n" },
	{ "sheet protocols §7.3: address, name and login stand in the trace",
		"login_trusted_networks = 127.0.0.0/8\n",
		"!from 127.0.0.1\n"
		"!hello\n"
		"C: XCLIENT ADDR=192.0.2.7 PORT=4711 HELO=real.example LOGIN=u+40x "
		"CLIENT-TRANSPORT=TLS\n"
		"S: 220 ..\n"
		"C: LHLO filter.example\n"
		"S: 250-mail.example.test\n"
		"S: 250-8BITMIME\n"
		"S: 250-CHUNKING\n"
		"S: 250-ENHANCEDSTATUSCODES\n"
		"S: 250-PIPELINING\n"
		"S: 250-SIZE 1073741824\n"
		"S: 250-STARTTLS\n"
		"S: 250-VRFY\n"
		"S: 250-XCLIENT ADDR PORT DESTADDR DESTPORT DESTNAME HELO LOGIN PROTO SESSION "
		"CLIENT-TRANSPORT TTL TIMEOUT FORWARD\n"
		"S: 250 XRCPTFORWARD\n"
		"C: MAIL FROM:<s@example.org>|RCPT TO:<u@example.test>|DATA\n"
		"S: 250 2.1.0 OK\n"
		"S: 250 2.1.5 OK\n"
		"S: 354 OK\n"
		"C: x|.\n"
		"S: 250 2.0.0 <u@example.test> ..:R1 Saved\n"
		"U: u@example.test from s@example.org to u@example.test detail \n"
		"H: ..Received: from real.example ([192.0.2.7])|	by mail.example.test with "
		"LMTPSA|..\n" },
	{ "sheet protocols §7.3: an IPv6 address", "login_trusted_networks = 127.0.0.0/8\n",
		"!from 127.0.0.1\n"
		"!hello\n"
		"C: XCLIENT ADDR=IPV6:2001:db8::5\n"
		"S: 220 ..\n"
		"C: LHLO filter.example\n"
		"S: 250-mail.example.test\n"
		"S: 250-8BITMIME\n"
		"S: 250-CHUNKING\n"
		"S: 250-ENHANCEDSTATUSCODES\n"
		"S: 250-PIPELINING\n"
		"S: 250-SIZE 1073741824\n"
		"S: 250-STARTTLS\n"
		"S: 250-VRFY\n"
		"S: 250-XCLIENT ADDR PORT DESTADDR DESTPORT DESTNAME HELO LOGIN PROTO SESSION "
		"CLIENT-TRANSPORT TTL TIMEOUT FORWARD\n"
		"S: 250 XRCPTFORWARD\n"
		"C: MAIL FROM:<s@example.org>|RCPT TO:<u@example.test>|DATA\n"
		"S: 250 2.1.0 OK\n"
		"S: 250 2.1.5 OK\n"
		"S: 354 OK\n"
		"C: x|.\n"
		"S: 250 2.0.0 <u@example.test> ..:R1 Saved\n"
		"U: u@example.test from s@example.org to u@example.test detail \n"
		"H: ..([IPv6:2001:db8::5])..\n" },
	{ "sheet protocols §7.3: SESSION is the session's name",
		"login_trusted_networks = 127.0.0.0/8\n",
		"!from 127.0.0.1\n"
		"!hello\n"
		"C: XCLIENT SESSION=outer-1\n"
		"S: 220 ..\n"
		"C: LHLO filter.example\n"
		"S: 250-mail.example.test\n"
		"S: 250-8BITMIME\n"
		"S: 250-CHUNKING\n"
		"S: 250-ENHANCEDSTATUSCODES\n"
		"S: 250-PIPELINING\n"
		"S: 250-SIZE 1073741824\n"
		"S: 250-STARTTLS\n"
		"S: 250-VRFY\n"
		"S: 250-XCLIENT ADDR PORT DESTADDR DESTPORT DESTNAME HELO LOGIN PROTO SESSION "
		"CLIENT-TRANSPORT TTL TIMEOUT FORWARD\n"
		"S: 250 XRCPTFORWARD\n"
		"C: MAIL FROM:<s@example.org>|RCPT TO:<u@example.test>|DATA\n"
		"S: 250 2.1.0 OK\n"
		"S: 250 2.1.5 OK\n"
		"S: 354 OK\n"
		"C: x|.\n"
		"S: 250 2.0.0 <u@example.test> outer-1:R1 Saved\n"
		"U: ..\n"
		"H: ..|	id outer-1:R1|..\n" },
	{ "sheet protocols §7.3: attributes may come in several commands",
		"login_trusted_networks = 127.0.0.0/8\n",
		"!from 127.0.0.1\n"
		"!hello\n"
		"C: XCLIENT HELO=one.example\n"
		"S: 220 ..\n"
		"C: XCLIENT ADDR=192.0.2.9\n"
		"S: 220 ..\n"
		"C: LHLO filter.example\n"
		"S: 250-mail.example.test\n"
		"S: 250-8BITMIME\n"
		"S: 250-CHUNKING\n"
		"S: 250-ENHANCEDSTATUSCODES\n"
		"S: 250-PIPELINING\n"
		"S: 250-SIZE 1073741824\n"
		"S: 250-STARTTLS\n"
		"S: 250-VRFY\n"
		"S: 250-XCLIENT ADDR PORT DESTADDR DESTPORT DESTNAME HELO LOGIN PROTO SESSION "
		"CLIENT-TRANSPORT TTL TIMEOUT FORWARD\n"
		"S: 250 XRCPTFORWARD\n"
		"C: MAIL FROM:<s@example.org>|RCPT TO:<u@example.test>|DATA\n"
		"S: 250 2.1.0 OK\n"
		"S: 250 2.1.5 OK\n"
		"S: 354 OK\n"
		"C: x|.\n"
		"S: 250 2.0.0 <u@example.test> ..:R1 Saved\n"
		"U: u@example.test from s@example.org to u@example.test detail \n"
		"H: ..Received: from one.example ([192.0.2.9])|..\n" },
	{ "sheet protocols §7.3: unavailable values", "login_trusted_networks = 127.0.0.0/8\n",
		"!from 127.0.0.1\n"
		"!hello\n"
		"C: XCLIENT ADDR=[UNAVAILABLE] HELO=[TEMPUNAVAIL] LOGIN=[UNAVAILABLE]\n"
		"S: 220 ..\n"
		"C: LHLO filter.example\n"
		"S: 250-mail.example.test\n"
		"S: 250-8BITMIME\n"
		"S: 250-CHUNKING\n"
		"S: 250-ENHANCEDSTATUSCODES\n"
		"S: 250-PIPELINING\n"
		"S: 250-SIZE 1073741824\n"
		"S: 250-STARTTLS\n"
		"S: 250-VRFY\n"
		"S: 250-XCLIENT ADDR PORT DESTADDR DESTPORT DESTNAME HELO LOGIN PROTO SESSION "
		"CLIENT-TRANSPORT TTL TIMEOUT FORWARD\n"
		"S: 250 XRCPTFORWARD\n"
		"C: MAIL FROM:<s@example.org>|RCPT TO:<u@example.test>|DATA\n"
		"S: 250 2.1.0 OK\n"
		"S: 250 2.1.5 OK\n"
		"S: 354 OK\n"
		"C: x|.\n"
		"S: 250 2.0.0 <u@example.test> ..:R1 Saved\n"
		"U: u@example.test from s@example.org to u@example.test detail \n"
		"H: ..Received: from filter.example|	by mail.example.test with LMTP|..\n" },
	{ "sheet protocols §7.3: not inside a transaction",
		"login_trusted_networks = 127.0.0.0/8\n",
		"!from 127.0.0.1\n"
		"!hello\n"
		"C: MAIL FROM:<a@b>\n"
		"S: 250 2.1.0 OK\n"
		"C: XCLIENT ADDR=192.0.2.1\n"
		"S: 503 5.5.0 XCLIENT not allowed in a transaction\n" },
	{ "sheet protocols §7.3: wrong values change nothing",
		"login_trusted_networks = 127.0.0.0/8\n",
		"!from 127.0.0.1\n"
		"!hello\n"
		"C: XCLIENT ADDR=not-an-ip\n"
		"S: 501 5.5.4 Invalid XCLIENT parameters\n"
		"C: XCLIENT PORT=70000\n"
		"S: 501 5.5.4 ..\n"
		"C: XCLIENT PROTO=HTTP\n"
		"S: 501 5.5.4 ..\n"
		"C: XCLIENT HELO=a+0D+0Ab\n"
		"S: 501 5.5.4 ..\n"
		"C: XCLIENT FUTURE=1\n"
		"S: 501 5.5.4 ..\n"
		"C: XCLIENT\n"
		"S: 501 5.5.4 Missing parameters\n"
		"C: MAIL FROM:<a@b>\n"
		"S: 250 2.1.0 OK\n" },
	{ "sheet protocols §7.3: TTL, TIMEOUT, PROTO, DEST and FORWARD are understood",
		"login_trusted_networks = 127.0.0.0/8\n",
		"!from 127.0.0.1\n"
		"!hello\n"
		"C: XCLIENT TTL=4 TIMEOUT=60 PROTO=ESMTP DESTADDR=192.0.2.3 DESTPORT=24 "
		"DESTNAME=mx.example FORWARD=YT1i\n"
		"S: 220 ..\n" },
	{ "sheet protocols §7.3: who is trusted stays so whatever he tells",
		"login_trusted_networks = 127.0.0.0/8\n",
		"!from 127.0.0.1\n"
		"!hello\n"
		"C: XCLIENT ADDR=203.0.113.9\n"
		"S: 220 ..\n"
		"C: LHLO filter.example\n"
		"S: 250-mail.example.test\n"
		"S: 250-8BITMIME\n"
		"S: 250-CHUNKING\n"
		"S: 250-ENHANCEDSTATUSCODES\n"
		"S: 250-PIPELINING\n"
		"S: 250-SIZE 1073741824\n"
		"S: 250-STARTTLS\n"
		"S: 250-VRFY\n"
		"S: 250-XCLIENT ADDR PORT DESTADDR DESTPORT DESTNAME HELO LOGIN PROTO SESSION "
		"CLIENT-TRANSPORT TTL TIMEOUT FORWARD\n"
		"S: 250 XRCPTFORWARD\n"
		"C: XCLIENT ADDR=203.0.113.10\n"
		"S: 220 ..\n" },
	{ "sheet protocols §8: XRCPTFORWARD from trusted peers",
		"login_trusted_networks = 127.0.0.0/8\n",
		"!from 127.0.0.1\n"
		"!hello\n"
		"C: MAIL FROM:<s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO:<u@example.test> XRCPTFORWARD=a2V5PXZhbHVl\n"
		"S: 250 2.1.5 OK\n"
		"C: RCPT TO:<u@example.test> XRCPTFORWARD=a2V5PXY+3D\n"
		"S: 250 2.1.5 OK\n"
		"C: RCPT TO:<u@example.test> XRCPTFORWARD=bm9rZXk\n"
		"S: 501 5.5.4 Invalid XRCPTFORWARD parameter\n"
		"C: RCPT TO:<u@example.test> XRCPTFORWARD=!\n"
		"S: 501 5.5.4 Invalid XRCPTFORWARD parameter\n" },
	{ "sheet protocols §8: XRCPTFORWARD from others", "",
		"!hello\n"
		"C: MAIL FROM:<s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO:<u@example.test> XRCPTFORWARD=a2V5PXZhbHVl\n"
		"S: 550 5.7.14 You are not from trusted IP\n" },
	{ "RFC 3207 §4: STARTTLS, and LHLO again without it", "",
		"!hello\n"
		"C: STARTTLS\n"
		"S: 220 2.0.0 Begin TLS negotiation now.\n"
		"!tls\n"
		"C: LHLO c.example\n"
		"S: 250-mail.example.test\n"
		"S: 250-8BITMIME\n"
		"S: 250-CHUNKING\n"
		"S: 250-ENHANCEDSTATUSCODES\n"
		"S: 250-PIPELINING\n"
		"S: 250-SIZE 1073741824\n"
		"S: 250 VRFY\n"
		"C: MAIL FROM:<s@example.org>|RCPT TO:<u@example.test>|DATA\n"
		"S: 250 2.1.0 OK\n"
		"S: 250 2.1.5 OK\n"
		"S: 354 OK\n"
		"C: x|.\n"
		"S: 250 2.0.0 <u@example.test> ..:R1 Saved\n"
		"U: u@example.test from s@example.org to u@example.test detail \n"
		"H: ..with LMTPS|..\n" },
	{ "RFC 3207 §4.2: nothing is known after the handshake", "",
		"!hello\n"
		"C: MAIL FROM:<s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO:<u@example.test>\n"
		"S: 250 2.1.5 OK\n"
		"C: STARTTLS\n"
		"S: 220 2.0.0 Begin TLS negotiation now.\n"
		"!tls\n"
		"C: DATA\n"
		"S: 503 5.5.0 MAIL needed first\n"
		"C: MAIL FROM:<a@b>\n"
		"S: 503 5.5.0 LHLO needed first\n" },
	{ "RFC 3207 §4.2: what XCLIENT told is forgotten too",
		"login_trusted_networks = 127.0.0.0/8\n",
		"!from 127.0.0.1\n"
		"!hello\n"
		"C: XCLIENT HELO=evil.example LOGIN=root\n"
		"S: 220 ..\n"
		"C: STARTTLS\n"
		"S: 220 2.0.0 ..\n"
		"!tls\n"
		"C: LHLO good.example\n"
		"S: 250-mail.example.test\n"
		"S: 250-8BITMIME\n"
		"S: 250-CHUNKING\n"
		"S: 250-ENHANCEDSTATUSCODES\n"
		"S: 250-PIPELINING\n"
		"S: 250-SIZE 1073741824\n"
		"S: 250-VRFY\n"
		"S: 250-XCLIENT ADDR PORT DESTADDR DESTPORT DESTNAME HELO LOGIN PROTO SESSION "
		"CLIENT-TRANSPORT TTL TIMEOUT FORWARD\n"
		"S: 250 XRCPTFORWARD\n"
		"C: MAIL FROM:<s@example.org>|RCPT TO:<u@example.test>|DATA\n"
		"S: 250 2.1.0 OK\n"
		"S: 250 2.1.5 OK\n"
		"S: 354 OK\n"
		"C: x|.\n"
		"S: 250 2.0.0 <u@example.test> ..:R1 Saved\n"
		"U: u@example.test from s@example.org to u@example.test detail \n"
		"H: ..Received: from good.example ..with LMTPS|..\n" },
	{ "RFC 3207 §4: STARTTLS takes no argument", "",
		"!hello\n"
		"C: STARTTLS now\n"
		"S: 501 5.5.4 Parameters are not allowed here\n" },
	{ "RFC 3207 §4: STARTTLS twice", "",
		"!hello\n"
		"C: STARTTLS\n"
		"S: 220 2.0.0 ..\n"
		"!tls\n"
		"C: STARTTLS\n"
		"S: 502 5.5.1 TLS is already active.\n" },
	{ "sheet protocols §7.2: STARTTLS with ssl = no", "ssl = no\n",
		"S: 220 ..\n"
		"C: LHLO c.example\n"
		"S: 250-mail.example.test\n"
		"S: 250-8BITMIME\n"
		"S: 250-CHUNKING\n"
		"S: 250-ENHANCEDSTATUSCODES\n"
		"S: 250-PIPELINING\n"
		"S: 250-SIZE 1073741824\n"
		"S: 250 VRFY\n"
		"C: STARTTLS\n"
		"S: 502 5.5.1 TLS support is not enabled.\n" },
	{ "sheet core §4.6: new settings are for new connections", "",
		"!hello\n"
		"!reload login_greeting = New words.\n"
		"C: LHLO c.example\n"
		"S: 250-mail.example.test\n"
		"S: 250-8BITMIME\n"
		"S: 250-CHUNKING\n"
		"S: 250-ENHANCEDSTATUSCODES\n"
		"S: 250-PIPELINING\n"
		"S: 250-SIZE 1073741824\n"
		"S: 250-STARTTLS\n"
		"S: 250 VRFY\n"
		"!from 127.0.0.1\n"
		"S: 220 mail.example.test New words.\n" },
	{ "sheet core §1.10: settings for a client's address",
		"remote 10.0.0.0/8 {\n  lmtp_trusted_networks = 10.0.0.0/8\n  login_greeting = "
		"Neighbour.\n}\n",
		"S: 220 ..ready.\n"
		"!from 10.1.1.1\n"
		"S: 220 mail.example.test Neighbour.\n" },
	{ "sheet core §1.10: settings for a name asked for in TLS",
		"local_name localhost {\n  lmtp_max_mail_size = 5000\n}\n",
		"!hello\n"
		"C: STARTTLS\n"
		"S: 220 ..\n"
		"!tls\n"
		"C: LHLO c.example\n"
		"S: 250-mail.example.test\n"
		"S: 250-8BITMIME\n"
		"S: 250-CHUNKING\n"
		"S: 250-ENHANCEDSTATUSCODES\n"
		"S: 250-PIPELINING\n"
		"S: 250-SIZE 5000\n"
		"S: 250 VRFY\n" },
	{ "sheet core §7.3: the client behind a load balancer is the one that counts",
		"haproxy_trusted_networks = 127.0.0.0/8\nlmtp_trusted_networks = 192.0.2.0/24\n",
		"!door proxy\n"
		"!from 127.0.0.1\n"
		"C: PROXY TCP4 192.0.2.9 198.51.100.1 4000 24\n"
		"!hello\n"
		"C: MAIL FROM:<s@example.org>|RCPT TO:<u@example.test>|DATA|x|.\n"
		"S: 250 2.1.0 OK\n"
		"S: 250 2.1.5 OK\n"
		"S: 354 OK\n"
		"S: 250 2.0.0 ..\n"
		"U: ..\n"
		"H: ..([192.0.2.9])..\n" },
	{ "sheet core §7.3: trust follows the address in the header",
		"haproxy_trusted_networks = 127.0.0.0/8\n",
		"!door proxy\n"
		"!from 127.0.0.1\n"
		"C: PROXY TCP4 203.0.113.9 198.51.100.1 4000 24\n"
		"S: 554 5.7.1 You are not from a trusted network\n"
		"S: EOF\n" },
	{ "sheet core §7.3: a header from others, or none, is the end",
		"haproxy_trusted_networks = 10.0.0.0/8\nlmtp_trusted_networks = 10.0.0.0/8\n",
		"!door proxy\n"
		"!from 127.0.0.1\n"
		"!cut\n"
		"!from 10.0.0.1\n"
		"C: LHLO c.example\n"
		"!cut\n" },
	{ "sheet core §5.1: a listener with ssl = yes begins with the handshake", "",
		"!door tls\n"
		"!from 127.0.0.1\n"
		"!tls\n"
		"!hello\n"
		"C: STARTTLS\n"
		"S: 502 5.5.1 TLS is already active.\n" },
	{ 0 },
};
