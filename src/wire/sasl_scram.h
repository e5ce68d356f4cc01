/* SPDX-License-Identifier: Apache-2.0 */
/* wire/sasl_scram.h - the messages of SCRAM: bytes to structs and back, the server's side.
 *
 *   client-first   gs2-header n=USER,r=NONCE        gs2-header: n,, or y,, or p=tls-exporter,a=AUTHZID,
 *   server-first   r=NONCE+OURS,s=SALT,i=ROUNDS
 *   client-final   c=BASE64(gs2-header binding),r=NONCE+OURS,p=PROOF
 *   server-final   v=SIGNATURE
 *
 * Rules:  pure functions; slices of the message where nothing had to be decoded.
 * Spec:   RFC 5802 §5, §7; RFC 9266 (tls-exporter). */
#pragma once

#include "wire/sasl.h"

#define SASL_SCRAM_NONCE_MAX 512

enum sasl_scram_binding {
	SCRAM_BINDING_NONE,    /* n: the client does not know how */
	SCRAM_BINDING_REFUSED, /* y: it knows how and thinks that the server does not */
	SCRAM_BINDING_USED,    /* p=... */
};
struct sasl_scram_first {
	enum sasl_scram_binding binding;
	struct str binding_name; /* "tls-exporter"; empty unless used */
	struct str gs2_header;   /* with its last comma: part of the final message */
	struct str bare;         /* the rest: part of what is signed */
	struct str authzid;      /* decoded; empty: none */
	struct str user;         /* decoded; never empty */
	struct str nonce;
};
/* ERR_INVALID: not such a message. ERR_UNSUPPORTED: it demands an extension (m=). */
enum err sasl_scram_parse_first(
	struct arena *arena, struct str message, struct sasl_scram_first *out);

struct sasl_scram_final {
	struct str binding;       /* decoded: gs2-header and binding bytes */
	struct str nonce;         /* the client's and ours */
	struct str proof;         /* decoded */
	struct str without_proof; /* part of what is signed */
};
enum err sasl_scram_parse_final(
	struct arena *arena, struct str message, struct sasl_scram_final *out);

void sasl_scram_put_server_first(struct buf *out, struct str client_nonce, struct str our_nonce,
	struct str salt, uint32_t rounds);
void sasl_scram_put_server_final(struct buf *out, struct str signature);
