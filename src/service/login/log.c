/* SPDX-License-Identifier: Apache-2.0 */
/* The log lines of logins, in the administrator's own words (login_log_format*), and other texts with
 * the variables of login. Spec: sheet core §2.5, §4.3. */
#include <unistd.h>

#include "config/expand.h"
#include "service/login/login_private.h"

struct login_vars {
	const struct login_connection *c;
	const struct auth_answer *answer; /* may be NULL */
	struct config_var items[32];
	size_t count;
};

static void add(struct login_vars *v, const char *name, struct str value)
{
	ASSERT(v->count < ARRAY_COUNT(v->items));
	if (!value.p)
		value = STR("");
	v->items[v->count++] = (struct config_var){ .name = str_from(name), .value = value };
}

static void add_address(struct login_vars *v, struct arena *arena, const char *ip_name,
	const char *port_name, const struct address *a)
{
	add(v, ip_name, address_dup(arena, a));
	add(v, port_name, a->port ? str_printf(arena, "%u", a->port) : STR(""));
}

static struct str secured_text(const struct login_connection *c)
{
	if (login_is_tls(c))
		return STR("TLS");
	if (c->door.is_tls && c->stream)
		return STR("TLS handshaking");
	return c->is_secured ? STR("secured") : STR("");
}

static struct str tls_text(struct arena *arena, const struct login_connection *c)
{
	if (c->is_tls_proxied)
		return STR("TLS (proxied)");
	if (!c->stream || !stream_is_tls(c->stream))
		return STR("");
	return str_printf(arena, "%.*s with cipher %.*s", STRF(stream_tls_protocol(c->stream)),
		STRF(stream_tls_cipher(c->stream)));
}

/* %{passdb:FIELD}; a field that is not there is empty. */
static bool find_field(void *ctx, struct str name, struct str *out_value)
{
	const struct login_vars *v = ctx;
	if (!str_skip(&name, STR("passdb:")))
		return false;
	*out_value = STR("");
	for (size_t i = 0; v->answer && i < v->answer->field_count; i++) {
		if (str_eq(v->answer->fields[i].key, name))
			*out_value = v->answer->fields[i].value;
	}
	return true;
}

static void collect(struct arena *arena, struct login_vars *v, const struct login_attempt *attempt)
{
	const struct login_connection *c = v->c;
	struct str given = attempt ? attempt->user : STR("");
	struct str user = v->answer && v->answer->user.n ? v->answer->user : given;
	add(v, "user", user);
	add(v, "original_user", given);
	add(v, "auth_user", user);
	add(v, "owner_user", user);
	add(v, "session", str_from(c->session_id));
	add(v, "protocol", c->door.protocol);
	add(v, "listener", c->door.protocol);
	add(v, "local_name", str_from(c->server_name));
	add(v, "mechanism", attempt ? attempt->mechanism : STR(""));
	add(v, "secured", secured_text(c));
	add(v, "ssl_security", tls_text(arena, c));
	add(v, "ssl_ja3", STR(""));
	add(v, "ssl_ja3_hash", STR(""));
	add(v, "ssl_client_cert_fp", STR(""));
	add(v, "ssl_client_cert_pubkey_fp", STR(""));
	add(v, "mail_pid", STR(""));
	add_address(v, arena, "local_ip", "local_port", &c->local);
	add_address(v, arena, "remote_ip", "remote_port", &c->remote);
	add_address(v, arena, "real_local_ip", "real_local_port", &c->real_local);
	add_address(v, arena, "real_remote_ip", "real_remote_port", &c->real_remote);
}

static struct str expand(struct op *op, struct login_vars *v, struct str text)
{
	struct config_vars vars = {
		.items = v->items, .count = v->count, .find = find_field, .ctx = v
	};
	struct str out;
	if (config_expand_is_plain(text))
		return text;
	if (config_expand(op, text, &vars, &out) == ERR_NONE)
		return out;
	op_forgive(op); /* shown as it is written, which tells the administrator most */
	return text;
}

