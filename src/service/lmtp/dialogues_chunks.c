/* SPDX-License-Identifier: Apache-2.0 */
/* BDAT: chunks, their order with other commands, and those that are refused. */
#include "service/lmtp/dialogue.h"

const struct dialogue dialogues_chunks[] = {
	{ "RFC 3030 §2: a mail in one chunk", "",
		"!hello\n"
		"C: MAIL FROM:<s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO:<u@example.test>\n"
		"S: 250 2.1.5 OK\n"
		"C~ BDAT 7 LAST|a|b^Jcd\n"
		"S: 250 2.0.0 <u@example.test> ..:R1 Saved\n"
		"U: u@example.test from s@example.org to u@example.test detail \n"
		"M: a|b^Jcd\n" },
	{ "RFC 3030 §2: several chunks, the last one is empty", "",
		"!hello\n"
		"C: MAIL FROM:<s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO:<u@example.test>\n"
		"S: 250 2.1.5 OK\n"
		"C~ BDAT 6|a|b|\n"
		"S: 250 2.0.0 Added 6 octets\n"
		"C~ BDAT 3|c|\n"
		"S: 250 2.0.0 Added 3 octets\n"
		"C: BDAT 0 LAST\n"
		"S: 250 2.0.0 <u@example.test> ..:R1 Saved\n"
		"U: u@example.test from s@example.org to u@example.test detail \n"
		"M: a|b|c|\n" },
	{ "RFC 3030 §2: an empty mail", "",
		"!hello\n"
		"C: MAIL FROM:<s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO:<u@example.test>\n"
		"S: 250 2.1.5 OK\n"
		"C: BDAT 0 LAST\n"
		"S: 250 2.0.0 <u@example.test> ..:R1 Saved\n"
		"U: u@example.test from s@example.org to u@example.test detail \n"
		"M: \n" },
	{ "RFC 3030 §2: dots are not touched", "",
		"!hello\n"
		"C: MAIL FROM:<s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO:<u@example.test>\n"
		"S: 250 2.1.5 OK\n"
		"C~ BDAT 10 LAST|.|..|.|\n"
		"S: 250 2.0.0 <u@example.test> ..:R1 Saved\n"
		"U: u@example.test from s@example.org to u@example.test detail \n"
		"M: .|..|.|\n" },
	{ "RFC 3030 §2: chunks may follow each other unasked", "",
		"!hello\n"
		"C: MAIL FROM:<s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO:<u@example.test>\n"
		"S: 250 2.1.5 OK\n"
		"C~ BDAT 3|a|BDAT 3|b|BDAT 1 LAST|c\n"
		"S: 250 2.0.0 Added 3 octets\n"
		"S: 250 2.0.0 Added 3 octets\n"
		"S: 250 2.0.0 <u@example.test> ..:R1 Saved\n"
		"U: u@example.test from s@example.org to u@example.test detail \n"
		"M: a|b|c\n" },
	{ "RFC 3030 §2: commands in a chunk are mail", "",
		"!hello\n"
		"C: MAIL FROM:<s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO:<u@example.test>\n"
		"S: 250 2.1.5 OK\n"
		"C~ BDAT 13 LAST|QUIT|RSET|x\n"
		"S: 250 2.0.0 <u@example.test> ..:R1 Saved\n"
		"U: u@example.test from s@example.org to u@example.test detail \n"
		"M: QUIT|RSET|x\n" },
	{ "RFC 3030 §4.2: the whole transaction in one packet", "",
		"!hello\n"
		"C~ MAIL FROM:<s@example.org>|RCPT TO:<u@example.test>|BDAT 3 LAST|x|NOOP|\n"
		"S: 250 2.1.0 OK\n"
		"S: 250 2.1.5 OK\n"
		"S: 250 2.0.0 <u@example.test> ..:R1 Saved\n"
		"U: u@example.test from s@example.org to u@example.test detail \n"
		"S: 250 2.0.0 OK\n"
		"M: x|\n" },
	{ "RFC 3030 §2: every recipient has a reply after the last chunk", "",
		"!hello\n"
		"C: MAIL FROM:<s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO:<u@example.test>\n"
		"S: 250 2.1.5 OK\n"
		"C: RCPT TO:<full@example.test>\n"
		"S: 250 2.1.5 OK\n"
		"C~ BDAT 3 LAST|x|\n"
		"S: 250 2.0.0 <u@example.test> ..\n"
		"S: 552 5.2.2 <full@example.test> ..\n"
		"U: u@example.test ..\n" },
	{ "RFC 3030 §2: BDAT before MAIL; the chunk is no command", "",
		"!hello\n"
		"C~ BDAT 6|QUIT|\n"
		"S: 503 5.5.0 MAIL needed first\n" },
	{ "RFC 3030 §2: BDAT without a recipient; the chunk is no command", "",
		"!hello\n"
		"C: MAIL FROM:<s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C~ BDAT 6 LAST|QUIT|\n"
		"S: 554 5.5.0 No valid recipients\n" },
	{ "RFC 3030 §2: after a chunk that failed only RSET helps", "",
		"!hello\n"
		"C: MAIL FROM:<s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C~ BDAT 3|x|\n"
		"S: 554 5.5.0 No valid recipients\n"
		"C: RCPT TO:<u@example.test>\n"
		"S: 250 2.1.5 OK\n"
		"C~ BDAT 3 LAST|x|\n"
		"S: 503 5.5.0 Previous data chunk failed, issue RSET first\n"
		"C: RSET\n"
		"S: 250 2.0.0 OK\n"
		"C: MAIL FROM:<s@example.org>|RCPT TO:<u@example.test>\n"
		"S: 250 2.1.0 OK\n"
		"S: 250 2.1.5 OK\n"
		"C~ BDAT 3 LAST|x|\n"
		"S: 250 2.0.0 ..\n"
		"U: u@example.test ..\n" },
	{ "RFC 3030 §2: DATA after BDAT is out of order", "",
		"!hello\n"
		"C: MAIL FROM:<s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO:<u@example.test>\n"
		"S: 250 2.1.5 OK\n"
		"C~ BDAT 3|x|\n"
		"S: 250 2.0.0 Added 3 octets\n"
		"C: DATA\n"
		"S: 503 5.5.0 The mail comes by BDAT\n"
		"C: BDAT 0 LAST\n"
		"S: 250 2.0.0 <u@example.test> ..:R1 Saved\n"
		"U: u@example.test from s@example.org to u@example.test detail \n"
		"M: x|\n" },
	{ "RFC 3030 §2: RCPT and MAIL after BDAT are out of order", "",
		"!hello\n"
		"C: MAIL FROM:<s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO:<u@example.test>\n"
		"S: 250 2.1.5 OK\n"
		"C~ BDAT 3|x|\n"
		"S: 250 2.0.0 Added 3 octets\n"
		"C: RCPT TO:<v@example.test>\n"
		"S: 503 5.5.0 The mail has begun\n"
		"C: MAIL FROM:<>\n"
		"S: 503 5.5.0 MAIL already given\n"
		"C: BDAT 0 LAST\n"
		"S: 250 2.0.0 <u@example.test> ..:R1 Saved\n"
		"U: u@example.test from s@example.org to u@example.test detail \n" },
	{ "RFC 3030 §2: RSET in the middle of a mail", "",
		"!hello\n"
		"C: MAIL FROM:<s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO:<u@example.test>\n"
		"S: 250 2.1.5 OK\n"
		"C~ BDAT 3|x|\n"
		"S: 250 2.0.0 Added 3 octets\n"
		"C: RSET\n"
		"S: 250 2.0.0 OK\n"
		"C: BDAT 0 LAST\n"
		"S: 503 5.5.0 MAIL needed first\n" },
	{ "RFC 3030 §2: LHLO in the middle of a mail forgets it", "",
		"!hello\n"
		"C: MAIL FROM:<s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO:<u@example.test>\n"
		"S: 250 2.1.5 OK\n"
		"C~ BDAT 3|x|\n"
		"S: 250 2.0.0 Added 3 octets\n"
		"C: LHLO c.example\n"
		"S: 250-mail.example.test\n"
		"S: 250-8BITMIME\n"
		"S: 250-CHUNKING\n"
		"S: 250-ENHANCEDSTATUSCODES\n"
		"S: 250-PIPELINING\n"
		"S: 250-SIZE 1073741824\n"
		"S: 250-STARTTLS\n"
		"S: 250 VRFY\n"
		"C: BDAT 0 LAST\n"
		"S: 503 5.5.0 MAIL needed first\n" },
	{ "RFC 3030 §2: a size that is none is the end, since a chunk follows", "",
		"!hello\n"
		"C: MAIL FROM:<s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO:<u@example.test>\n"
		"S: 250 2.1.5 OK\n"
		"C: BDAT x\n"
		"S: 501 5.5.4 Invalid chunk size\n"
		"S: EOF\n" },
	{ "RFC 3030 §2: BDAT without a size", "",
		"!hello\n"
		"C: MAIL FROM:<s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO:<u@example.test>\n"
		"S: 250 2.1.5 OK\n"
		"C: BDAT\n"
		"S: 501 5.5.4 Invalid chunk size\n"
		"S: EOF\n" },
	{ "RFC 3030 §2: another word than LAST", "",
		"!hello\n"
		"C: MAIL FROM:<s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO:<u@example.test>\n"
		"S: 250 2.1.5 OK\n"
		"C: BDAT 5 FIRST\n"
		"S: 501 5.5.4 Invalid chunk size\n"
		"S: EOF\n" },
	{ "RFC 3030 §2: LAST in any case", "",
		"!hello\n"
		"C: MAIL FROM:<s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO:<u@example.test>\n"
		"S: 250 2.1.5 OK\n"
		"C~ bdat 1 last|x\n"
		"S: 250 2.0.0 <u@example.test> ..:R1 Saved\n"
		"U: u@example.test from s@example.org to u@example.test detail \n"
		"M: x\n" },
	{ "sheet protocols §7.2: a chunk above the limit is read and refused",
		"lmtp_max_mail_size = 1000\n",
		"!hello\n"
		"C: MAIL FROM:<s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO:<u@example.test>\n"
		"S: 250 2.1.5 OK\n"
		"C~ BDAT 1280|@20\n"
		"S: 552 5.3.4 Message size exceeds fixed limit\n"
		"C: BDAT 0 LAST\n"
		"S: 503 5.5.0 Previous data chunk failed, issue RSET first\n" },
	{ "sheet protocols §7.2: a last chunk above the limit is refused for each recipient",
		"lmtp_max_mail_size = 1000\n",
		"!hello\n"
		"C: MAIL FROM:<s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO:<u@example.test>\n"
		"S: 250 2.1.5 OK\n"
		"C: RCPT TO:<v@example.test>\n"
		"S: 250 2.1.5 OK\n"
		"C~ BDAT 1280 LAST|@20\n"
		"S: 552 5.3.4 <u@example.test> ..\n"
		"S: 552 5.3.4 <v@example.test> ..\n" },
	{ "sheet protocols §7.2: chunks together above the limit", "lmtp_max_mail_size = 1000\n",
		"!hello\n"
		"C: MAIL FROM:<s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO:<u@example.test>\n"
		"S: 250 2.1.5 OK\n"
		"C~ BDAT 640|@10\n"
		"S: 250 2.0.0 Added 640 octets\n"
		"C~ BDAT 640 LAST|@10\n"
		"S: 552 5.3.4 <u@example.test> ..\n" },
	{ "sheet protocols §7.1: of a chunk that is far too large 1 MiB is read",
		"lmtp_max_mail_size = 1000\n",
		"!hello\n"
		"C: MAIL FROM:<s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO:<u@example.test>\n"
		"S: 250 2.1.5 OK\n"
		"C: BDAT 18446744073709551615|@20000\n"
		"!cut\n" },
	{ "RFC 3030 §2: a chunk beyond what fits into a message", "",
		"!hello\n"
		"C: MAIL FROM:<s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO:<u@example.test>\n"
		"S: 250 2.1.5 OK\n"
		"C~ BDAT 192000 LAST|@3000\n"
		"S: 250 2.0.0 <u@example.test> ..:R1 Saved\n"
		"U: u@example.test from s@example.org to u@example.test detail \n" },
	{ 0 },
};
