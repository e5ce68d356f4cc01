/* SPDX-License-Identifier: Apache-2.0 */
/* Commands by themselves: order, syntax, pipelining, limits. */
#include "service/lmtp/dialogue.h"

const struct dialogue dialogues_commands[] = {
	{ "RFC 5321 §4.3.1: the server speaks first", "", "S: 220 mail.example.test ..ready.\n" },
	{ "sheet protocols §1.6: what LHLO offers", "",
		"S: 220 ..\n"
		"C: LHLO client.example.org\n"
		"S: 250-mail.example.test\n"
		"S: 250-8BITMIME\n"
		"S: 250-CHUNKING\n"
		"S: 250-ENHANCEDSTATUSCODES\n"
		"S: 250-PIPELINING\n"
		"S: 250-SIZE 1073741824\n"
		"S: 250-STARTTLS\n"
		"S: 250 VRFY\n" },
	{ "RFC 2033 §4.1: HELO is not LMTP", "",
		"S: 220 ..\n"
		"C: HELO client.example.org\n"
		"S: 500 5.5.1 This is LMTP: say LHLO\n" },
	{ "RFC 2033 §4.1: EHLO is not LMTP", "",
		"S: 220 ..\n"
		"C: EHLO client.example.org\n"
		"S: 500 5.5.1 This is LMTP: say LHLO\n" },
	{ "RFC 5321 §2.4: verbs and keywords in any case", "",
		"S: 220 ..\n"
		"C: lhlo CLIENT.example\n"
		"S: 250-mail.example.test\n"
		"S: 250-8BITMIME\n"
		"S: 250-CHUNKING\n"
		"S: 250-ENHANCEDSTATUSCODES\n"
		"S: 250-PIPELINING\n"
		"S: 250-SIZE 1073741824\n"
		"S: 250-STARTTLS\n"
		"S: 250 VRFY\n"
		"C: mAiL fRoM:<a@b> size=5 body=8bitmime\n"
		"S: 250 2.1.0 OK\n"
		"C: rcpt to:<u@example.test>\n"
		"S: 250 2.1.5 OK\n"
		"C: rset\n"
		"S: 250 2.0.0 OK\n" },
	{ "RFC 5321 §4.1.1.1: LHLO wants a name", "",
		"S: 220 ..\n"
		"C: LHLO\n"
		"S: 501 5.5.4 Invalid hostname\n"
		"C: LHLO a..b\n"
		"S: 501 5.5.4 Invalid hostname\n"
		"C: LHLO a b\n"
		"S: 501 5.5.4 Invalid hostname\n" },
	{ "RFC 5321 §4.1.3: LHLO with an address literal", "",
		"S: 220 ..\n"
		"C: LHLO [192.0.2.1]\n"
		"S: 250-mail.example.test\n"
		"S: 250-8BITMIME\n"
		"S: 250-CHUNKING\n"
		"S: 250-ENHANCEDSTATUSCODES\n"
		"S: 250-PIPELINING\n"
		"S: 250-SIZE 1073741824\n"
		"S: 250-STARTTLS\n"
		"S: 250 VRFY\n"
		"C: LHLO [IPv6:2001:db8::1]\n"
		"S: 250-mail.example.test\n"
		"S: 250-8BITMIME\n"
		"S: 250-CHUNKING\n"
		"S: 250-ENHANCEDSTATUSCODES\n"
		"S: 250-PIPELINING\n"
		"S: 250-SIZE 1073741824\n"
		"S: 250-STARTTLS\n"
		"S: 250 VRFY\n" },
	{ "RFC 6531 §3.7.1: no UTF-8 in LHLO", "",
		"S: 220 ..\n"
		"C: LHLO ö.example\n"
		"S: 501 5.5.4 Invalid hostname\n" },
	{ "RFC 5321 §4.1.4: a second LHLO forgets the transaction", "",
		"!hello\n"
		"C: MAIL FROM:<s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO:<u@example.test>\n"
		"S: 250 2.1.5 OK\n"
		"C: LHLO again.example\n"
		"S: 250-mail.example.test\n"
		"S: 250-8BITMIME\n"
		"S: 250-CHUNKING\n"
		"S: 250-ENHANCEDSTATUSCODES\n"
		"S: 250-PIPELINING\n"
		"S: 250-SIZE 1073741824\n"
		"S: 250-STARTTLS\n"
		"S: 250 VRFY\n"
		"C: DATA\n"
		"S: 503 5.5.0 MAIL needed first\n" },
	{ "RFC 5321 §4.1.4: MAIL before LHLO is out of order", "",
		"S: 220 ..\n"
		"C: MAIL FROM:<s@example.org>\n"
		"S: 503 5.5.0 LHLO needed first\n" },
	{ "RFC 5321 §4.1.4: RCPT before MAIL is out of order", "",
		"!hello\n"
		"C: RCPT TO:<u@example.test>\n"
		"S: 503 5.5.0 MAIL needed first\n" },
	{ "RFC 5321 §4.1.4: DATA before MAIL is out of order", "",
		"!hello\n"
		"C: DATA\n"
		"S: 503 5.5.0 MAIL needed first\n" },
	{ "RFC 5321 §4.1.4: MAIL inside a transaction is out of order", "",
		"!hello\n"
		"C: MAIL FROM:<s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C: MAIL FROM:<other@example.org>\n"
		"S: 503 5.5.0 MAIL already given\n"
		"C: RCPT TO:<u@example.test>\n"
		"S: 250 2.1.5 OK\n" },
	{ "RFC 2033 §4.2: DATA without an accepted recipient fails", "",
		"!hello\n"
		"C: MAIL FROM:<s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C: DATA\n"
		"S: 554 5.5.0 No valid recipients\n"
		"C: RCPT TO:<nobody@example.test>\n"
		"S: 550 5.1.1 ..\n"
		"C: DATA\n"
		"S: 554 5.5.0 No valid recipients\n" },
	{ "RFC 5321 §4.1.1.5: RSET forgets sender and recipients", "",
		"!hello\n"
		"C: MAIL FROM:<s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO:<u@example.test>\n"
		"S: 250 2.1.5 OK\n"
		"C: RSET\n"
		"S: 250 2.0.0 OK\n"
		"C: RCPT TO:<u@example.test>\n"
		"S: 503 5.5.0 MAIL needed first\n" },
	{ "RFC 5321 §4.1.1.5: RSET without a transaction", "",
		"S: 220 ..\n"
		"C: RSET\n"
		"S: 250 2.0.0 OK\n" },
	{ "RFC 5321 §4.1.1.5: RSET takes no argument", "",
		"!hello\n"
		"C: RSET now\n"
		"S: 501 5.5.4 Parameters are not allowed here\n" },
	{ "RFC 5321 §4.1.1.9: NOOP at any time, with any words", "",
		"S: 220 ..\n"
		"C: NOOP\n"
		"S: 250 2.0.0 OK\n"
		"C: NOOP with words\n"
		"S: 250 2.0.0 OK\n" },
	{ "RFC 5321 §4.1.1.9: NOOP leaves the transaction alone", "",
		"!hello\n"
		"C: MAIL FROM:<s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO:<u@example.test>\n"
		"S: 250 2.1.5 OK\n"
		"C: NOOP\n"
		"S: 250 2.0.0 OK\n"
		"C: DATA\n"
		"S: 354 OK\n"
		"C: x|.\n"
		"S: 250 2.0.0 <u@example.test> ..:R1 Saved\n"
		"U: u@example.test from s@example.org to u@example.test detail \n" },
	{ "RFC 5321 §4.1.1.6: VRFY tells nothing", "",
		"S: 220 ..\n"
		"C: VRFY u@example.test\n"
		"S: 252 2.3.3 Try RCPT instead\n"
		"C: VRFY nobody@example.test\n"
		"S: 252 2.3.3 Try RCPT instead\n" },
	{ "RFC 5321 §4.1.1.7: EXPN is not done", "",
		"S: 220 ..\n"
		"C: EXPN list\n"
		"S: 502 5.5.1 Command not supported\n" },
	{ "RFC 5321 §4.1.1.8: HELP names the commands", "",
		"S: 220 ..\n"
		"C: HELP\n"
		"S: 214 LHLO ..\n"
		"C: HELP MAIL\n"
		"S: 214 ..\n" },
	{ "RFC 5321 §4.1.1.10: QUIT is answered, then the end", "",
		"S: 220 ..\n"
		"C: QUIT\n"
		"S: 221 2.0.0 Bye\n"
		"S: EOF\n" },
	{ "RFC 5321 §4.1.1.10: QUIT inside a transaction drops it", "",
		"!hello\n"
		"C: MAIL FROM:<s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO:<u@example.test>\n"
		"S: 250 2.1.5 OK\n"
		"C: QUIT\n"
		"S: 221 2.0.0 Bye\n"
		"S: EOF\n" },
	{ "RFC 2920 §3.1: what follows QUIT is not run", "",
		"S: 220 ..\n"
		"C: QUIT|NOOP\n"
		"S: 221 2.0.0 Bye\n"
		"S: EOF\n" },
	{ "RFC 5321 §4.2.4: unknown commands", "",
		"S: 220 ..\n"
		"C: XYZZY\n"
		"S: 500 5.5.1 Unknown command\n"
		"C: NOOPS\n"
		"S: 500 5.5.1 Unknown command\n" },
	{ "RFC 5321 §4.1.1: what is no command at all", "",
		"S: 220 ..\n"
		"C: \n"
		"S: 500 5.5.2 Invalid command syntax\n"
		"C:  NOOP\n"
		"S: 500 5.5.2 Invalid command syntax\n"
		"C: N@P x\n"
		"S: 500 5.5.2 Invalid command syntax\n"
		"C: ^@^@\n"
		"S: 500 5.5.2 Invalid command syntax\n" },
	{ "RFC 4954: AUTH is not offered and not done", "",
		"!hello\n"
		"C: AUTH PLAIN AGEAYg==\n"
		"S: 502 5.5.1 Command not supported\n" },
	{ "sheet protocols §7.1: a lone LF ends a command line", "",
		"S: 220 ..\n"
		"C~ NOOP^JNOOP^J\n"
		"S: 250 2.0.0 OK\n"
		"S: 250 2.0.0 OK\n" },
	{ "sheet protocols §7.1: a lone CR does not", "",
		"S: 220 ..\n"
		"C~ NOOP^MQUIT|\n"
		"S: 500 5.5.2 Invalid command syntax\n" },
	{ "RFC 5321 §4.5.3.1.4: a long line is answered once and skipped", "",
		"S: 220 ..\n"
		"C: VRFY x\n"
		"S: 252 ..\n" },
	{ "sheet protocols §7.1: parameters of 4 KiB are the most", "",
		"!hello\n"
		"C: MAIL FROM:<a@b> "
		"X="
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"xxxxxxxxxxxxxxxxxx\n"
		"S: 501 5.5.4 Parameters too long\n" },
	{ "sheet protocols §7.2: ten invalid commands in a row are the end", "",
		"S: 220 ..\n"
		"C: XYZZY\n"
		"S: 500 5.5.1 ..\n"
		"C: XYZZY\n"
		"S: 500 5.5.1 ..\n"
		"C: XYZZY\n"
		"S: 500 5.5.1 ..\n"
		"C: XYZZY\n"
		"S: 500 5.5.1 ..\n"
		"C: XYZZY\n"
		"S: 500 5.5.1 ..\n"
		"C: XYZZY\n"
		"S: 500 5.5.1 ..\n"
		"C: XYZZY\n"
		"S: 500 5.5.1 ..\n"
		"C: XYZZY\n"
		"S: 500 5.5.1 ..\n"
		"C: XYZZY\n"
		"S: 500 5.5.1 ..\n"
		"C: XYZZY\n"
		"S: 500 5.5.1 ..\n"
		"S: 421 4.7.0 mail.example.test Too many invalid commands\n"
		"S: EOF\n" },
	{ "sheet protocols §7.2: a valid command in between forgives", "",
		"S: 220 ..\n"
		"C: XYZZY\n"
		"S: 500 5.5.1 ..\n"
		"C: XYZZY\n"
		"S: 500 5.5.1 ..\n"
		"C: XYZZY\n"
		"S: 500 5.5.1 ..\n"
		"C: XYZZY\n"
		"S: 500 5.5.1 ..\n"
		"C: XYZZY\n"
		"S: 500 5.5.1 ..\n"
		"C: XYZZY\n"
		"S: 500 5.5.1 ..\n"
		"C: XYZZY\n"
		"S: 500 5.5.1 ..\n"
		"C: XYZZY\n"
		"S: 500 5.5.1 ..\n"
		"C: XYZZY\n"
		"S: 500 5.5.1 ..\n"
		"C: NOOP\n"
		"S: 250 2.0.0 OK\n"
		"C: XYZZY\n"
		"S: 500 5.5.1 ..\n"
		"C: XYZZY\n"
		"S: 500 5.5.1 ..\n"
		"C: XYZZY\n"
		"S: 500 5.5.1 ..\n"
		"C: XYZZY\n"
		"S: 500 5.5.1 ..\n"
		"C: XYZZY\n"
		"S: 500 5.5.1 ..\n"
		"C: XYZZY\n"
		"S: 500 5.5.1 ..\n"
		"C: XYZZY\n"
		"S: 500 5.5.1 ..\n"
		"C: XYZZY\n"
		"S: 500 5.5.1 ..\n"
		"C: XYZZY\n"
		"S: 500 5.5.1 ..\n" },
	{ "RFC 2920 §3.2: commands sent together are answered in order", "",
		"!hello\n"
		"C: MAIL FROM:<s@example.org>|RCPT TO:<u@example.test>|RCPT "
		"TO:<nobody@example.test>|RCPT TO:<v@example.test>|RSET|NOOP\n"
		"S: 250 2.1.0 OK\n"
		"S: 250 2.1.5 OK\n"
		"S: 550 5.1.1 ..\n"
		"S: 250 2.1.5 OK\n"
		"S: 250 2.0.0 OK\n"
		"S: 250 2.0.0 OK\n" },
	{ "RFC 2920 §3.1: LHLO and what follows in one packet", "",
		"C: LHLO c.example|MAIL FROM:<s@example.org>|RCPT "
		"TO:<u@example.test>|DATA|x|.|QUIT\n"
		"S: 220 ..\n"
		"S: 250-mail.example.test\n"
		"S: 250-8BITMIME\n"
		"S: 250-CHUNKING\n"
		"S: 250-ENHANCEDSTATUSCODES\n"
		"S: 250-PIPELINING\n"
		"S: 250-SIZE 1073741824\n"
		"S: 250-STARTTLS\n"
		"S: 250 VRFY\n"
		"S: 250 2.1.0 OK\n"
		"S: 250 2.1.5 OK\n"
		"S: 354 OK\n"
		"S: 250 2.0.0 <u@example.test> ..:R1 Saved\n"
		"U: u@example.test from s@example.org to u@example.test detail \n"
		"M: x|\n"
		"S: 221 2.0.0 Bye\n"
		"S: EOF\n" },
	{ "RFC 2034 §4: every reply but greeting, LHLO and HELP has an enhanced code", "",
		"S: 220 ..\n"
		"C: RSET|VRFY x|XYZZY|MAIL FROM:<>\n"
		"S: 250 2.0.0 ..\n"
		"S: 252 2.3.3 ..\n"
		"S: 500 5.5.1 ..\n"
		"S: 503 5.5.0 ..\n" },
	{ "sheet core §4.6: the greeting is a setting", "login_greeting = Hello there.\n",
		"S: 220 mail.example.test Hello there.\n" },
	{ "sheet protocols §7.2: another connection than client_limit allows is told",
		"service lmtp {\n  client_limit = 1\n}\n",
		"S: 220 ..\n"
		"C: QUIT\n"
		"S: 221 2.0.0 Bye\n"
		"S: EOF\n" },
	{ 0 },
};
