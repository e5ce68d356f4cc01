/* SPDX-License-Identifier: Apache-2.0 */
/* SCRAM-SHA-1, SCRAM-SHA-256 and their -PLUS. Spec: RFC 5802, RFC 7677, RFC 9266.
 *
 *   first message --> secret looked up --> challenge --> final message --> proof --> done
 *
 * A user that does not exist, is disabled or has no usable password gets a challenge like anybody else,
 * with a salt derived from his name by a key, and fails at the proof with everybody's words. The proof is
 * checked against keys that are looked up again: what the database says then is what counts. */
#include <stdio.h>
#include <unistd.h>

#include "auth/auth_private.h"
#include "auth/mechanism_private.h"
#include "base/codec.h"
#include "base/file.h"
#include "base/number.h"
#include "base/random.h"
#include "crypto/crypto.h"
#include "crypto/scram.h"
#include "task/task.h"
#include "wire/sasl_scram.h"

#define SALT_BYTES    16
#define NONCE_BYTES   18
#define ROUNDS        4096
#define BINDING_NAME  STR("tls-exporter")
#define MACHINE_BYTES 4096

struct scram {
	const struct scram_digest *digest;
	struct sasl_scram_first first; /* in the exchange's arena */
	struct str server_first;
	struct str nonce; /* theirs and ours */
	struct str salt;
	uint32_t rounds;
};

/* One key for one host, also after a restart: salts of unknown users must not change when those of
 * others do not. machine-id(5) asks for such a derivation. */
void auth_scram_key(struct op *op, uint8_t out[32])
{
	AUTO_BUF(id, 0);
	if (file_read(op, "/etc/machine-id", MACHINE_BYTES, &id) != ERR_NONE || id.n < 16) {
		op_forgive(op);
		random_bytes(out, 32);
		return;
	}
	crypto_hmac_sha256(buf_str(&id), STR("pombal: salts of unknown users"), out);
}

static struct str salt_for(struct op *op, const struct auth_dialogue *d, const struct scram *s)
{
	uint8_t mac[CRYPTO_SHA256_BYTES];
	AUTO_BUF(text, 0);
	number_put_counted(&text, s->digest->name);
	number_put_counted(&text, str_lower(op->arena, s->first.user));
	crypto_hmac_sha256(
		(struct str){ (const char *)d->auth->salt_key, sizeof(d->auth->salt_key) },
		buf_str(&text), mac);
	return str_dup(d->arena, (struct str){ (const char *)mac, SALT_BYTES });
}

/* ---- the secret ---- */

static bool cut_scram(const struct scram_digest *digest, struct str secret, struct str *out_data)
{
	*out_data = secret;
	return str_skip_ci(out_data, STR("{SCRAM-")) && str_skip_ci(out_data, digest->name) &&
	       str_skip(out_data, STR("}"));
}

static bool cut_plain(struct str secret, struct str *out_data)
{
	*out_data = secret;
	return str_skip_ci(out_data, STR("{PLAIN}")) || str_skip_ci(out_data, STR("{CLEAR}")) ||
	       str_skip_ci(out_data, STR("{CLEARTEXT}"));
}

/* Salt and rounds that the client has to use. False: the secret is of no use here. */
static bool read_parameters(
	struct op *op, const struct auth_dialogue *d, struct scram *s, struct str secret)
{
	struct str data;
	struct scram_keys keys;
	AUTO_BUF(salt, 0);
	s->salt = salt_for(op, d, s);
	s->rounds = ROUNDS;
	if (cut_plain(secret, &data))
		return true;
	if (!cut_scram(s->digest, secret, &data) ||
		!scram_stored_parse(s->digest, data, &s->rounds, &salt, &keys)) {
		s->rounds = ROUNDS;
		return false;
	}
	s->salt = buf_dup(d->arena, &salt);
	return true;
}

struct derive_job {
	struct offload_job job;
	const struct scram_digest *digest;
	struct buf password, salt;
	uint32_t rounds;
	struct scram_keys keys;
};

static void derive_run(struct offload_job *job)
{
	struct derive_job *j = (struct derive_job *)job;
	scram_keys_derive(j->digest, buf_str(&j->password), buf_str(&j->salt), j->rounds, &j->keys);
}

