/* SPDX-License-Identifier: Apache-2.0 */
/* wire/smtp_command.c - command lines of SMTP and LMTP.
 *
 * Parameters of extensions are in smtp_params.c and smtp_xclient.c.
 * Spec: RFC 5321 §4.1; RFC 2033 §4; RFC 3030 §2 (BDAT).
 * To extend: a verb is a row in `verbs`, and a function if it has arguments. */
#include "base/base.h"
#include "base/number.h"
#include "base/unicode.h"
#include "wire/smtp_private.h"

enum err smtp_parser_fail(struct smtp_parser *p, enum err class, struct smtp_reply why)
{
	*p->why = why;
	return class;
}

enum err smtp_bad_args(struct smtp_parser *p, const char *text)
{
	return smtp_parser_fail(p, ERR_INVALID, (struct smtp_reply){ 501, "5.5.4", text });
}

/* ---- paths ---- */

static bool is_atom_byte(char b)
{
	unsigned char u = (unsigned char)b;
	return u > ' ' && u != 0x7f && !memchr("()<>[]:;@\\,\"", b, 12);
}

static bool is_domain_byte(char b)
{
	unsigned char u = (unsigned char)b;
	return ascii_is_alpha(b) || ascii_is_digit(b) || b == '-' || b == '.' || b == '_' ||
	       u >= 0x80;
}

static struct str cut_while(struct str *rest, bool (*is_in)(char))
{
	size_t n = 0;
	while (n < rest->n && is_in(rest->p[n]))
		n++;
	return str_take(rest, n);
}

static bool cut_address_literal(struct str *rest, struct str *out)
{
	size_t n = 1;
	while (n < rest->n && rest->p[n] > ' ' && rest->p[n] < 0x7f && rest->p[n] != '[' &&
		rest->p[n] != '\\' && rest->p[n] != ']')
		n++;
	if (n == 1 || n >= rest->n || rest->p[n] != ']' || n >= SMTP_DOMAIN_MAX)
		return false;
	*out = str_take(rest, n + 1);
	return true;
}

/* No empty labels. "_" and UTF-8 are let through: DNS has them. */
static bool cut_domain(struct str *rest, struct str *out)
{
	if (str_starts(*rest, STR("[")))
		return cut_address_literal(rest, out);
	struct str s = *rest, domain = cut_while(&s, is_domain_byte);
	if (domain.n == 0 || domain.n > SMTP_DOMAIN_MAX || domain.p[0] == '.' ||
		domain.p[domain.n - 1] == '.' || str_find(domain, STR("..")) >= 0 ||
		!utf8_is_valid(domain))
		return false;
	*rest = s;
	*out = domain;
	return true;
}

/* "quoted" local part: escapes are taken out. */
static bool cut_quoted_local(struct smtp_parser *p, struct str *rest, struct str *out)
{
	char local[SMTP_LOCAL_MAX];
	size_t n = 0, at = 1;
	for (; at < rest->n && rest->p[at] != '"'; at++) {
		if (rest->p[at] == '\\')
			at++;
		if (at >= rest->n || n == sizeof(local) || rest->p[at] == '\0' ||
			rest->p[at] == '\r' || rest->p[at] == '\n')
			return false;
		local[n++] = rest->p[at];
	}
	struct str unquoted = { local, n };
	if (at >= rest->n || !utf8_is_valid(unquoted) || !arena_has_room(p->arena, n))
		return false;
	(void)str_take(rest, at + 1);
	*out = str_dup(p->arena, unquoted);
	return true;
}

/* Dots may stand anywhere in an unquoted local part: such addresses exist. */
static bool cut_local(struct smtp_parser *p, struct str *rest, struct str *out)
{
	if (str_starts(*rest, STR("\"")))
		return cut_quoted_local(p, rest, out);
	struct str s = *rest, local = cut_while(&s, is_atom_byte);
	if (local.n == 0 || local.n > SMTP_LOCAL_MAX || !utf8_is_valid(local))
		return false;
	*rest = s;
	*out = local;
	return true;
}

/* "@a,@b:" */
static bool skip_source_route(struct str *rest)
{
	struct str domain;
	if (!str_starts(*rest, STR("@")))
		return true;
	do {
		if (!str_skip(rest, STR("@")) || !cut_domain(rest, &domain))
			return false;
	} while (str_skip(rest, STR(",")));
	return str_skip(rest, STR(":"));
}

static bool cut_mailbox(struct smtp_parser *p, struct str *rest, struct smtp_path *path)
{
	if (!cut_local(p, rest, &path->local))
		return false;
	return !str_skip(rest, STR("@")) || cut_domain(rest, &path->domain);
}