struct str login_expand(struct op *op, const struct login_connection *c, struct str text,
	const struct login_attempt *attempt, const struct auth_answer *answer)
{
	struct login_vars v = { .c = c, .answer = answer };
	if (config_expand_is_plain(text))
		return text;
	collect(op->arena, &v, attempt);
	return expand(op, &v, text);
}

/* Elements stand apart by spaces, but for those inside of %{ }. */
static bool cut_element(struct str *format, struct str *out)
{
	size_t n = 0;
	bool is_inside = false;
	*format = str_trim(*format);
	while (n < format->n && (is_inside || format->p[n] != ' ')) {
		if (format->p[n] == '{' && n > 0 && format->p[n - 1] == '%')
			is_inside = true;
		else if (format->p[n] == '}')
			is_inside = false;
		n++;
	}
	*out = str_take(format, n);
	return n > 0;
}

/* Elements whose variables are all empty are left out: they look as if there were no values at all. */
static struct str elements(struct op *op, struct login_vars *v, struct str format)
{
	struct login_vars none = *v;
	struct buf line = { 0 };
	struct str word;
	none.answer = NULL;
	for (size_t i = 0; i < none.count; i++)
		none.items[i].value = STR("");
	while (cut_element(&format, &word)) {
		struct str text = expand(op, v, word);
		if (text.n == 0 ||
			(!config_expand_is_plain(word) && str_eq(text, expand(op, &none, word))))
			continue;
		if (line.n > 0)
			buf_put(&line, STR(", "));
		buf_put(&line, text);
	}
	struct str out = buf_dup(op->arena, &line);
	buf_done(&line);
	return out;
}

static struct str log_line(struct op *op, const struct login_connection *c, struct str message,
	const struct login_attempt *attempt, const struct auth_answer *answer)
{
	struct login_vars v = { .c = c, .answer = answer };
	collect(op->arena, &v, attempt);
	struct str all = elements(op, &v, config_str(c->scope, SET_login_log_format_elements));
	struct login_vars outer = { .c = c };
	add(&outer, "message", message);
	add(&outer, "elements", all);
	return expand(op, &outer, config_str(c->scope, SET_login_log_format));
}

struct str login_success_line(struct op *op, const struct login_connection *c,
	const struct login_attempt *attempt, const struct auth_answer *answer)
{
	return log_line(op, c, STR("Login"), attempt, answer);
}

void login_log_end(struct login_connection *c, const char *reason)
{
	AUTO_ARENA(arena, 0);
	struct op op;
	op_init(&op, &arena, c->event, TIME_NEVER);
	int64_t seconds = (now_us() - c->accepted_us) / US_PER_SEC;
	struct str tried = str_printf(&arena, "no auth attempts in %" PRId64 " secs", seconds);
	if (c->auth_accepted >
		0) /* whatever failed besides: mail storage is what is to be looked at */
		tried = str_printf(&arena,
			"mail storage failed, %u of %u attempts accepted in %" PRId64 " secs",
			c->auth_accepted, c->auth_attempts, seconds);
	else if (c->auth_attempts > 0)
		tried = str_printf(&arena, "auth failed, %u attempts in %" PRId64 " secs",
			c->auth_attempts, seconds);
	struct str message = str_printf(&arena, "Login aborted: %s%s%s (%.*s)", reason,
		c->closing_detail ? ": " : "", c->closing_detail ? c->closing_detail : "",
		STRF(tried));
	if (c->auth_attempts > 0)
		event_set_int(c->event, "auth_attempts", c->auth_attempts);
	event_set_str(c->event, "reason", str_from(reason));
	struct str line = c->scope ? log_line(&op, c, message, NULL, NULL) : message;
	event_send(c->event, EVENT_INFO, "login_aborted", "%.*s", STRF(line));
}
