/* SPDX-License-Identifier: Apache-2.0 */
/* From a refused login to the client's answer. Spec: RFC 5530 §3; sheet core §6.7, protocols §4.6. */
#include <time.h>

#include "service/login/login_private.h"

void login_put_privacy_required(struct buf *out, struct str tag, bool was_exposed)
{
	if (was_exposed)
		imap_put_untagged(out, "BAD", STR("ALERT"),
			STR("Plaintext authentication not allowed without SSL/TLS, but your client "
			    "did it anyway. If anyone was listening, the password was exposed."));
	imap_put_tagged(out, tag, "NO", STR("PRIVACYREQUIRED"),
		STR("Cleartext authentication disallowed on non-secure (SSL/TLS) connections."));
}

/* Host and time find the matching lines of the log. */
static void put_temporary(struct buf *out, const struct login *l, struct str tag)
{
	time_t now = (time_t)(now_wall_us() / US_PER_SEC);
	struct tm tm;
	char when[32] = "";
	AUTO_ARENA(arena, 0);
	if (gmtime_r(&now, &tm))
		(void)strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
	imap_put_tagged(out, tag, "NO", STR("UNAVAILABLE"),
		str_printf(&arena, "Temporary authentication failure. [%s:%s]", l->host, when));
}

/* A reason of the databases may bring its own code: "[CONTACTADMIN] Call us." */
static void put_reason(struct buf *out, struct str tag, const char *code, struct str reason)
{
	struct str own = reason, own_code;
	if (str_skip(&own, STR("[")) && str_cut(&own, ']', &own_code) && own_code.n > 0 &&
		str_trim(own).n > 0)
		imap_put_tagged(out, tag, "NO", own_code, str_trim(own));
	else
		imap_put_tagged(out, tag, "NO", str_from(code), reason);
}

static const struct {
	const char *code, *reason_code, *text;
} refusals[] = {
	[AUTH_REFUSAL_NONE] = { "AUTHENTICATIONFAILED", "ALERT", "Authentication failed." },
	[AUTH_REFUSAL_CREDENTIALS] = { "AUTHENTICATIONFAILED", "ALERT", "Authentication failed." },
	[AUTH_REFUSAL_TEMPORARY] = { NULL, "UNAVAILABLE", NULL },
	[AUTH_REFUSAL_AUTHZ] = { "AUTHORIZATIONFAILED", "AUTHORIZATIONFAILED",
		"Authorization failed" },
	[AUTH_REFUSAL_LOGIN_DISABLED] = { "CONTACTADMIN", "CONTACTADMIN",
		"Login disabled for this user" },
	[AUTH_REFUSAL_ANONYMOUS] = { "CONTACTADMIN", "CONTACTADMIN",
		"Login disabled for this user" },
	[AUTH_REFUSAL_EXPIRED] = { "EXPIRED", "EXPIRED", "Password expired" },
	[AUTH_REFUSAL_TLS_REQUIRED] = { "PRIVACYREQUIRED", "PRIVACYREQUIRED",
		"Cleartext authentication disallowed on non-secure (SSL/TLS) connections." },
	[AUTH_REFUSAL_MECHANISM] = { "ALERT", "ALERT", "Unsupported authentication mechanism." },
	[AUTH_REFUSAL_MALFORMED] = { "AUTHENTICATIONFAILED", "ALERT", "Authentication failed." },
};

static void put_refusal(struct buf *out, const struct login *l, struct str tag,
	enum auth_refusal refusal, struct str reason)
{
	if (reason.n > 0)
		put_reason(out, tag, refusals[refusal].reason_code, reason);
	else if (!refusals[refusal].text)
		put_temporary(out, l, tag);
	else
		imap_put_tagged(out, tag, "NO", str_from(refusals[refusal].code),
			str_from(refusals[refusal].text));
}

void login_put_failure(struct buf *out, const struct login *l, struct str tag, enum err e,
	const struct auth_answer *answer, const struct op *op)
{
	struct str told = str_from(op->failure.client_text);
	switch (e) {
	case ERR_DENIED:
	case ERR_NOT_FOUND:
	case ERR_INVALID:
	case ERR_UNSUPPORTED:
		put_refusal(out, l, tag, answer->refusal, answer->reason);
		return;
	case ERR_LIMIT:
		imap_put_tagged(
			out, tag, "NO", STR("LIMIT"), told.n ? told : STR("Too many connections."));
		return;
	case ERR_NONE:
	case ERR_EXISTS:
	case ERR_CONFLICT:
	case ERR_UNAVAILABLE:
	case ERR_TIMEOUT:
	case ERR_CANCELLED:
	case ERR_CORRUPT:
		put_refusal(out, l, tag, AUTH_REFUSAL_TEMPORARY, told);
		return;
	}
	UNREACHABLE();
}