static bool cut_path(struct smtp_parser *p, struct smtp_path *out)
{
	struct smtp_path path = { .local = STR(""), .domain = STR("") };
	struct str rest = p->rest;
	if (p->workarounds & SMTP_ALLOW_SPACE_BEFORE_PATH)
		while (str_skip(&rest, STR(" "))) {
		}
	if (!str_skip(&rest, STR("<"))) {
		if (!(p->workarounds & SMTP_ALLOW_BARE_PATH) || !cut_mailbox(p, &rest, &path))
			return false;
	} else if (str_skip(&rest, STR(">"))) {
		path.is_null = true;
	} else if (!skip_source_route(&rest) || !cut_mailbox(p, &rest, &path) ||
		   !str_skip(&rest, STR(">"))) {
		return false;
	}
	p->rest = rest;
	*out = path;
	return true;
}

/* ---- parameters ---- */

static bool is_keyword_byte(char b)
{
	return ascii_is_alpha(b) || ascii_is_digit(b) || b == '-';
}

static bool is_value_byte(char b)
{
	return (unsigned char)b > ' ' && b != '=' && b != 0x7f;
}

static bool cut_param(struct smtp_parser *p, struct smtp_param *out)
{
	out->keyword = cut_while(&p->rest, is_keyword_byte);
	out->value = STR_NONE;
	if (out->keyword.n == 0 || out->keyword.p[0] == '-')
		return false;
	if (!str_skip(&p->rest, STR("=")))
		return true;
	out->value = cut_while(&p->rest, is_value_byte);
	return out->value.n > 0;
}

const struct smtp_param *smtp_param_find(const struct smtp_command *cmd, struct str keyword)
{
	for (size_t i = 0; i < cmd->param_count; i++)
		if (str_eq_ci(cmd->params[i].keyword, keyword))
			return &cmd->params[i];
	return NULL;
}

/* *(SP param) up to the end of the line. */
static enum err cut_params(struct smtp_parser *p, struct smtp_command *cmd)
{
	struct smtp_param all[SMTP_PARAMS_MAX];
	struct smtp_command seen = { .params = all };
	if (p->rest.n > SMTP_PARAM_BYTES_MAX)
		return smtp_bad_args(p, "Parameters too long");
	while (p->rest.n > 0) {
		struct smtp_param param;
		if (!str_skip(&p->rest, STR(" ")))
			return smtp_bad_args(p, "Invalid parameters");
		while (str_skip(&p->rest, STR(" "))) {
		}
		if (p->rest.n == 0)
			break;
		if (!cut_param(p, &param) || smtp_param_find(&seen, param.keyword))
			return smtp_bad_args(p, "Invalid parameters");
		if (seen.param_count == SMTP_PARAMS_MAX)
			return smtp_parser_fail(p, ERR_LIMIT,
				(struct smtp_reply){ 501, "5.5.4", "Too many parameters" });
		all[seen.param_count++] = param;
	}
	if (seen.param_count == 0)
		return ERR_NONE;
	if (!arena_has_room(p->arena, sizeof(all)))
		return smtp_parser_fail(p, ERR_LIMIT,
			(struct smtp_reply){ 452, "4.3.1", "Out of memory for this connection" });
	cmd->params = ARENA_NEW_ARRAY(p->arena, struct smtp_param, seen.param_count);
	memcpy(cmd->params, all, seen.param_count * sizeof(all[0]));
	cmd->param_count = seen.param_count;
	return ERR_NONE;
}

/* ---- verbs ---- */

static enum err parse_hello(struct smtp_parser *p, struct smtp_command *cmd)
{
	p->rest = cmd->args;
	/* RFC 6531 §3.7.1: no UTF-8 here. */
	if (!cut_domain(&p->rest, &cmd->domain) || p->rest.n > 0 || !smtp_is_ascii(cmd->domain))
		return smtp_bad_args(p, "Invalid hostname");
	return ERR_NONE;
}

static enum err parse_mail(struct smtp_parser *p, struct smtp_command *cmd)
{
	p->rest = cmd->args;
	if (!str_skip_ci(&p->rest, STR("FROM:")) || !cut_path(p, &cmd->path))
		return smtp_bad_args(p, "Invalid FROM");
	TRY(cut_params(p, cmd));
	return smtp_take_mail_params(p, cmd);
}

static enum err parse_rcpt(struct smtp_parser *p, struct smtp_command *cmd)
{
	p->rest = cmd->args;
	if (!str_skip_ci(&p->rest, STR("TO:")) || !cut_path(p, &cmd->path) || cmd->path.is_null ||
		cmd->path.local.n == 0)
		return smtp_bad_args(p, "Invalid TO");
	TRY(cut_params(p, cmd));
	return smtp_take_rcpt_params(p, cmd);
}

