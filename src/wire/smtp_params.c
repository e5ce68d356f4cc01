/* SPDX-License-Identifier: Apache-2.0 */
/* wire/smtp_params.c - parameters of MAIL and RCPT that extensions define.
 *
 * Spec: RFC 1870 §6 (SIZE); RFC 6152 §2, RFC 3030 §3 (BODY); RFC 3461 §4 (RET, ENVID, NOTIFY, ORCPT);
 *       RFC 6531 §3.4 (SMTPUTF8); RFC 6533 §3 (utf-8 addresses in ORCPT); RFC 4954 §5 (AUTH).
 * To extend: a parameter is a row in mail_params or rcpt_params and a function that checks its value. */
#include "base/base.h"
#include "base/codec.h"
#include "base/number.h"
#include "base/unicode.h"
#include "wire/smtp_private.h"

static bool is_printable(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f)
			return false;
	return utf8_is_valid(s);
}

bool smtp_xtext_decode(struct arena *arena, struct str value, struct str *out)
{
	AUTO_BUF(decoded, 0);
	if (!xtext_decode(&decoded, value) || !is_printable(buf_str(&decoded)) ||
		!arena_has_room(arena, decoded.n))
		return false;
	*out = buf_dup(arena, &decoded);
	return true;
}

/* ---- MAIL ---- */

static enum err take_size(struct smtp_parser *p, struct str value, struct smtp_command *cmd)
{
	if (value.n > 20 || !number_parse_u64(value, &cmd->size))
		return smtp_bad_args(p, "Invalid SIZE parameter");
	cmd->has_size = true;
	return ERR_NONE;
}

static enum err take_body(struct smtp_parser *p, struct str value, struct smtp_command *cmd)
{
	if (str_eq_ci(value, STR("7BIT")))
		cmd->body = SMTP_BODY_7BIT;
	else if (str_eq_ci(value, STR("8BITMIME")))
		cmd->body = SMTP_BODY_8BITMIME;
	else if (str_eq_ci(value, STR("BINARYMIME")))
		cmd->body = SMTP_BODY_BINARYMIME;
	else
		return smtp_bad_args(p, "Invalid BODY parameter");
	return ERR_NONE;
}

static enum err take_utf8(struct smtp_parser *p, struct str value, struct smtp_command *cmd)
{
	if (value.p)
		return smtp_bad_args(p, "Invalid SMTPUTF8 parameter");
	cmd->is_utf8 = true;
	return ERR_NONE;
}

static enum err take_ret(struct smtp_parser *p, struct str value, struct smtp_command *cmd)
{
	if (str_eq_ci(value, STR("FULL")))
		cmd->ret = SMTP_RET_FULL;
	else if (str_eq_ci(value, STR("HDRS")))
		cmd->ret = SMTP_RET_HDRS;
	else
		return smtp_bad_args(p, "Invalid RET parameter");
	return ERR_NONE;
}

static enum err take_envid(struct smtp_parser *p, struct str value, struct smtp_command *cmd)
{
	if (value.n == 0 || value.n > SMTP_ENVID_MAX ||
		!smtp_xtext_decode(p->arena, value, &cmd->envid))
		return smtp_bad_args(p, "Invalid ENVID parameter");
	return ERR_NONE;
}

/* Who submitted the mail: nothing here asks for it. */
static enum err take_auth(struct smtp_parser *p, struct str value, struct smtp_command *cmd)
{
	struct str ignored;
	(void)cmd;
	if (value.n == 0 || !smtp_xtext_decode(p->arena, value, &ignored))
		return smtp_bad_args(p, "Invalid AUTH parameter");
	return ERR_NONE;
}

/* ---- RCPT ---- */

static unsigned notify_flag(struct str word)
{
	if (str_eq_ci(word, STR("NEVER")))
		return SMTP_NOTIFY_NEVER;
	if (str_eq_ci(word, STR("SUCCESS")))
		return SMTP_NOTIFY_SUCCESS;
	if (str_eq_ci(word, STR("FAILURE")))
		return SMTP_NOTIFY_FAILURE;
	return str_eq_ci(word, STR("DELAY")) ? SMTP_NOTIFY_DELAY : 0;
}

