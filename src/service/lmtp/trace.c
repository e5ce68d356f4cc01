/* SPDX-License-Identifier: Apache-2.0 */
/* The header fields that say which way the mail came. Spec: RFC 5321 §4.4; RFC 3848 ("with"); sheet
 * protocols §8. Everything that comes from the client was checked by wire/smtp.h: no line ends. */
#include <time.h>

#include "service/lmtp/lmtp_private.h"

/* RFC 5322 §3.3, in UTC. */
static void put_date(struct buf *out, int64_t wall_us)
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	time_t seconds = (time_t)(wall_us / US_PER_SEC);
	struct tm tm;
	if (!gmtime_r(&seconds, &tm))
		tm = (struct tm){ .tm_mday = 1, .tm_year = 70, .tm_wday = 4 };
	buf_putf(out, "%.3s, %d %.3s %d %02d:%02d:%02d +0000", days + 3 * (tm.tm_wday % 7),
		tm.tm_mday, months + 3 * (tm.tm_mon % 12), 1900 + tm.tm_year, tm.tm_hour, tm.tm_min,
		tm.tm_sec);
}

/* RFC 3848 §3, RFC 6531 §4.3 */
static void put_protocol(struct buf *out, const struct lmtp_connection *c)
{
	bool is_tls = stream_is_tls(c->stream) || (c->client && c->client->is_tls);
	buf_putf(out, "%sLMTP%s%s", c->transaction->is_utf8 ? "UTF8" : "", is_tls ? "S" : "",
		c->client && c->client->login ? "A" : "");
}

static void put_received(
	struct buf *out, const struct lmtp_connection *c, const struct lmtp_recipient *r)
{
	const struct lmtp_transaction *t = c->transaction;
	AUTO_ARENA(arena, 0);
	struct str session = lmtp_recipient_session(&arena, c, r);
	buf_putf(
		out, "Received: from %s", c->client && c->client->helo ? c->client->helo : c->helo);
	if (c->remote.family)
		buf_putf(out, " ([%s%.*s])", c->remote.family == AF_INET6 ? "IPv6:" : "",
			STRF(address_dup(&arena, &c->remote)));
	buf_putf(out, "\r\n\tby %s with ", c->rules->hostname);
	put_protocol(out, c);
	buf_putf(out, "\r\n\tid %.*s\r\n", STRF(session));
	buf_putf(out, "\t(envelope-from <%.*s>)\r\n\tfor <%.*s>; ", STRF(t->sender), STRF(r->path));
	put_date(out, t->received_wall_us);
	buf_put(out, STR("\r\n"));
}

/* The address that the mail was sent to first, if somebody told (RFC 3461 §4.2). */
static struct str original(const struct lmtp_recipient *r)
{
	bool is_address = str_eq_ci(r->original_type, STR("rfc822")) ||
			  str_eq_ci(r->original_type, STR("utf-8"));
	return is_address ? r->original : r->path;
}

void lmtp_put_head(struct buf *out, const struct lmtp_connection *c, const struct lmtp_recipient *r)
{
	const struct lmtp_transaction *t = c->transaction;
	buf_putf(out, "Return-Path: <%.*s>\r\n", STRF(t->sender));
	/* With several recipients it would tell each of them about himself what Bcc had hidden. */
	if (c->rules->delivered_to != LMTP_DELIVERED_TO_NONE && t->recipient_count == 1)
		buf_putf(out, "Delivered-To: %.*s\r\n",
			STRF(c->rules->delivered_to == LMTP_DELIVERED_TO_FINAL ? r->path
									       : original(r)));
	if (c->rules->adds_received)
		put_received(out, c, r);
}
