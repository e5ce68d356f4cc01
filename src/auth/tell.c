/* SPDX-License-Identifier: Apache-2.0 */
/* How a check of credentials is told: one event, one line. Never a password. Spec: core §9.2, §10. */
#include "auth/serve_private.h"
#include "event/event.h"

static void set_request(struct op *op, struct event *event, const struct auth_request *r)
{
	event_set_str(event, "original_user", r->user);
	event_set_str(event, "mechanism", r->mechanism);
	event_set_str(event, "protocol", r->service);
	event_set_str(event, "session", r->session_id);
	event_set_str(event, "local_ip", address_dup(op->arena, &r->local));
	event_set_int(event, "local_port", r->local.port);
	event_set_str(event, "remote_ip", address_dup(op->arena, &r->remote));
	event_set_int(event, "remote_port", r->remote.port);
	if (r->local_name.n > 0)
		event_set_str(event, "local_name", r->local_name);
	event_set_str(event, "transport",
		r->is_tls       ? STR("TLS")
		: r->is_secured ? STR("secured")
				: STR("insecure"));
}

void auth_tell_finished(
	struct op *op, const struct auth *a, const struct auth_turn *turn, enum err e)
{
	const struct auth_request *r = &turn->request;
	/* Theirs: wrong credentials, nonsense, a mechanism that is not offered. */
	bool is_refusal = e == ERR_DENIED || e == ERR_INVALID || e == ERR_UNSUPPORTED;
	enum event_level level = EVENT_DEBUG;
	if (is_refusal && a->setup->is_verbose)
		level = EVENT_INFO;
	else if (e != ERR_NONE && e != ERR_CANCELLED && !is_refusal)
		level = EVENT_ERROR;
	if (!event_is_wanted(r->event, level))
		return;
	struct event *event = event_new(r->event, "auth");
	struct str remote = address_dup(op->arena, &r->remote);
	set_request(op, event, r);
	event_set_str(event, "user", e == ERR_NONE ? turn->result.user : r->user);
	event_set_str(event, "success", e == ERR_NONE ? STR("yes") : STR("no"));
	if (turn->result.master_user.n > 0) {
		event_set_str(event, "master_user", turn->result.master_user);
		event_set_str(event, "login_user", turn->result.user);
	}
	if (e != ERR_NONE)
		event_set_str(event, "error", str_from(op->failure.text));
	event_send(event, level, "auth_request_finished", "%.*s(%.*s,%.*s,<%.*s>): %s",
		STRF(r->mechanism), STRF(r->user), STRF(remote), STRF(r->session_id),
		e == ERR_NONE ? "ok" : op->failure.text);
	event_unref(event);
}
