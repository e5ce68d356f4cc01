/* SPDX-License-Identifier: Apache-2.0 */
/* From the class of a failed login to the client's answer. Spec: RFC 5530 §3, sheet protocols §4.6. */
#include "service/login/login_private.h"

void login_put_failure(struct buf *out, struct str tag, enum err e, const struct op *op)
{
	struct str told = str_from(op->failure.client_text);
	switch (e) {
	case ERR_DENIED:
	case ERR_NOT_FOUND:
	case ERR_INVALID:
		/* One text for every reason: nobody learns which users exist. */
		imap_put_tagged(
			out, tag, "NO", STR("AUTHENTICATIONFAILED"), STR("Authentication failed."));
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
	case ERR_UNSUPPORTED:
		imap_put_tagged(out, tag, "NO", STR("UNAVAILABLE"),
			told.n ? told : STR("Temporary authentication failure."));
		return;
	}
	UNREACHABLE();
}
