/* SPDX-License-Identifier: Apache-2.0 */
/* User names: split, translated, checked, normalised. A name that went through here may become a key
 * and a path. Spec: core §4.4, §6.3 step 1, §6.12. */
#include "auth/auth_private.h"

#define USER_BYTES_MAX 255

enum err auth_name_check(struct op *op, struct str name)
{
	if (name.n == 0 || name.n > USER_BYTES_MAX)
		return op_fail(op, ERR_INVALID, "user name of %zu bytes (1 to %d)", name.n,
			USER_BYTES_MAX);
	for (size_t i = 0; i < name.n; i++) {
		unsigned char c = (unsigned char)name.p[i];
		if (c < 0x20 || c == 0x7f || c == '/')
			return op_fail(op, ERR_INVALID,
				"user name with a character that no name may have: 0x%02x", c);
	}
	if (str_eq(name, STR(".")) || str_eq(name, STR("..")))
		return op_fail(op, ERR_INVALID, "not a user name");
	return ERR_NONE;
}

/* auth_username_translation is pairs: from, to. */
static char translate(struct str pairs, char c)
{
	for (size_t i = 0; i + 1 < pairs.n; i += 2) {
		if (pairs.p[i] == c)
			return pairs.p[i + 1];
	}
	return c;
}

static enum err normalise(struct op *op, struct auth_flow *flow, struct str given, struct str *out)
{
	const struct auth_setup *s = flow->setup;
	if (given.n == 0 || given.n > USER_BYTES_MAX)
		return op_fail(op, ERR_INVALID, "user name of %zu bytes (1 to %d)", given.n,
			USER_BYTES_MAX);
	AUTO_BUF(name, 0);
	for (size_t i = 0; i < given.n; i++)
		buf_put_byte(&name, translate(s->username_translation, given.p[i]));
	if (s->default_domain.n > 0 && str_find_byte(buf_str(&name), '@') < 0)
		buf_putf(&name, "@%.*s", STRF(s->default_domain));
	for (size_t i = 0; i < name.n; i++) {
		if (s->username_chars.n > 0 && str_find_byte(s->username_chars, name.p[i]) < 0)
			return op_fail(op, ERR_INVALID,
				"Username character disallowed by auth_username_chars: 0x%02x",
				(unsigned char)name.p[i]);
	}
	flow->user = buf_dup(op->arena, &name);
	if (s->username_format.n > 0)
		TRY(auth_expand(op, flow, s->username_format, &flow->user));
	*out = flow->user;
	return auth_name_check(op, *out);
}

/* "user*master": the user to become, and who asks for it. */
static bool split_master(const struct auth_flow *flow, struct str *login, struct str *master)
{
	struct str separator = flow->setup->master_separator, given = flow->request->user;
	ssize_t at = separator.n ? str_find(given, separator) : -1;
	if (at < 0)
		return false;
	*login = str_slice(given, 0, (size_t)at);
	*master = str_slice(given, (size_t)at + separator.n, given.n);
	return true;
}

enum err auth_flow_set_names(struct op *op, struct auth_flow *flow)
{
	struct str login = flow->request->authzid, master = flow->request->user;
	flow->original_user = flow->request->user;
	flow->login_user = flow->master_user = STR("");
	/* A recipient or a tool's user is nobody's master. */
	bool is_master =
		flow->mode != AUTH_MODE_EXISTS &&
		(split_master(flow, &login, &master) || (login.n > 0 && !str_eq(login, master)));
	if (!is_master)
		return normalise(op, flow, flow->request->user, &flow->user);
	TRY(normalise(op, flow, login, &flow->login_user));
	TRY(normalise(op, flow, master, &flow->master_user));
	if (str_eq(flow->login_user, flow->master_user)) /* "U@x" for "u@x": himself */
		flow->login_user = flow->master_user = STR("");
	return ERR_NONE;
}

/* ---- wildcards ---- */

static bool cut_pattern(struct str *rest, struct str *out)
{
	size_t n = 0;
	while (rest->n > 0 && (rest->p[0] == ' ' || rest->p[0] == ',' || rest->p[0] == '\t'))
		(void)str_take(rest, 1);
	while (n < rest->n && rest->p[n] != ' ' && rest->p[n] != ',' && rest->p[n] != '\t')
		n++;
	*out = str_take(rest, n);
	return n > 0;
}

bool auth_name_matches(struct str patterns, struct str name)
{
	bool has_positive = false, is_matched = false;
	struct str pattern;
	while (cut_pattern(&patterns, &pattern)) {
		if (str_skip(&pattern, STR("!"))) {
			if (str_matches(name, pattern))
				return false;
		} else {
			has_positive = true;
			is_matched = is_matched || str_matches(name, pattern);
		}
	}
	return is_matched || !has_positive;
}
