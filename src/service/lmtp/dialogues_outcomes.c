/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of a mail for each of its recipients. */
#include "service/lmtp/dialogue.h"

const struct dialogue dialogues_outcomes[] = {
	{ "sheet protocols §8: over quota is permanent", "",
		"!hello\n"
		"C: MAIL FROM:<s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO:<full@example.test>\n"
		"S: 250 2.1.5 OK\n"
		"C: DATA\n"
		"S: 354 OK\n"
		"C: x|.\n"
		"S: 552 5.2.2 <full@example.test> Quota exceeded (mailbox for user is full)\n" },
	{ "sheet core §4.6: quota_full_tempfail", "quota_full_tempfail = yes\n",
		"!hello\n"
		"C: MAIL FROM:<s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO:<full@example.test>\n"
		"S: 250 2.1.5 OK\n"
		"C: DATA\n"
		"S: 354 OK\n"
		"C: x|.\n"
		"S: 452 4.2.2 <full@example.test> Quota exceeded (mailbox for user is full)\n" },
	{ "sheet protocols §8: a full disk is our trouble", "",
		"!hello\n"
		"C: MAIL FROM:<s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO:<disk@example.test>\n"
		"S: 250 2.1.5 OK\n"
		"C: DATA\n"
		"S: 354 OK\n"
		"C: x|.\n"
		"S: 451 4.3.0 <disk@example.test> Temporary internal error\n" },
	{ "sheet protocols §8: what is out of order is not explained", "",
		"!hello\n"
		"C: MAIL FROM:<s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO:<down@example.test>\n"
		"S: 250 2.1.5 OK\n"
		"C: DATA\n"
		"S: 354 OK\n"
		"C: x|.\n"
		"S: 451 4.3.0 <down@example.test> Temporary internal error\n" },
	{ "sheet core §4.6: lmtp_verbose_replies explains a delivery",
		"lmtp_verbose_replies = yes\n",
		"!hello\n"
		"C: MAIL FROM:<s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO:<disk@example.test>\n"
		"S: 250 2.1.5 OK\n"
		"C: DATA\n"
		"S: 354 OK\n"
		"C: x|.\n"
		"S: 451 4.3.0 <disk@example.test> Temporary internal error (No space left on "
		"device)\n" },
	{ "sheet protocols §8: a user who is gone by then", "",
		"!hello\n"
		"C: MAIL FROM:<s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO:<gone@example.test>\n"
		"S: 250 2.1.5 OK\n"
		"C: DATA\n"
		"S: 354 OK\n"
		"C: x|.\n"
		"S: 550 5.1.1 <gone@example.test> User doesn't exist: gone@example.test\n" },
	{ "RFC 2033 §4.2: a reply for each recipient, in the order of RCPT", "",
		"!hello\n"
		"C: MAIL FROM:<s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO:<slow@example.test>|RCPT TO:<nobody@example.test>|RCPT "
		"TO:<full@example.test>|RCPT TO:<u@example.test>\n"
		"S: 250 2.1.5 OK\n"
		"S: 550 5.1.1 ..\n"
		"S: 250 2.1.5 OK\n"
		"S: 250 2.1.5 OK\n"
		"C: DATA\n"
		"S: 354 OK\n"
		"C: x|.\n"
		"S: 250 2.0.0 <slow@example.test> ..:R1 Saved\n"
		"S: 552 5.2.2 <full@example.test> ..\n"
		"S: 250 2.0.0 <u@example.test> ..:R3 Saved\n" },
	{ "sheet protocols §8: the same user twice is two deliveries", "",
		"!hello\n"
		"C: MAIL FROM:<s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO:<u@example.test>|RCPT TO:<U+box@example.test>\n"
		"S: 250 2.1.5 OK\n"
		"S: 250 2.1.5 OK\n"
		"C: DATA\n"
		"S: 354 OK\n"
		"C: x|.\n"
		"S: 250 2.0.0 <u@example.test> ..:R1 Saved\n"
		"S: 250 2.0.0 <U+box@example.test> ..:R2 Saved\n"
		"U: u@example.test .. detail \n"
		"U: u@example.test .. detail box\n" },
	{ "sheet protocols §8: a ticket that the worker refused is replaced", "",
		"!hello\n"
		"C: MAIL FROM:<s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO:<late@example.test>\n"
		"S: 250 2.1.5 OK\n"
		"C: DATA\n"
		"S: 354 OK\n"
		"C: x|.\n"
		"S: 250 2.0.0 <late@example.test> ..\n" },
	{ "sheet protocols §8: a worker that died is a temporary failure", "",
		"!hello\n"
		"C: MAIL FROM:<s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO:<u@example.test>\n"
		"S: 250 2.1.5 OK\n"
		"!kill u@example.test\n"
		"C: DATA\n"
		"S: 354 OK\n"
		"C: x|.\n"
		"S: 451 4.3.0 <u@example.test> Temporary internal error\n"
		"!revive u@example.test\n"
		"C: MAIL FROM:<s@example.org>|RCPT TO:<u@example.test>|DATA\n"
		"S: 250 2.1.0 OK\n"
		"S: 250 2.1.5 OK\n"
		"S: 354 OK\n"
		"C: x|.\n"
		"S: 250 2.0.0 ..\n" },
	{ "sheet protocols §8: numbers of recipients go on over mails", "",
		"!hello\n"
		"C: MAIL FROM:<s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO:<u@example.test>\n"
		"S: 250 2.1.5 OK\n"
		"C: DATA\n"
		"S: 354 OK\n"
		"C: x|.\n"
		"S: 250 2.0.0 <u@example.test> ..:R1 Saved\n"
		"U: u@example.test from s@example.org to u@example.test detail \n"
		"C: MAIL FROM:<s@example.org>|RCPT TO:<u@example.test>|DATA|y|.\n"
		"S: 250 2.1.0 OK\n"
		"S: 250 2.1.5 OK\n"
		"S: 354 OK\n"
		"S: 250 2.0.0 <u@example.test> ..:R2 Saved\n"
		"U: ..\n"
		"M: y|\n" },
	{ 0 },
};