static enum err parse_bdat(struct smtp_parser *p, struct smtp_command *cmd)
{
	p->rest = cmd->args;
	if (!number_cut_u64(&p->rest, &cmd->size))
		return smtp_bad_args(p, "Invalid chunk size");
	struct str last = str_trim(p->rest);
	cmd->is_last = str_eq_ci(last, STR("LAST"));
	if (last.n > 0 && (!cmd->is_last || last.p == p->rest.p))
		return smtp_bad_args(p, "Invalid chunk size");
	return ERR_NONE;
}

static enum err parse_xclient(struct smtp_parser *p, struct smtp_command *cmd)
{
	if (cmd->args.n == 0)
		return smtp_bad_args(p, "Missing parameters");
	/* With the space before it, as in other lists of parameters. */
	p->rest = (struct str){ cmd->args.p - 1, cmd->args.n + 1 };
	return cut_params(p, cmd);
}

static enum err parse_nothing(struct smtp_parser *p, struct smtp_command *cmd)
{
	if (cmd->args.n > 0)
		return smtp_bad_args(p, "Parameters are not allowed here");
	return ERR_NONE;
}

static enum err parse_anything(struct smtp_parser *p, struct smtp_command *cmd)
{
	(void)p;
	(void)cmd; /* args is what there is */
	return ERR_NONE;
}

static const struct verb_row {
	struct str name;
	enum smtp_verb verb;
	enum err (*parse)(struct smtp_parser *p, struct smtp_command *cmd);
} verbs[] = {
	{ STR("HELO"), SMTP_HELO, parse_hello },
	{ STR("EHLO"), SMTP_EHLO, parse_hello },
	{ STR("LHLO"), SMTP_LHLO, parse_hello },
	{ STR("MAIL"), SMTP_MAIL, parse_mail },
	{ STR("RCPT"), SMTP_RCPT, parse_rcpt },
	{ STR("DATA"), SMTP_DATA, parse_nothing },
	{ STR("BDAT"), SMTP_BDAT, parse_bdat },
	{ STR("RSET"), SMTP_RSET, parse_nothing },
	{ STR("NOOP"), SMTP_NOOP, parse_anything },
	{ STR("QUIT"), SMTP_QUIT, parse_nothing },
	{ STR("VRFY"), SMTP_VRFY, parse_anything },
	{ STR("EXPN"), SMTP_EXPN, parse_anything },
	{ STR("HELP"), SMTP_HELP, parse_anything },
	{ STR("STARTTLS"), SMTP_STARTTLS, parse_nothing },
	{ STR("AUTH"), SMTP_AUTH, parse_anything },
	{ STR("XCLIENT"), SMTP_XCLIENT, parse_xclient },
};

enum err smtp_parse_command(struct arena *arena, struct str line, unsigned workarounds,
	struct smtp_command *out, struct smtp_reply *why)
{
	struct smtp_parser p = { .arena = arena, .workarounds = workarounds, .why = why };
	struct str rest = line, name = cut_while(&rest, is_keyword_byte);
	if (rest.n > 0 && rest.p[0] != ' ')
		name.n = 0;
	for (size_t i = 0; i < ARRAY_COUNT(verbs) && name.n > 0; i++) {
		if (!str_eq_ci(verbs[i].name, name))
			continue;
		struct smtp_command cmd = { .verb = verbs[i].verb, .args = str_trim(rest) };
		TRY(verbs[i].parse(&p, &cmd));
		*out = cmd;
		return ERR_NONE;
	}
	bool is_word = name.n > 0;
	return smtp_parser_fail(&p, ERR_INVALID,
		is_word ? (struct smtp_reply){ 500, "5.5.1", "Unknown command" }
			: (struct smtp_reply){ 500, "5.5.2", "Invalid command syntax" });
}

bool smtp_is_ascii(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] >= 0x80)
			return false;
	return true;
}

bool smtp_path_is_utf8(const struct smtp_path *path)
{
	return !smtp_is_ascii(path->local) || !smtp_is_ascii(path->domain);
}

bool smtp_domain_is_valid(struct str s)
{
	struct str domain;
	return cut_domain(&s, &domain) && s.n == 0 && smtp_is_ascii(domain);
}

void smtp_put_path(struct buf *out, const struct smtp_path *path)
{
	if (path->is_null)
		return;
	bool is_atom = path->local.n > 0;
	for (size_t i = 0; i < path->local.n && is_atom; i++)
		is_atom = is_atom_byte(path->local.p[i]);
	if (is_atom) {
		buf_put(out, path->local);
	} else {
		buf_put_byte(out, '"');
		for (size_t i = 0; i < path->local.n; i++) {
			if (path->local.p[i] == '"' || path->local.p[i] == '\\')
				buf_put_byte(out, '\\');
			buf_put_byte(out, path->local.p[i]);
		}
		buf_put_byte(out, '"');
	}
	if (path->domain.n > 0) {
		buf_put_byte(out, '@');
		buf_put(out, path->domain);
	}
}