static enum err take_notify(struct smtp_parser *p, struct str value, struct smtp_command *cmd)
{
	bool has_more;
	do {
		struct str word = value;
		has_more = str_cut(&value, ',', &word);
		unsigned flag = notify_flag(word);
		if (!flag || (cmd->notify & flag))
			return smtp_bad_args(p, "Invalid NOTIFY parameter");
		cmd->notify |= flag;
	} while (has_more);
	if ((cmd->notify & SMTP_NOTIFY_NEVER) && cmd->notify != SMTP_NOTIFY_NEVER)
		return smtp_bad_args(p, "Invalid NOTIFY parameter");
	return ERR_NONE;
}

static bool is_atom(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= ' ' || (unsigned char)s.p[i] >= 0x7f ||
			memchr("()<>@,;:\\\".[]", s.p[i], 13))
			return false;
	return s.n > 0;
}

/* "\x{HEX}" to UTF-8. */
static bool decode_utf8_address(struct str in, struct buf *out)
{
	while (in.n > 0) {
		struct str hex, byte;
		uint64_t code;
		if (!str_skip(&in, STR("\\x{"))) {
			byte = str_take(&in, 1);
			buf_put(out, byte);
			continue;
		}
		if (!str_cut(&in, '}', &hex) || hex.n > 6 || !number_parse_hex_u64(hex, &code) ||
			code < ' ' || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
			return false;
		utf8_put(out, (uint32_t)code);
	}
	return true;
}

static bool decode_orcpt(struct smtp_parser *p, struct str value, struct smtp_command *cmd)
{
	AUTO_BUF(address, 0);
	if (!str_eq_ci(cmd->orcpt_type, STR("utf-8")))
		return smtp_xtext_decode(p->arena, value, &cmd->orcpt) && cmd->orcpt.n > 0;
	/* RFC 6533 §3: utf-8-addr-xtext is xtext of an embedded form; utf-8-addr-unitext is plain. */
	struct str embedded = value;
	if (smtp_is_ascii(value) && !smtp_xtext_decode(p->arena, value, &embedded))
		return false;
	if (!decode_utf8_address(embedded, &address) || !is_printable(buf_str(&address)))
		return false;
	cmd->orcpt = buf_dup(p->arena, &address);
	return cmd->orcpt.n > 0;
}

static enum err take_orcpt(struct smtp_parser *p, struct str value, struct smtp_command *cmd)
{
	struct str rest = value;
	if (value.n > SMTP_ORCPT_MAX || !str_cut(&rest, ';', &cmd->orcpt_type) ||
		!is_atom(cmd->orcpt_type) || !decode_orcpt(p, rest, cmd))
		return smtp_bad_args(p, "Invalid ORCPT parameter");
	return ERR_NONE;
}

/* ---- tables ---- */

struct param_row {
	struct str keyword;
	enum err (*take)(struct smtp_parser *p, struct str value, struct smtp_command *cmd);
};

static const struct param_row mail_params[] = {
	{ STR("SIZE"), take_size },
	{ STR("BODY"), take_body },
	{ STR("SMTPUTF8"), take_utf8 },
	{ STR("RET"), take_ret },
	{ STR("ENVID"), take_envid },
	{ STR("AUTH"), take_auth },
};
static const struct param_row rcpt_params[] = {
	{ STR("NOTIFY"), take_notify },
	{ STR("ORCPT"), take_orcpt },
};

static enum err take(struct smtp_parser *p, struct smtp_command *cmd, const struct param_row *rows,
	size_t row_count)
{
	size_t kept = 0;
	/* Decoded values are never longer than the line. */
	if (!arena_has_room(p->arena, 4 * SMTP_PARAM_BYTES_MAX))
		return smtp_parser_fail(p, ERR_LIMIT,
			(struct smtp_reply){ 452, "4.3.1", "Out of memory for this connection" });
	for (size_t i = 0; i < cmd->param_count; i++) {
		struct smtp_param param = cmd->params[i];
		size_t row = 0;
		while (row < row_count && !str_eq_ci(rows[row].keyword, param.keyword))
			row++;
		if (row == row_count)
			cmd->params[kept++] = param;
		else
			TRY(rows[row].take(p, param.value, cmd));
	}
	cmd->param_count = kept;
	return ERR_NONE;
}

enum err smtp_take_mail_params(struct smtp_parser *p, struct smtp_command *cmd)
{
	return take(p, cmd, mail_params, ARRAY_COUNT(mail_params));
}

enum err smtp_take_rcpt_params(struct smtp_parser *p, struct smtp_command *cmd)
{
	return take(p, cmd, rcpt_params, ARRAY_COUNT(rcpt_params));
}
