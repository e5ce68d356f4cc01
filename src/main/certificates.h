/* SPDX-License-Identifier: Apache-2.0 */
/* main/certificates.h - the TLS contexts of a configuration, by address and name.
 *
 * The one front that all listeners share asks here which certificate a client gets: that of the
 * `local` and `local_name` blocks that fit, or the default one. A reload replaces what is behind the
 * front; handshakes that have begun keep what they have.
 *
 * Life: certificates_open() -> certificates_front() for the services -> certificates_reload()... ->
 *       certificates_close(). */
#pragma once

#include "base/base.h"
#include "net/tls.h"

struct certificates;
struct config;

/* Makes the contexts of every `local` and `local_name` block, so that what is wrong is known now.
 * ERR_INVALID: a certificate, a key or a rule is bad; the text names the setting and the block.
 * *out is NULL when `ssl = no` everywhere. */
enum err certificates_open(struct op *op, struct config *config,
	const uint8_t ticket_seed[TLS_TICKET_SEED_BYTES], struct certificates **out);
/* Only the check, for the master: a mistake is told before any process starts. */
enum err certificates_check(struct op *op, struct config *config);
/* The same from another configuration; on an error everything stays. */
enum err certificates_reload(struct op *op, struct certificates *c, struct config *config);
void certificates_close(struct certificates *c);                /* NULL is fine */
struct tls_context *certificates_front(struct certificates *c); /* borrowed; NULL for NULL */
