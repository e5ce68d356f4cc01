/* SPDX-License-Identifier: Apache-2.0 */
/* A context for each scope of the configuration that handshakes have asked for. There are few scopes
 * (config/config.h), whatever names clients invent. */
#include "main/certificates.h"

#include "base/map.h"
#include "config/config.h"
#include "event/event.h"

struct certificate_set {
	struct config *config;
	struct map_u64 contexts; /* scope's address -> struct tls_context */
	struct tls_context *fallback;
};
struct certificates {
	struct certificate_set set;
	struct tls_context *front;
};

/* ---- one scope ---- */

static struct tls_settings read_settings(const struct config_scope *scope)
{
	struct str password = config_str(scope, SET_ssl_server_key_password);
	return (struct tls_settings){
		.certificate = {
			.chain_pem = config_file(scope, SET_ssl_server_cert_file),
			.key_pem = config_file(scope, SET_ssl_server_key_file),
			.key_password = password,
		},
		.alt = {
			.chain_pem = config_file(scope, SET_ssl_server_alt_cert_file),
			.key_pem = config_file(scope, SET_ssl_server_alt_key_file),
			.key_password = password,
		},
		.min_protocol = config_str(scope, SET_ssl_min_protocol),
		.cipher_list = config_str(scope, SET_ssl_cipher_list),
		.cipher_suites = config_str(scope, SET_ssl_cipher_suites),
		.groups = config_str(scope, SET_ssl_curve_list),
		.dh_pem = config_file(scope, SET_ssl_server_dh_file),
		.prefers_server = config_is(scope, SET_ssl_server_prefer_ciphers, STR("server")),
		.has_no_tickets = config_list_has(scope, SET_ssl_options, STR("no_ticket")),
		.ask = config_is(scope, SET_ssl_server_request_client_cert, STR("no"))
			       ? TLS_ASK_NOTHING
			       : TLS_ASK_CERTIFICATE,
		.authorities_pem = config_file(scope, SET_ssl_server_ca_file),
		.requires_crl = config_bool(scope, SET_ssl_server_require_crl),
		.name_field = config_str(scope, SET_ssl_server_cert_username_field),
	};
}

static enum err make_context(
	struct op *op, const struct config_scope *scope, struct tls_context **out)
{
	struct tls_settings settings = read_settings(scope);
	if (settings.certificate.chain_pem.n == 0)
		return op_fail(op, ERR_INVALID,
			"ssl_server_cert_file is empty: set it and ssl_server_key_file, or ssl = "
			"no");
	if (settings.ask != TLS_ASK_NOTHING && settings.authorities_pem.n == 0 &&
		config_is(scope, SET_ssl_server_request_client_cert, STR("yes")))
		return op_fail(op, ERR_INVALID,
			"ssl_server_request_client_cert = yes needs ssl_server_ca_file");
	return tls_context_new(op, &settings, out);
}

/* ---- all of them ---- */

static void set_free(struct certificate_set *set)
{
	struct map_u64_entry e;
	size_t at = 0;
	while (map_u64_next(&set->contexts, &at, &e))
		tls_context_unref(e.value);
	map_u64_done(&set->contexts);
	config_unref(set->config);
	*set = (struct certificate_set){ 0 };
}

/* The context of a place, made if it is the first time. */
static enum err context_for(struct op *op, struct certificate_set *set,
	const struct config_place *place, struct tls_context **out)
{
	const struct config_scope *scope = config_scope(set->config, place);
	struct tls_context *known = map_u64_get(&set->contexts, (uint64_t)(uintptr_t)scope);
	if (!known) {
		TRY(make_context(op, scope, &known));
		map_u64_set(&set->contexts, (uint64_t)(uintptr_t)scope, known);
	}
	*out = known;
	return ERR_NONE;
}

static enum err fill(struct op *op, struct certificate_set *set)
{
	struct config_place place;
	struct tls_context *unused;
	size_t at = 0;
	TRY(context_for(op, set, NULL, &set->fallback));
	while (config_place_next(op->arena, set->config, &at, &place)) {
		if (config_is(config_scope(set->config, &place), SET_ssl, STR("no")))
			continue;
		TRY(op_within(op, context_for(op, set, &place, &unused),
			"local %.*s local_name %.*s", STRF(place.local_ip),
			STRF(place.local_name)));
	}
	return ERR_NONE;
}

static enum err set_open(struct op *op, struct config *config, struct certificate_set *out)
{
	struct certificate_set set = { .config = config_ref(config) };
	map_u64_init(&set.contexts);
	enum err e = fill(op, &set);
	if (e != ERR_NONE) {
		set_free(&set);
		return e;
	}
	*out = set;
	return ERR_NONE;
}

/* A block in a combination that was not tried at the start cannot be wrong in itself; if it is all the
 * same, the default certificate is better than none. */
static struct tls_context *choose(void *arg, const struct address *local, struct str name)
{
	struct certificates *c = arg;
	struct tls_context *t;
	AUTO_ARENA(arena, 0);
	struct op op;
	op_init(&op, &arena, NULL, TIME_NEVER);
	struct config_place place = { .local_name = name, .local_ip = address_dup(&arena, local) };
	return context_for(&op, &c->set, &place, &t) == ERR_NONE ? t : c->set.fallback;
}

/* ---- the public side ---- */

static bool wants_tls(struct config *config)
{
	return !config_is(config_scope(config, NULL), SET_ssl, STR("no"));
}

static void say_what_is_ignored(struct config *config)
{
	if (config_list_has(config_scope(config, NULL), SET_ssl_options, STR("compression")))
		event_send(NULL, EVENT_WARNING, NULL,
			"ssl_options = compression is ignored: it would show what is encrypted");
}

enum err certificates_open(struct op *op, struct config *config,
	const uint8_t ticket_seed[TLS_TICKET_SEED_BYTES], struct certificates **out)
{
	struct certificate_set set;
	*out = NULL;
	if (!wants_tls(config))
		return ERR_NONE;
	TRY(set_open(op, config, &set));
	say_what_is_ignored(config);
	struct certificates *c = MEM_NEW(struct certificates);
	c->set = set;
	c->front = tls_context_new_front(ticket_seed, choose, c);
	*out = c;
	return ERR_NONE;
}

enum err certificates_check(struct op *op, struct config *config)
{
	struct certificate_set set;
	if (!wants_tls(config))
		return ERR_NONE;
	TRY(set_open(op, config, &set));
	set_free(&set);
	return ERR_NONE;
}

enum err certificates_reload(struct op *op, struct certificates *c, struct config *config)
{
	struct certificate_set set;
	if (!wants_tls(config))
		return ERR_NONE; /* what listens with TLS goes on with what it has */
	TRY(set_open(op, config, &set));
	say_what_is_ignored(config);
	set_free(&c->set);
	c->set = set;
	return ERR_NONE;
}

void certificates_close(struct certificates *c)
{
	if (!c)
		return;
	tls_context_unref(c->front);
	set_free(&c->set);
	mem_free(c);
}

struct tls_context *certificates_front(struct certificates *c)
{
	return c ? c->front : NULL;
}
