/* SPDX-License-Identifier: Apache-2.0 */
/* What a database's answer does to a request: fields, names, conditions. Spec: core §6.5. */
#include "auth/auth_private.h"

struct import {
	struct op *op;
	struct auth_flow *flow;
	const struct auth_database *db;
	struct str password;
};

/* "key=value" TAB "key=value": the words of passdb_import and userdb_import. */
static bool cut_import(struct str *rest, struct auth_field *out)
{
	struct str word;
	if (rest->n == 0)
		return false;
	if (!str_cut(rest, '\t', &word))
		word = str_take(rest, rest->n);
	out->value = word;
	if (!str_cut(&out->value, '=', &out->key)) {
		out->key = word;
		out->value = STR("yes");
	}
	return true;
}

static void import_all(struct arena *a, struct auth_fields *fields, struct str list)
{
	struct auth_field f;
	while (cut_import(&list, &f)) {
		if (f.key.n > 0)
			auth_fields_set(a, fields, f.key, f.value);
	}
}

static void set_userdb(
	struct arena *a, struct auth_fields *fields, struct str key, struct str value)
{
	if (str_eq(key, STR("userdb_import")))
		import_all(a, fields, value);
	else
		auth_fields_set(a, fields, key, value);
}

/* `user`, `username`, `domain`: the name that everybody else sees. */
static enum err rename_user(struct import *i, struct str key, struct str value)
{
	struct auth_flow *flow = i->flow;
	struct str user = flow->user, local = user, domain = STR("");
	ssize_t at = str_find_byte(user, '@');
	if (at >= 0) {
		local = str_slice(user, 0, (size_t)at);
		domain = str_slice(user, (size_t)at + 1, user.n);
	}
	if (str_eq(key, STR("user")))
		user = value;
	else if (str_eq(key, STR("username")))
		user = domain.n ? str_printf(i->op->arena, "%.*s@%.*s", STRF(value), STRF(domain))
				: value;
	else
		user = value.n ? str_printf(i->op->arena, "%.*s@%.*s", STRF(local), STRF(value))
			       : local;
	if (auth_name_check(i->op, user) != ERR_NONE)
		return op_fail(i->op, ERR_UNAVAILABLE, "%.*s: field %.*s: %s", STRF(i->db->id),
			STRF(key), i->op->failure.text);
	flow->user = user;
	return ERR_NONE;
}

static enum err set_passdb(struct import *i, struct str key, struct str value)
{
	struct auth_flow *flow = i->flow;
	struct arena *a = i->op->arena;
	struct auth_field f;
	if (str_eq(key, STR("password"))) {
		i->password = value;
	} else if (str_eq(key, STR("password_noscheme"))) {
		i->password = str_printf(a, "{PLAIN}%.*s", STRF(value));
	} else if (str_skip(&key, STR("userdb_"))) {
		set_userdb(a, &flow->prefetched, key, value);
	} else if (str_eq(key, STR("passdb_import"))) {
		while (cut_import(&value, &f)) {
			if (f.key.n > 0 && !str_eq(f.key, STR("passdb_import")))
				TRY(set_passdb(i, f.key, f.value));
		}
	} else if (str_eq(key, STR("user")) || str_eq(key, STR("username")) ||
		   str_eq(key, STR("domain"))) {
		return rename_user(i, key, value);
	} else if (str_eq(key, STR("login_user"))) {
		TRY(auth_name_check(i->op, value));
		flow->login_user = value;
	} else {
		auth_fields_set(a, &flow->passdb, key, value);
	}
	return ERR_NONE;
}

static bool is_password(struct str key)
{
	return str_eq(key, STR("password")) || str_eq(key, STR("password_noscheme"));
}

static void look_at_record(
	struct auth_flow *flow, const struct auth_database *db, const struct auth_record *record)
{
	static const struct {
		const char *provider;
		struct str prefix;
	} prefixes[] = { { "sql", { "sql:", 4 } }, { "passwd_file", { "passwd_file:", 12 } } };
	flow->record = record;
	flow->record_prefix = STR("");
	for (size_t i = 0; db->driver->variables && i < ARRAY_COUNT(prefixes); i++) {
		if (strcmp(prefixes[i].provider, db->driver->variables) == 0)
			flow->record_prefix = prefixes[i].prefix;
	}
}