static void derive_release(struct offload_job *job)
{
	struct derive_job *j = (struct derive_job *)job;
	mem_wipe(j->password.p, j->password.n);
	buf_done(&j->password);
	buf_done(&j->salt);
	mem_wipe(&j->keys, sizeof(j->keys));
	mem_free(j);
}

/* WAITS. */
static enum err derive(
	struct op *op, const struct scram *s, struct str password, struct scram_keys *out)
{
	struct derive_job *j = MEM_NEW(struct derive_job);
	j->job = (struct offload_job){ .run = derive_run, .release = derive_release };
	j->digest = s->digest;
	buf_put(&j->password, password.n ? password : STR("\0"));
	buf_put(&j->salt, s->salt);
	j->rounds = s->rounds;
	TRY(offload(op, OFFLOAD_CPU, &j->job));
	*out = j->keys;
	derive_release(&j->job);
	return ERR_NONE;
}

/* WAITS. *out_ok false: there is no secret for such keys; the time it takes is the same. */
static enum err find_keys(struct op *op, const struct scram *s, struct str secret,
	struct scram_keys *out, bool *out_ok)
{
	struct str data;
	uint32_t rounds;
	AUTO_BUF(salt, 0);
	*out_ok = true;
	if (cut_scram(s->digest, secret, &data) &&
		scram_stored_parse(s->digest, data, &rounds, &salt, out)) {
		/* Changed since the challenge: the proof is about other parameters. */
		*out_ok = rounds == s->rounds && str_eq(buf_str(&salt), s->salt);
		return ERR_NONE;
	}
	/* An empty password is nobody's: PLAIN does not take it either. */
	*out_ok = cut_plain(secret, &data) && data.n > 0;
	return derive(op, s, *out_ok ? data : STR(""), out);
}

/* ---- the messages ---- */

static bool binding_is_right(const struct auth_dialogue *d, const struct sasl_scram_first *first)
{
	bool is_plus = d->mechanism->flags & MECHANISM_NEEDS_BINDING;
	if (is_plus)
		return first->binding == SCRAM_BINDING_USED &&
		       str_eq(first->binding_name, BINDING_NAME) &&
		       d->request.channel_binding.n > 0;
	/* "y" where we do offer it: somebody between us took it off the list. */
	if (first->binding == SCRAM_BINDING_REFUSED)
		return d->request.channel_binding.n == 0 ||
		       !auth_offers_binding(d->auth, &d->request);
	return first->binding == SCRAM_BINDING_NONE;
}

static enum err first_message(struct op *op, struct auth_dialogue *d, struct scram *s,
	struct str message, struct str *out_data)
{
	struct auth_flow flow;
	char nonce[NONCE_BYTES];
	AUTO_BUF(ours, 0);
	AUTO_BUF(challenge, 0);
	if (sasl_scram_parse_first(d->arena, str_dup(d->arena, message), &s->first) != ERR_NONE ||
		!binding_is_right(d, &s->first))
		return auth_dialogue_malformed(op, d);
	d->request.user = s->first.user;
	d->request.authzid = s->first.authzid;
	struct str secret = STR("");
	enum err e = auth_flow_start(op, d->auth, &d->request, AUTH_MODE_SECRET, &flow);
	if (e == ERR_NONE) {
		struct auth_result ignored = { 0 };
		e = auth_chain_passdb(op, &flow, &ignored);
		if (e == ERR_NONE)
			secret = flow.secret;
		auth_flow_end(&flow);
	}
	if (e != ERR_NONE && e != ERR_DENIED && e != ERR_INVALID) {
		d->result.refusal = AUTH_REFUSAL_TEMPORARY;
		return e;
	}
	(void)read_parameters(op, d, s, secret); /* useless ones fail at the proof */
	random_bytes(nonce, sizeof(nonce));
	base64_encode(&ours, (struct str){ nonce, sizeof(nonce) });
	s->nonce = str_printf(d->arena, "%.*s%.*s", STRF(s->first.nonce), STRF(buf_str(&ours)));
	sasl_scram_put_server_first(&challenge, s->first.nonce, buf_str(&ours), s->salt, s->rounds);
	s->server_first = buf_dup(d->arena, &challenge);
	*out_data = s->server_first;
	return ERR_NONE;
}

