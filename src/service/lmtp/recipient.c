/* SPDX-License-Identifier: Apache-2.0 */
/* Who an address is. The detail ("user+detail@domain") is taken off first; if nobody is called so, the
 * whole address may be a name that has the delimiter in it. A bare <postmaster> must be somebody
 * (RFC 5321 §4.5.1): if there is no such user, postmaster_address is asked for. */
#include "base/number.h"
#include "service/lmtp/lmtp_private.h"

struct str lmtp_recipient_session(
	struct arena *arena, const struct lmtp_connection *c, const struct lmtp_recipient *r)
{
	return str_printf(arena, "%s:R%" PRIu32, c->session_id, r->number);
}

static struct str join(struct arena *arena, struct str local, struct str domain)
{
	if (domain.n == 0)
		return str_dup(arena, local);
	return str_printf(arena, "%.*s@%.*s", STRF(local), STRF(domain));
}

/* At the first of the delimiter's characters; an address that begins with it has no detail. */
static bool split_detail(const struct lmtp_rules *rules, struct str local, struct str *out_user,
	struct str *out_detail)
{
	for (size_t i = 1; i < local.n; i++) {
		if (str_find_byte(rules->delimiters, local.p[i]) < 0)
			continue;
		*out_user = str_slice(local, 0, i);
		*out_detail = str_slice(local, i + 1, local.n);
		return true;
	}
	return false;
}

static enum err ask(
	struct op *op, struct lmtp_connection *c, struct str name, struct lmtp_recipient *r)
{
	struct auth_answer answer;
	struct auth_request request = {
		.user = name,
		.password = STR(""),
		.authzid = STR(""),
		.mechanism = STR(""),
		.service = STR("lmtp"),
		.session_id = lmtp_recipient_session(op->arena, c, r),
		.local = stream_local(c->stream),
		.remote = c->remote,
		.is_tls = stream_is_tls(c->stream) || (c->client && c->client->is_tls),
		.is_secured = true,
		.event = c->event,
	};
	int64_t deadline_us = op->deadline_us;
	op->deadline_us = MIN(deadline_us, now_us() + LMTP_LOOKUP_US);
	enum err e = auth_client_lookup(op, c->lmtp->peers->auth, &request, &answer);
	op->deadline_us = deadline_us;
	TRY(e);
	r->name = name;
	r->user = answer.user;
	r->ticket = answer.ticket;
	r->ticket_us = now_us();
	return ERR_NONE;
}

static bool is_nobody(enum err e)
{
	return e == ERR_NOT_FOUND || e == ERR_INVALID;
}

enum err lmtp_recipient_find(struct op *op, struct lmtp_connection *c,
	const struct smtp_command *rcpt, struct lmtp_recipient *out)
{
	const struct smtp_path *path = &rcpt->path;
	AUTO_BUF(text, 0);
	struct str user, detail;
	enum err e = ERR_NOT_FOUND;
	smtp_put_path(&text, path);
	*out = (struct lmtp_recipient){
		.path = buf_dup(op->arena, &text),
		.name = join(op->arena, path->local, path->domain),
		.detail = STR(""),
		.original_type = rcpt->orcpt_type,
		.original = rcpt->orcpt,
		.notify = rcpt->notify,
		.number = c->recipient_number + 1,
	};
	struct str whole = out->name;
	if (split_detail(c->rules, path->local, &user, &detail)) {
		e = ask(op, c, join(op->arena, user, path->domain), out);
		if (e == ERR_NONE)
			out->detail = str_dup(op->arena, detail);
	}
	if (is_nobody(e)) {
		op_forgive(op);
		e = ask(op, c, whole, out);
	}
	bool is_postmaster = path->domain.n == 0 && str_eq_ci(path->local, STR("postmaster"));
	if (is_nobody(e) && is_postmaster) {
		op_forgive(op);
		e = ask(op, c, str_from(c->rules->postmaster), out);
	}
	return e;
}

enum err lmtp_recipient_refresh(struct op *op, struct lmtp_connection *c, struct lmtp_recipient *r)
{
	if (r->ticket_us != 0 && now_us() - r->ticket_us < c->lmtp->ticket_fresh_us)
		return ERR_NONE;
	struct str user = r->user;
	TRY(ask(op, c, r->name, r));
	/* Who sorted the recipients by user relies on it; and no mail changes hands halfway. */
	if (!str_eq(user, r->user)) {
		r->user = user;
		return op_fail(op, ERR_UNAVAILABLE, "%.*s has become another user", STRF(r->name));
	}
	return ERR_NONE;
}

static void set_notify(struct event *event, unsigned notify)
{
	AUTO_BUF(words, 0);
	static const char *const names[] = { "NEVER", "SUCCESS", "FAILURE", "DELAY" };
	for (size_t i = 0; i < ARRAY_COUNT(names); i++)
		if (notify & 1u << i)
			buf_putf(&words, "%s%s", words.n > 0 ? "," : "", names[i]);
	if (words.n > 0)
		event_set_str(event, "rcpt_param_notify", buf_str(&words));
}

void lmtp_recipient_report(const struct lmtp_connection *c, const struct lmtp_recipient *r)
{
	if (!event_is_wanted(c->event, EVENT_DEBUG))
		return;
	AUTO_ARENA(arena, 0);
	struct event *event = event_new(c->event, "smtp-server");
	struct str rest = r->reply, code, enhanced, text = str_trim(r->reply);
	uint32_t number = 0;
	event_set_str(event, "session", lmtp_recipient_session(&arena, c, r));
	event_set_str(event, "mail_from", c->transaction->sender);
	event_set_str(event, "rcpt_to", r->path);
	if (r->original_type.n > 0) {
		event_set_str(event, "rcpt_param_orcpt_type", r->original_type);
		event_set_str(event, "rcpt_param_orcpt", r->original);
	}
	set_notify(event, r->notify);
	if (str_cut_word(&rest, &code) && number_parse_u32(code, &number))
		event_set_int(event, "status_code", number);
	if (str_cut_word(&rest, &enhanced))
		event_set_str(event, "enhanced_code", enhanced);
	if (number >= 400)
		event_set_str(event, "error", str_trim(rest));
	event_send(event, EVENT_DEBUG, "smtp_server_transaction_rcpt_finished",
		"Recipient <%.*s>: %.*s", STRF(r->path), STRF(text));
	event_unref(event);
}
