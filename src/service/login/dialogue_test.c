/* SPDX-License-Identifier: Apache-2.0 */
/* Dialogues before login. To add one: a function with its script, and a row in main(). */
#include "service/login/test_kit.h"

#define CAPABILITY "CAPABILITY IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE LITERAL+"
#define AUTH       " AUTH=SCRAM-SHA-256 AUTH=PLAIN AUTH=LOGIN"
#define GREETING   "S * OK [" CAPABILITY AUTH "] Pombal ready.\n"
#define PRIVACY    " NO [PRIVACYREQUIRED] Cleartext authentication disallowed"

/* A client from elsewhere, over whose line everybody can listen. */
#define FROM_AFAR                                                                                  \
	"haproxy_trusted_networks = 127.0.0.0/8\nssl = required\nauth_allow_cleartext = no\n"
#define HEADER "C PROXY TCP4 192.0.2.7 192.0.2.8 4000 143\n"

/* RFC 3501 §6.1 */
static void any_state_commands(void **state)
{
	(void)state;
	kit_run("", false,
		GREETING "C 1 CAPABILITY\n"
			 "S * " CAPABILITY AUTH "\n"
			 "S 1 OK Pre-login capabilities listed\n"
			 "C 2 NOOP\n"
			 "S 2 OK NOOP completed.\n"
			 "C 3 LOGOUT\n"
			 "S * BYE Logging out\n"
			 "S 3 OK Logout completed.\n"
			 "E\n");
}

/* RFC 3501 §6.2: nothing else; §7.1.3: BAD */
static void other_commands_are_bad(void **state)
{
	(void)state;
	kit_run("", false,
		GREETING "C 1 SELECT INBOX\n"
			 "S 1 BAD Error in IMAP command received by server.\n"
			 "C 2 NOOP x\n"
			 "S 2 BAD \n"
			 "C 3 UID NOOP\n"
			 "S 3 BAD \n"
			 "S * BYE Too many invalid IMAP commands.\n"
			 "E\n");
}

/* RFC 3501 §6.2.3; the rest of a pipeline goes along */
static void login_hands_over(void **state)
{
	(void)state;
	kit_run("", false,
		GREETING "C 1 LOGIN u wrong\n"
			 "S 1 NO [AUTHENTICATIONFAILED] Authentication failed.\n"
			 "C 2 LOGIN \"u\" {6}\n"
			 "S + \n"
			 "C pencil\n"
			 "S 2 OK rip=127.0.0.1 secured=1 tls=0 session=\n"
			 "E\n");
}

/* RFC 3501 §6.2.2 and RFC 4959 §3: with and without initial response */
static void authenticate_plain(void **state)
{
	(void)state;
	kit_run("", false,
		GREETING "C 1 AUTHENTICATE PLAIN\n"
			 "S + \n"
			 "C AHUAd3Jvbmc=\n"
			 "S 1 NO [AUTHENTICATIONFAILED]\n"
			 "C 2 AUTHENTICATE PLAIN =\n"
			 "S 2 NO [AUTHENTICATIONFAILED]\n"
			 "C 3 authenticate plain AHUAcGVuY2ls\n"
			 "S 3 OK rip=127.0.0.1\n"
			 "E\n");
}

/* draft-murchison-sasl-login; sheet protocols §12: the prompts */
static void authenticate_login(void **state)
{
	(void)state;
	kit_run("", false,
		GREETING "C 1 AUTHENTICATE LOGIN\n"
			 "S + VXNlcm5hbWU6\n"
			 "C dQ==\n"
			 "S + UGFzc3dvcmQ6\n"
			 "C cGVuY2ls\n"
			 "S 1 OK rip=127.0.0.1\n"
			 "E\n");
}

/* RFC 3501 §6.2.2: "*" aborts; RFC 4648 §3.3: what is no base64 is refused */
static void a_client_breaks_off(void **state)
{
	(void)state;
	kit_run("", false,
		GREETING "C 1 AUTHENTICATE PLAIN\n"
			 "S + \n"
			 "C *\n"
			 "S 1 BAD Authentication aborted by client.\n"
			 "C 2 AUTHENTICATE LOGIN\n"
			 "S + VXNlcm5hbWU6\n"
			 "C !!!\n"
			 "S 2 BAD Invalid base64 data in continued response\n"
			 "C 3 AUTHENTICATE SCRAM-SHA-256 *\n"
			 "S 3 BAD \n"
			 "S * BYE Too many invalid IMAP commands.\n"
			 "E\n");
}