enum err auth_import_passdb(struct op *op, struct auth_flow *flow, const struct auth_database *db,
	const struct auth_record *record, struct str *out_password)
{
	struct import i = { .op = op, .flow = flow, .db = db, .password = STR("") };
	struct auth_fields extra = { 0 };
	for (size_t k = 0; k < record->fields.count; k++) {
		const struct auth_field *f = &record->fields.items[k];
		if (db->imports_all || is_password(f->key))
			TRY(set_passdb(&i, f->key, f->value));
	}
	look_at_record(flow, db, record);
	enum err e = ERR_NONE;
	struct config_item item;
	for (size_t at = 0;
		e == ERR_NONE && config_list_next(db->scope, SET_passdb_fields, &at, &item);) {
		struct str value;
		e = op_within(op, auth_expand(op, flow, item.value, &value), "field %.*s",
			STRF(item.key));
		if (e == ERR_NONE)
			auth_fields_append(op->arena, &extra, str_dup(op->arena, item.key), value);
	}
	flow->record = NULL;
	if (e != ERR_NONE)
		return op_fail(op, ERR_UNAVAILABLE, "%.*s: %s", STRF(db->id), op->failure.text);
	for (size_t k = 0; k < extra.count; k++)
		TRY(set_passdb(&i, extra.items[k].key, extra.items[k].value));
	*out_password = i.password;
	return ERR_NONE;
}

enum err auth_import_userdb(struct op *op, struct auth_flow *flow, const struct auth_database *db,
	const struct auth_record *record)
{
	struct config_item item;
	struct str value;
	enum err e = ERR_NONE;
	if (db->imports_all) {
		for (size_t k = 0; k < record->fields.count; k++)
			set_userdb(op->arena, &flow->userdb, record->fields.items[k].key,
				record->fields.items[k].value);
	}
	look_at_record(flow, db, record);
	for (size_t at = 0;
		e == ERR_NONE && config_list_next(db->scope, SET_userdb_fields, &at, &item);) {
		e = op_within(op, auth_expand(op, flow, item.value, &value), "field %.*s",
			STRF(item.key));
		if (e == ERR_NONE)
			set_userdb(op->arena, &flow->userdb, str_dup(op->arena, item.key), value);
	}
	flow->record = NULL;
	if (e != ERR_NONE)
		return op_fail(op, ERR_UNAVAILABLE, "%.*s: %s", STRF(db->id), op->failure.text);
	if (auth_fields_has(&flow->userdb, STR("tempfail")))
		return op_fail(op, ERR_UNAVAILABLE, "%.*s: tempfail is set", STRF(db->id));
	return ERR_NONE;
}

/* ---- conditions ---- */

struct address auth_real_remote(const struct auth_request *r)
{
	return r->real_remote.family ? r->real_remote : r->remote;
}

/* "192.0.2.0/24,::1,local"; `local` is a client without an address. */
static bool nets_have(struct str list, const struct address *a)
{
	while (list.n > 0) {
		struct str word;
		struct network n;
		if (!str_cut(&list, ',', &word))
			word = str_take(&list, list.n);
		word = str_trim(word);
		if (a->family == 0) {
			if (str_eq(word, STR("local")))
				return true;
		} else if (network_parse(word, &n) && network_has(&n, a)) {
			return true;
		}
	}
	return false;
}

enum err auth_import_check(struct op *op, const struct auth_flow *flow)
{
	const struct address real = auth_real_remote(flow->request);
	const struct {
		struct str field;
		const struct address *client;
	} nets[] = { { STR("allow_nets"), &flow->request->remote },
		{ STR("allow_real_nets"), &real } };
	/* Certificates' fingerprints are not told to auth: who asks for one is let in by no other. */
	static const struct str prints[] = { { "check_client_fp", 15 },
		{ "check_client_cert_fp", 20 }, { "check_client_pubkey_fp", 22 } };
	struct str value;
	for (size_t i = 0; i < ARRAY_COUNT(nets); i++) {
		if (auth_fields_get(&flow->passdb, nets[i].field, &value) &&
			!nets_have(value, nets[i].client))
			return op_fail(op, ERR_DENIED, "%.*s does not have the client's address",
				STRF(nets[i].field));
	}
	for (size_t i = 0; i < ARRAY_COUNT(prints); i++) {
		if (auth_fields_has(&flow->passdb, prints[i]))
			return op_fail(op, ERR_DENIED,
				"%.*s asks for a certificate that was not shown", STRF(prints[i]));
	}
	return ERR_NONE;
}