/* c= must repeat the header, and the binding bytes when they are used. */
static bool final_fits(
	const struct auth_dialogue *d, const struct scram *s, const struct sasl_scram_final *final)
{
	struct str rest = final->binding;
	if (!str_eq(final->nonce, s->nonce) || !str_skip(&rest, s->first.gs2_header))
		return false;
	return str_eq(rest,
		s->first.binding == SCRAM_BINDING_USED ? d->request.channel_binding : STR(""));
}

/* WAITS. */
static enum err prove(struct op *op, struct auth_dialogue *d, const struct scram *s,
	const struct sasl_scram_final *final, struct auth_flow *flow, struct str *out_data)
{
	struct scram_keys keys;
	uint8_t signature[SCRAM_KEY_BYTES_MAX];
	AUTO_BUF(reply, 0);
	bool is_ok;
	enum err e = auth_chain_passdb(op, flow, &d->result);
	if (e != ERR_NONE && e != ERR_DENIED)
		return e;
	struct op_failure why = op->failure;
	TRY(find_keys(op, s, e == ERR_NONE ? flow->secret : STR(""), &keys, &is_ok));
	if (e != ERR_NONE) {
		op->failure = why;
		return e;
	}
	struct str message = str_printf(op->arena, "%.*s,%.*s,%.*s", STRF(s->first.bare),
		STRF(s->server_first), STRF(final->without_proof));
	is_ok = scram_proof_is_right(s->digest, &keys, message, final->proof) && is_ok;
	if (!is_ok) {
		d->result.refusal = AUTH_REFUSAL_CREDENTIALS;
		return op_fail(op, ERR_DENIED, "password mismatch");
	}
	scram_server_signature(s->digest, &keys, message, signature);
	mem_wipe(&keys, sizeof(keys));
	sasl_scram_put_server_final(
		&reply, (struct str){ (const char *)signature, s->digest->bytes });
	*out_data = buf_dup(op->arena, &reply);
	return auth_flow_finish(op, flow, &d->result);
}

static enum err final_message(struct op *op, struct auth_dialogue *d, struct scram *s,
	struct str message, struct str *out_data)
{
	struct sasl_scram_final final;
	struct auth_flow flow;
	if (sasl_scram_parse_final(op->arena, message, &final) != ERR_NONE ||
		!final_fits(d, s, &final))
		return auth_dialogue_malformed(op, d);
	enum err e = auth_flow_start(op, d->auth, &d->request, AUTH_MODE_SECRET, &flow);
	if (e == ERR_NONE) {
		e = prove(op, d, s, &final, &flow, out_data);
		auth_flow_end(&flow);
	}
	if (e != ERR_NONE && d->result.refusal == AUTH_REFUSAL_NONE)
		d->result.refusal = e == ERR_DENIED || e == ERR_INVALID ? AUTH_REFUSAL_CREDENTIALS
									: AUTH_REFUSAL_TEMPORARY;
	auth_count(d->auth, e);
	d->is_done = e == ERR_NONE;
	return e;
}

static enum err step(struct op *op, struct auth_dialogue *d, const struct scram_digest *digest,
	struct str message, struct str *out_data)
{
	struct scram *s = d->state;
	if (s)
		return final_message(op, d, s, message, out_data);
	d->state = s = ARENA_NEW(d->arena, struct scram);
	s->digest = digest;
	return first_message(op, d, s, message, out_data);
}

static enum err sha1_step(
	struct op *op, struct auth_dialogue *d, struct str message, struct str *out_data)
{
	return step(op, d, &scram_sha1, message, out_data);
}

static enum err sha256_step(
	struct op *op, struct auth_dialogue *d, struct str message, struct str *out_data)
{
	return step(op, d, &scram_sha256, message, out_data);
}

const struct auth_mechanism auth_mech_scram_sha1 = {
	.name = { "SCRAM-SHA-1", 11 },
	.step = sha1_step,
};
const struct auth_mechanism auth_mech_scram_sha1_plus = {
	.name = { "SCRAM-SHA-1-PLUS", 16 },
	.flags = MECHANISM_NEEDS_BINDING,
	.step = sha1_step,
};
const struct auth_mechanism auth_mech_scram_sha256 = {
	.name = { "SCRAM-SHA-256", 13 },
	.step = sha256_step,
};
const struct auth_mechanism auth_mech_scram_sha256_plus = {
	.name = { "SCRAM-SHA-256-PLUS", 18 },
	.flags = MECHANISM_NEEDS_BINDING,
	.step = sha256_step,
};
