/* SPDX-License-Identifier: Apache-2.0 */
/* objects/crypt_settings.c - see crypt_settings.h. Spec: sheet storage 13.1. */
#include "objects/crypt_settings.h"

#include "base/file.h"
#include "config/config.h"
#include "event/event.h"

static enum err algorithm_read(struct op *op, struct str name, enum crypt_algorithm *out)
{
	if (name.n == 0)
		*out = CRYPT_PLAIN;
	else if (str_eq_ci(name, STR("aes-256-gcm-sha256")))
		*out = CRYPT_AES_256_GCM;
	else if (str_eq_ci(name, STR("chacha20-poly1305-sha256")) ||
		 str_eq_ci(name, STR("chacha20-poly1305")))
		*out = CRYPT_CHACHA20_POLY1305;
	else
		return op_fail(op, ERR_INVALID,
			"crypt_write_algorithm = %.*s: only aes-256-gcm-sha256 and "
			"chacha20-poly1305-sha256 are there, or nothing to store plain objects",
			STRF(name));
	return ERR_NONE;
}

static enum err private_keys_read(
	struct op *op, const struct config_scope *scope, struct crypt_settings *s)
{
	for (size_t i = 0; i < config_block_count(scope, BLOCK_crypt_global_private_key); i++) {
		const struct config_scope *key =
			config_block_at(scope, BLOCK_crypt_global_private_key, i);
		/* Written with or without "crypt_" in front. */
		struct str file = config_file(key, SET_crypt_private_key_file);
		struct str password = config_str(key, SET_crypt_private_key_password);
		if (file.n == 0)
			file = config_file(key, SET_crypt_global_private_key_private_key_file);
		if (password.n == 0)
			password =
				config_str(key, SET_crypt_global_private_key_private_key_password);
		TRY(crypt_ring_add_private(op, s->ring,
			str_printf(op->arena, "crypt_global_private_key %.*s",
				STRF(config_scope_name(key))),
			file, password));
	}
	return ERR_NONE;
}

static enum err scope_read(
	struct op *op, const struct config_scope *scope, struct crypt_settings *s)
{
	struct str text = config_file(scope, SET_crypt_global_public_key_file);
	TRY(algorithm_read(op, config_str(scope, SET_crypt_write_algorithm), &s->algorithm));
	s->reads_plain = config_bool(scope, SET_fs_crypt_read_plain_fallback);
	if (text.n)
		TRY(crypt_ring_add_public(op, s->ring, STR("crypt_global_public_key_file"), text));
	/* The keys stand anywhere around the layer, mostly outside of everything. */
	for (; scope; scope = config_scope_parent(scope))
		TRY(private_keys_read(op, scope, s));
	return ERR_NONE;
}

static enum err key_file_add(struct op *op, struct crypt_ring *ring, struct str path,
	bool is_private, struct str password)
{
	struct buf text;
	buf_init(&text, 0);
	enum err e = file_read(op, str_dup_z(op->arena, path), 64 * 1024, &text);
	if (e == ERR_NONE)
		e = is_private ? crypt_ring_add_private(op, ring, path, buf_str(&text), password)
			       : crypt_ring_add_public(op, ring, path, buf_str(&text));
	buf_done(&text);
	return e;
}

/* "public=PATH,private=PATH,password=TEXT,algorithm=NAME,plain" in any order; the password stands before
 * its key. */
static enum err argument_read(struct op *op, struct str argument, struct crypt_settings *s)
{
	struct str rest = argument, word, password = STR_NONE;
	while (rest.n) {
		if (!str_cut(&rest, ',', &word)) {
			word = rest;
			rest = STR_NONE;
		}
		if (str_skip(&word, STR("public=")))
			TRY(key_file_add(op, s->ring, word, false, STR_NONE));
		else if (str_skip(&word, STR("password=")))
			password = word;
		else if (str_skip(&word, STR("private=")))
			TRY(key_file_add(op, s->ring, word, true, password));
		else if (str_skip(&word, STR("algorithm=")))
			TRY(algorithm_read(op, word, &s->algorithm));
		else if (str_eq(word, STR("plain")))
			s->reads_plain = true;
		else
			return op_fail(
				op, ERR_INVALID, "crypt: unknown option \"%.*s\"", STRF(word));
	}
	return ERR_NONE;
}

/* Settles what the keys mean together. */
static enum err keys_check(struct op *op, struct crypt_settings *s)
{
	bool has_public = crypt_ring_public_count(s->ring) > 0;
	bool has_private = crypt_ring_private_count(s->ring) > 0;
	if (!has_public && !has_private) {
		s->algorithm = CRYPT_PLAIN;
		event_send(op->event, EVENT_WARNING, NULL,
			"fs crypt: no keys are set, mails are stored unencrypted "
			"(crypt_global_public_key_file, crypt_global_private_key)");
		return ERR_NONE;
	}
	if (!has_public && s->algorithm != CRYPT_PLAIN)
		return op_fail(op, ERR_INVALID,
			"fs crypt: there are private keys but no crypt_global_public_key_file to "
			"encrypt with (crypt_write_algorithm = \"\" stores new objects plain)");
	if (s->algorithm != CRYPT_PLAIN && !crypt_ring_opens_its_own(s->ring))
		event_send(op->event, EVENT_WARNING, NULL,
			"fs crypt: no crypt_global_private_key opens what is encrypted with "
			"crypt_global_public_key_file: new mails cannot be read here");
	return ERR_NONE;
}

enum err crypt_settings_read(struct op *op, const struct config_scope *scope, struct str argument,
	struct crypt_settings *out)
{
	struct crypt_settings s = { crypt_ring_new(), CRYPT_AES_256_GCM, false };
	enum err e = scope ? scope_read(op, scope, &s) : argument_read(op, argument, &s);
	if (e == ERR_NONE)
		e = keys_check(op, &s);
	if (e == ERR_NONE)
		*out = s;
	else
		crypt_ring_free(s.ring);
	return e;
}