/* RFC 5802 §7: the server's first message carries the client's nonce */
static void scram_has_steps(void **state)
{
	(void)state;
	kit_run("", false,
		GREETING "C 1 AUTHENTICATE SCRAM-SHA-256\n"
			 "S + \n"
			 /* n,,n=u,r=rOprNGfwEbeRWgbNEkqO */
			 "C biwsbj11LHI9ck9wck5HZndFYmVSV2diTkVrcU8=\n"
			 "S + cj1yT3ByTkdmd0ViZVJXZ2JORWtxT\n"
			 "C *\n"
			 "S 1 BAD Authentication aborted by client.\n"
			 "C 2 AUTHENTICATE SCRAM-SHA-256 biwsbj11LHI9ck9wck5HZndFYmVSV2diTkVrcU8=\n"
			 "S + cj1yT3ByTkdmd0ViZVJXZ2JORWtxT\n"
			 /* c=biws,r=other,p=AAAA */
			 "C Yz1iaXdzLHI9b3RoZXIscD1BQUFB\n"
			 "S 2 NO [AUTHENTICATIONFAILED]\n");
}

/* sheet core §6.7 */
static void mechanisms_that_are_not_offered(void **state)
{
	(void)state;
	kit_run("", false,
		GREETING "C 1 AUTHENTICATE NTLM\n"
			 "S 1 NO [ALERT] Unsupported authentication mechanism.\n"
			 /* EXTERNAL needs a certificate */
			 "C 2 AUTHENTICATE EXTERNAL\n"
			 "S 2 NO \n"
			 "C 3 AUTHENTICATE\n"
			 "S 3 BAD \n");
}

/* RFC 3501 §6.2.3 and RFC 8314 §4.1: no password in the clear; the one that was sent is lost */
static void cleartext_is_refused(void **state)
{
	(void)state;
	kit_run(FROM_AFAR, true,
		HEADER "S * OK [" CAPABILITY " LOGINDISABLED] Pombal ready.\n"
		       "C 1 LOGIN u pencil\n"
		       "S * BAD [ALERT] Plaintext authentication not allowed\n"
		       "S 1" PRIVACY "\n"
		       "C 2 AUTHENTICATE PLAIN\n"
		       "S 2" PRIVACY "\n"
		       "C 3 AUTHENTICATE PLAIN AHUAcGVuY2ls\n"
		       "S * BAD [ALERT] Plaintext authentication not allowed\n"
		       "S 3" PRIVACY "\n"
		       "C 4 STARTTLS\n"
		       "S 4 BAD TLS support isn't enabled.\n");
}

/* sheet core §7.3: the header's addresses are the client's */
static void a_balancer_says_who_the_client_is(void **state)
{
	(void)state;
	kit_run("haproxy_trusted_networks = 127.0.0.0/8\n", true,
		HEADER GREETING "C 1 LOGIN u pencil\n"
				"S 1 OK rip=192.0.2.7 secured=1 tls=0\n"
				"E\n");
	kit_run("haproxy_trusted_networks = 127.0.0.0/8\n", true, "C 1 LOGIN u pencil\nE\n");
	kit_run("haproxy_trusted_networks = 10.0.0.0/8\n", true, HEADER "E\n");
}

