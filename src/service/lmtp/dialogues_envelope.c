/* SPDX-License-Identifier: Apache-2.0 */
/* MAIL and RCPT: addresses, and the parameters of extensions. */
#include "service/lmtp/dialogue.h"

const struct dialogue dialogues_envelope[] = {
	{ "RFC 5321 §4.5.5: the null sender", "",
		"!hello\n"
		"C: MAIL FROM:<>\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO:<u@example.test>\n"
		"S: 250 2.1.5 OK\n"
		"C: DATA\n"
		"S: 354 OK\n"
		"C: x|.\n"
		"S: 250 2.0.0 ..\n"
		"U: u@example.test from  to u@example.test detail \n"
		"H: Return-Path: <>|..\n" },
	{ "RFC 5321 §4.1.2: a quoted local part", "",
		"!hello\n"
		"C: MAIL FROM:<s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO:<\"a b\"@example.test>\n"
		"S: 250 2.1.5 OK\n"
		"C: DATA\n"
		"S: 354 OK\n"
		"C: x|.\n"
		"S: 250 2.0.0 <\"a b\"@example.test> ..\n"
		"U: a b@example.test from s@example.org to \"a b\"@example.test detail \n" },
	{ "RFC 5321 §4.1.2: quotes that are not needed go", "",
		"!hello\n"
		"C: MAIL FROM:<s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO:<\"u\"@example.test>\n"
		"S: 250 2.1.5 OK\n"
		"C: DATA\n"
		"S: 354 OK\n"
		"C: x|.\n"
		"S: 250 2.0.0 <u@example.test> ..\n" },
	{ "RFC 5321 §3.6.1: a source route is checked and ignored", "",
		"!hello\n"
		"C: MAIL FROM:<@a.example,@b.example:s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO:<@c.example:u@example.test>\n"
		"S: 250 2.1.5 OK\n"
		"C: DATA\n"
		"S: 354 OK\n"
		"C: x|.\n"
		"S: 250 2.0.0 <u@example.test> ..:R1 Saved\n"
		"U: u@example.test from s@example.org to u@example.test detail \n" },
	{ "RFC 5321 §4.1.1.2: MAIL without brackets", "",
		"!hello\n"
		"C: MAIL FROM:s@example.org\n"
		"S: 501 5.5.4 Invalid FROM\n"
		"C: MAIL FROM: <s@example.org>\n"
		"S: 501 5.5.4 Invalid FROM\n" },
	{ "sheet core §4.6: whitespace-before-path",
		"lmtp_client_workarounds = whitespace-before-path\n",
		"!hello\n"
		"C: MAIL FROM:  <s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO: <u@example.test>\n"
		"S: 250 2.1.5 OK\n"
		"C: RCPT TO: u@example.test\n"
		"S: 501 5.5.4 Invalid TO\n" },
	{ "sheet core §4.6: mailbox-for-path", "lmtp_client_workarounds = mailbox-for-path\n",
		"!hello\n"
		"C: MAIL FROM:s@example.org\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO:u@example.test\n"
		"S: 250 2.1.5 OK\n"
		"C: RCPT TO: <u@example.test>\n"
		"S: 501 5.5.4 Invalid TO\n" },
	{ "RFC 5321 §4.1.1.2: MAIL without a path", "",
		"!hello\n"
		"C: MAIL\n"
		"S: 501 5.5.4 Invalid FROM\n"
		"C: MAIL FROM\n"
		"S: 501 5.5.4 Invalid FROM\n"
		"C: MAIL FROM:\n"
		"S: 501 5.5.4 Invalid FROM\n"
		"C: MAIL TO:<a@b>\n"
		"S: 501 5.5.4 Invalid FROM\n"
		"C: MAIL FROM:<a@b\n"
		"S: 501 5.5.4 Invalid FROM\n"
		"C: MAIL FROM:<a@>\n"
		"S: 501 5.5.4 Invalid FROM\n" },
	{ "RFC 5321 §4.1.1.3: RCPT needs a recipient", "",
		"!hello\n"
		"C: MAIL FROM:<s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO:<>\n"
		"S: 501 5.5.4 Invalid TO\n"
		"C: RCPT\n"
		"S: 501 5.5.4 Invalid TO\n"
		"C: RCPT TO:<u@example.test> <v@example.test>\n"
		"S: 501 5.5.4 Invalid parameters\n" },
	{ "RFC 5321 §4.1.1.3: an unknown user", "",
		"!hello\n"
		"C: MAIL FROM:<s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO:<nobody@example.test>\n"
		"S: 550 5.1.1 <nobody@example.test> User doesn't exist: nobody@example.test\n" },
	{ "RFC 5321 §4.5.1: Postmaster without a domain, in any case", "",
		"!hello\n"
		"C: MAIL FROM:<s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO:<Postmaster>\n"
		"S: 250 2.1.5 OK\n"
		"C: DATA\n"
		"S: 354 OK\n"
		"C: x|.\n"
		"S: 250 2.0.0 <Postmaster> ..\n"
		"U: root@example.test from s@example.org to Postmaster detail \n" },
	{ "sheet protocols §8: a recipient without a domain", "",
		"!hello\n"
		"C: MAIL FROM:<s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO:<u>\n"
		"S: 250 2.1.5 OK\n"
		"C: RCPT TO:<nobody>\n"
		"S: 550 5.1.1 ..\n" },
	{ "sheet protocols §8: trouble of the user database is temporary and not explained", "",
		"!hello\n"
		"C: MAIL FROM:<s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO:<lost@example.test>\n"
		"S: 451 4.3.0 <lost@example.test> Temporary internal error\n" },
	{ "sheet core §4.6: lmtp_verbose_replies explains", "lmtp_verbose_replies = yes\n",
		"!hello\n"
		"C: MAIL FROM:<s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO:<lost@example.test>\n"
		"S: 451 4.3.0 <lost@example.test> Temporary internal error (the database's "
		"password is wrong)\n"
		"C: RCPT TO:<nobody@example.test>\n"
		"S: 550 5.1.1 <nobody@example.test> User doesn't exist: nobody@example.test (no "
		"userdb knows the user)\n" },
	{ "sheet protocols §8: the detail is taken off", "",
		"!hello\n"
		"C: MAIL FROM:<s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO:<u+box-1@example.test>\n"
		"S: 250 2.1.5 OK\n"
		"C: DATA\n"
		"S: 354 OK\n"
		"C: x|.\n"
		"S: 250 2.0.0 <u+box-1@example.test> ..\n"
		"U: u@example.test from s@example.org to u+box-1@example.test detail box-1\n" },
	{ "sheet protocols §8: a name that has the delimiter in it", "",
		"!hello\n"
		"C: MAIL FROM:<s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO:<plus+name@example.test>\n"
		"S: 250 2.1.5 OK\n"
		"C: DATA\n"
		"S: 354 OK\n"
		"C: x|.\n"
		"S: 250 2.0.0 ..\n"
		"U: plus+name@example.test from s@example.org to plus+name@example.test detail "
		"\n" },
	{ "sheet core §4.6: recipient_delimiter may be several characters",
		"recipient_delimiter = -=\n",
		"!hello\n"
		"C: MAIL FROM:<s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO:<u=a-b@example.test>\n"
		"S: 250 2.1.5 OK\n"
		"C: RCPT TO:<u+x@example.test>\n"
		"S: 250 2.1.5 OK\n"
		"C: DATA\n"
		"S: 354 OK\n"
		"C: x|.\n"
		"S: 250 2.0.0 ..\n"
		"S: 250 2.0.0 ..\n"
		"U: u@example.test .. detail a-b\n"
		"U: u+x@example.test .. detail \n" },
	{ "sheet core §4.6: an empty recipient_delimiter", "recipient_delimiter =\n",
		"!hello\n"
		"C: MAIL FROM:<s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO:<u+x@example.test>\n"
		"S: 250 2.1.5 OK\n"
		"C: DATA\n"
		"S: 354 OK\n"
		"C: x|.\n"
		"S: 250 2.0.0 ..\n"
		"U: u+x@example.test .. detail \n" },
	{ "RFC 1870 §6.1: SIZE above the limit is refused at once", "lmtp_max_mail_size = 2000\n",
		"!hello\n"
		"C: MAIL FROM:<a@b> SIZE=2001\n"
		"S: 552 5.3.4 Message size exceeds fixed limit\n"
		"C: MAIL FROM:<a@b> SIZE=2000\n"
		"S: 250 2.1.0 OK\n" },
	{ "RFC 1870 §4: LHLO tells the limit", "lmtp_max_mail_size = 2000\n",
		"S: 220 ..\n"
		"C: LHLO c.example\n"
		"S: 250-mail.example.test\n"
		"S: 250-8BITMIME\n"
		"S: 250-CHUNKING\n"
		"S: 250-ENHANCEDSTATUSCODES\n"
		"S: 250-PIPELINING\n"
		"S: 250-SIZE 2000\n"
		"S: 250-STARTTLS\n"
		"S: 250 VRFY\n" },
	{ "RFC 1870 §5: SIZE must be a number", "",
		"!hello\n"
		"C: MAIL FROM:<a@b> SIZE=\n"
		"S: 501 5.5.4 Invalid parameters\n"
		"C: MAIL FROM:<a@b> SIZE=x\n"
		"S: 501 5.5.4 Invalid SIZE parameter\n"
		"C: MAIL FROM:<a@b> SIZE=-1\n"
		"S: 501 5.5.4 Invalid SIZE parameter\n"
		"C: MAIL FROM:<a@b> SIZE=999999999999999999999\n"
		"S: 501 5.5.4 Invalid SIZE parameter\n" },
	{ "RFC 6152 §2: BODY=7BIT and 8BITMIME", "",
		"!hello\n"
		"C: MAIL FROM:<a@b> BODY=7BIT\n"
		"S: 250 2.1.0 OK\n"
		"C: RSET\n"
		"S: 250 2.0.0 OK\n"
		"C: MAIL FROM:<a@b> BODY=8BITMIME\n"
		"S: 250 2.1.0 OK\n" },
	{ "RFC 6152 §2: another BODY", "",
		"!hello\n"
		"C: MAIL FROM:<a@b> BODY=16BIT\n"
		"S: 501 5.5.4 Invalid BODY parameter\n" },
	{ "RFC 3030 §3: BINARYMIME is not offered", "",
		"!hello\n"
		"C: MAIL FROM:<a@b> BODY=BINARYMIME\n"
		"S: 504 5.5.4 BINARYMIME is not supported\n" },
	{ "RFC 5321 §4.1.1.11: unknown parameters", "",
		"!hello\n"
		"C: MAIL FROM:<a@b> FUTURE=1\n"
		"S: 555 5.5.4 Unsupported MAIL parameter\n"
		"C: MAIL FROM:<a@b>\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO:<u@example.test> FUTURE\n"
		"S: 555 5.5.4 Unsupported RCPT parameter\n" },
	{ "RFC 5321 §4.1.1.11: a parameter twice", "",
		"!hello\n"
		"C: MAIL FROM:<a@b> SIZE=1 size=2\n"
		"S: 501 5.5.4 Invalid parameters\n" },
	{ "RFC 3461 §4.3: RET", "",
		"!hello\n"
		"C: MAIL FROM:<a@b> RET=ALL\n"
		"S: 501 5.5.4 Invalid RET parameter\n"
		"C: MAIL FROM:<a@b> RET=hdrs\n"
		"S: 250 2.1.0 OK\n" },
	{ "RFC 3461 §4.4: ENVID", "",
		"!hello\n"
		"C: MAIL FROM:<a@b> ENVID=a+0Ab\n"
		"S: 501 5.5.4 Invalid ENVID parameter\n"
		"C: MAIL FROM:<a@b> ENVID=QQ+3D314\n"
		"S: 250 2.1.0 OK\n" },
	{ "RFC 3461 §4.1: NOTIFY", "",
		"!hello\n"
		"C: MAIL FROM:<s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO:<u@example.test> NOTIFY=NEVER\n"
		"S: 250 2.1.5 OK\n"
		"C: RCPT TO:<u@example.test> NOTIFY=SUCCESS,FAILURE,DELAY\n"
		"S: 250 2.1.5 OK\n"
		"C: RCPT TO:<u@example.test> NOTIFY=NEVER,SUCCESS\n"
		"S: 501 5.5.4 Invalid NOTIFY parameter\n"
		"C: RCPT TO:<u@example.test> NOTIFY=ALWAYS\n"
		"S: 501 5.5.4 Invalid NOTIFY parameter\n" },
	{ "RFC 3461 §4.2: ORCPT must be a type and xtext", "",
		"!hello\n"
		"C: MAIL FROM:<s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO:<u@example.test> ORCPT=x@y\n"
		"S: 501 5.5.4 Invalid ORCPT parameter\n"
		"C: RCPT TO:<u@example.test> ORCPT=rfc822;x+y\n"
		"S: 501 5.5.4 Invalid ORCPT parameter\n"
		"C: RCPT TO:<u@example.test> ORCPT=rfc822;x@y\n"
		"S: 250 2.1.5 OK\n" },
	{ "sheet core §4.6: lmtp_hdr_delivery_address = original shows ORCPT",
		"lmtp_hdr_delivery_address = original\n",
		"!hello\n"
		"C: MAIL FROM:<s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO:<u@example.test> ORCPT=rfc822;first+2Bx@example.org\n"
		"S: 250 2.1.5 OK\n"
		"C: DATA\n"
		"S: 354 OK\n"
		"C: x|.\n"
		"S: 250 2.0.0 <u@example.test> ..:R1 Saved\n"
		"U: u@example.test from s@example.org to u@example.test detail \n"
		"H: ..|Delivered-To: first+x@example.org|..\n" },
	{ "sheet core §4.6: original without ORCPT is the recipient",
		"lmtp_hdr_delivery_address = original\n",
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
		"H: ..|Delivered-To: u@example.test|..\n" },
	{ "sheet core §4.6: final ignores ORCPT", "",
		"!hello\n"
		"C: MAIL FROM:<s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO:<u@example.test> ORCPT=rfc822;first@example.org\n"
		"S: 250 2.1.5 OK\n"
		"C: DATA\n"
		"S: 354 OK\n"
		"C: x|.\n"
		"S: 250 2.0.0 <u@example.test> ..:R1 Saved\n"
		"U: u@example.test from s@example.org to u@example.test detail \n"
		"H: ..|Delivered-To: u@example.test|..\n" },
	{ "RFC 3461 §4.2: ORCPT of another kind is no address",
		"lmtp_hdr_delivery_address = original\n",
		"!hello\n"
		"C: MAIL FROM:<s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO:<u@example.test> ORCPT=x400;/c=de/\n"
		"S: 501 5.5.4 ..\n"
		"C: RCPT TO:<u@example.test> ORCPT=x400;/c+3Dde/\n"
		"S: 250 2.1.5 OK\n"
		"C: DATA\n"
		"S: 354 OK\n"
		"C: x|.\n"
		"S: 250 2.0.0 <u@example.test> ..:R1 Saved\n"
		"U: u@example.test from s@example.org to u@example.test detail \n"
		"H: ..|Delivered-To: u@example.test|..\n" },
	{ "RFC 3461 §4.2: no line end gets into the trace",
		"lmtp_hdr_delivery_address = original\n",
		"!hello\n"
		"C: MAIL FROM:<s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO:<u@example.test> ORCPT=rfc822;a+0D+0AX-Evil:+20yes\n"
		"S: 501 5.5.4 Invalid ORCPT parameter\n" },
	{ "RFC 6533 §3: ORCPT of type utf-8", "lmtp_hdr_delivery_address = original\n",
		"!hello\n"
		"C: MAIL FROM:<s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO:<u@example.test> ORCPT=utf-8;j\\x+7BF6+7Drg@example.org\n"
		"S: 250 2.1.5 OK\n"
		"C: DATA\n"
		"S: 354 OK\n"
		"C: x|.\n"
		"S: 250 2.0.0 <u@example.test> ..:R1 Saved\n"
		"U: u@example.test from s@example.org to u@example.test detail \n"
		"H: ..|Delivered-To: jörg@example.org|..\n" },
	{ "RFC 4954 §5: AUTH= of MAIL is accepted", "",
		"!hello\n"
		"C: MAIL FROM:<a@b> AUTH=<>\n"
		"S: 250 2.1.0 OK\n"
		"C: RSET\n"
		"S: 250 2.0.0 OK\n"
		"C: MAIL FROM:<a@b> AUTH=e+3Dmc2@example.com\n"
		"S: 250 2.1.0 OK\n" },
	{ "RFC 6531 §3.1: SMTPUTF8 is refused when it is not offered", "",
		"!hello\n"
		"C: MAIL FROM:<a@b> SMTPUTF8\n"
		"S: 555 5.5.4 Unsupported MAIL parameter\n" },
	{ "RFC 6531 §3.5: UTF-8 addresses need SMTPUTF8", "",
		"!hello\n"
		"C: MAIL FROM:<jörg@example.org>\n"
		"S: 553 5.6.7 Non-ASCII addresses need SMTPUTF8\n"
		"C: MAIL FROM:<a@b>\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO:<jörg@example.test>\n"
		"S: 553 5.6.7 Non-ASCII addresses need SMTPUTF8\n" },
	{ "RFC 6531 §3.1: SMTPUTF8 is offered with mail_utf8_extensions",
		"mail_utf8_extensions = yes\n",
		"S: 220 ..\n"
		"C: LHLO c.example\n"
		"S: 250-mail.example.test\n"
		"S: 250-8BITMIME\n"
		"S: 250-CHUNKING\n"
		"S: 250-ENHANCEDSTATUSCODES\n"
		"S: 250-PIPELINING\n"
		"S: 250-SIZE 1073741824\n"
		"S: 250-SMTPUTF8\n"
		"S: 250-STARTTLS\n"
		"S: 250 VRFY\n" },
	{ "RFC 6531 §3.7.4: addresses in UTF-8, also in replies and trace",
		"mail_utf8_extensions = yes\n",
		"!hello\n"
		"C: MAIL FROM:<gül@example.org> SMTPUTF8\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO:<jörg@bücher.example>\n"
		"S: 250 2.1.5 OK\n"
		"C: DATA\n"
		"S: 354 OK\n"
		"C: x|.\n"
		"S: 250 2.0.0 <jörg@bücher.example> .. Saved\n"
		"U: jörg@bücher.example from gül@example.org to jörg@bücher.example detail \n"
		"H: ..with UTF8LMTP|..\n" },
	{ "RFC 6531 §3.4: SMTPUTF8 has no value", "mail_utf8_extensions = yes\n",
		"!hello\n"
		"C: MAIL FROM:<a@b> SMTPUTF8=1\n"
		"S: 501 5.5.4 Invalid SMTPUTF8 parameter\n" },
	{ "RFC 5321 §4.1.2: bytes that are no UTF-8", "mail_utf8_extensions = yes\n",
		"!hello\n"
		"C: MAIL FROM:<a@b> SMTPUTF8\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT TO:<^@@example.test>\n"
		"S: 501 5.5.4 Invalid TO\n" },
	{ "RFC 5321 §4.5.3.1.1: a local part that is too long", "",
		"!hello\n"
		"C: MAIL FROM:<s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT "
		"TO:<"
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"aaaaaaaaaaa@example.test>\n"
		"S: 501 5.5.4 Invalid TO\n"
		"C: RCPT "
		"TO:<"
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"aaaaaaaaaa@example.test>\n"
		"S: 250 2.1.5 OK\n" },
	{ "RFC 5321 §4.5.3.1.2: a domain that is too long", "",
		"!hello\n"
		"C: MAIL FROM:<s@example.org>\n"
		"S: 250 2.1.0 OK\n"
		"C: RCPT "
		"TO:<a@"
		"dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"
		"dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"
		"dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"
		"dddddddddd>\n"
		"S: 501 5.5.4 Invalid TO\n" },
	{ "RFC 3885: MTRK is not offered", "",
		"!hello\n"
		"C: MAIL FROM:<a@b> MTRK=x\n"
		"S: 555 5.5.4 ..\n" },
	{ "RFC 3865 §3: SOLICIT is not offered", "",
		"!hello\n"
		"C: MAIL FROM:<a@b> SOLICIT=org.example:ADV:ADLT\n"
		"S: 555 5.5.4 ..\n" },
	{ "RFC 6710 §3: MT-PRIORITY is not offered", "",
		"!hello\n"
		"C: MAIL FROM:<a@b> MT-PRIORITY=3\n"
		"S: 555 5.5.4 ..\n" },
	{ 0 },
};