/* RFC 2971 §3; sheet protocols §4.6: trusted networks speak for their clients, once */
static void id_tells_who_the_client_is(void **state)
{
	(void)state;
	kit_run("login_trusted_networks = 127.0.0.0/8\n", false,
		GREETING "C 1 ID (\"x-originating-ip\" \"192.0.2.9\" \"x-session-id\" \"abc+/1\""
			 " \"name\" \"webmail\")\n"
			 "S * ID (\"name\" \"Pombal\")\n"
			 "S 1 OK ID completed.\n"
			 "C 2 ID (\"x-originating-ip\" \"192.0.2.10\")\n"
			 "S * ID \n"
			 "S 2 OK \n"
			 "C 3 LOGIN u pencil\n"
			 "S 3 OK rip=192.0.2.9 secured=1 tls=0 session=abc+/1 \n"
			 "E\n");
	kit_run("imap_id_send {\n name = *\n support = x@example.test\n}\n", false,
		GREETING "C 1 ID (\"x-originating-ip\" \"192.0.2.9\")\n"
			 "S * ID (\"name\" \"Pombal\" \"support\" \"x@example.test\")\n"
			 "S 1 OK ID completed.\n"
			 "C 2 ID (\"a\"\n"
			 "S 2 BAD \n"
			 "C 3 LOGIN u pencil\n"
			 "S 3 OK rip=127.0.0.1 \n"
			 "E\n");
}

/* RFC 5530 §3: LIMIT, UNAVAILABLE; nothing of the operator's text */
static void a_worker_that_refuses(void **state)
{
	(void)state;
	kit_run("", false,
		GREETING
		"C 1 ID (\"name\" \"crowd\")\n"
		"S * ID \n"
		"S 1 OK \n"
		"C 2 LOGIN u pencil\n"
		"S 2 NO [LIMIT] Maximum number of connections from user+IP exceeded\n"
		"C 3 ID (\"name\" \"down\")\n"
		"S * ID \n"
		"S 3 OK \n"
		"C 4 LOGIN u pencil\n"
		"S 4 NO [UNAVAILABLE] Mail storage is temporarily unavailable, try again later.\n"
		"C 5 LOGOUT\n"
		"S * BYE \n"
		"S 5 OK \n"
		"E\n");
}

/* RFC 3501 §6.1.1, §7.2.1; sheet protocols §1.3 */
static void administrators_change_the_list(void **state)
{
	(void)state;
	kit_run("imap_capability {\n X-OWN = yes\n IDLE = no\n ID = yes\n}\nimap_literal_minus = "
		"yes\n"
		"login_greeting = Hello at %{local_ip}, %{secured}\n",
		false,
		"S * OK [CAPABILITY IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE LITERAL-" AUTH
		" X-OWN] Hello at 127.0.0.1, secured\n");
}

/* RFC 3501 §4.3, RFC 7888 §4: literals of a login, their limits */
static void lines_and_literals_have_limits(void **state)
{
	(void)state;
	kit_run("", false,
		GREETING "C 1 LOGIN {1+}\n"
			 "C u {9+}\n"
			 "C wrong-one\n"
			 "S 1 NO [AUTHENTICATIONFAILED]\n"
			 "C 2 LOGIN {99999999}\n"
			 "S 2 BAD \n"
			 "C 3 NOOP\n"
			 "S 3 OK \n");
}

/* RFC 8314 §5.1 (attempts cost time and end): ten and no more */
static void attempts_are_counted(void **state)
{
	(void)state;
	AUTO_BUF(script, 0);
	buf_put(&script, STR(GREETING));
	for (int i = 1; i <= LOGIN_ATTEMPTS_MAX; i++)
		buf_putf(&script, "C %d LOGIN u wrong\nS %d NO [AUTHENTICATIONFAILED]\n", i, i);
	buf_put(&script, STR("S * BYE Too many failed authentication attempts.\nE\n"));
	buf_put_byte(&script, '\0');
	kit_run("", false, script.p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_state_commands),
		cmocka_unit_test(other_commands_are_bad),
		cmocka_unit_test(login_hands_over),
		cmocka_unit_test(authenticate_plain),
		cmocka_unit_test(authenticate_login),
		cmocka_unit_test(a_client_breaks_off),
		cmocka_unit_test(scram_has_steps),
		cmocka_unit_test(mechanisms_that_are_not_offered),
		cmocka_unit_test(cleartext_is_refused),
		cmocka_unit_test(a_balancer_says_who_the_client_is),
		cmocka_unit_test(id_tells_who_the_client_is),
		cmocka_unit_test(a_worker_that_refuses),
		cmocka_unit_test(administrators_change_the_list),
		cmocka_unit_test(lines_and_literals_have_limits),
		cmocka_unit_test(attempts_are_counted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
