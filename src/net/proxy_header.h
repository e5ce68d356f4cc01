/* SPDX-License-Identifier: Apache-2.0 */
/* net/proxy_header.h - the PROXY protocol: what a load balancer says about a client before the
 * client's first byte.
 *
 * Rules:  proxy_header_parse() is total, bounded and without state: it is asked again with more bytes
 *         while it says MORE. Slices point into its input. Who may send a header is the caller's
 *         decision, before any byte is read.
 * Spec:   "The PROXY protocol" 1 and 2 (HAProxy), revision of 2020/03/05; sheet core §7.3. */
#pragma once

#include "base/base.h"
#include "net/address.h"

struct stream;

#define PROXY_HEADER_BYTES_MAX 4096 /* of version 2; version 1 has 107 */

enum proxy_result { PROXY_MORE, PROXY_DONE, PROXY_INVALID };

struct proxy_header {
	bool has_addresses; /* false: the balancer's own connection, or a family we do not know */
	struct address remote, local;
	struct str alpn, authority; /* "" for none */
	bool is_tls;                /* the client speaks TLS with the balancer */
	bool is_cert_verified;      /* and showed a certificate that it verified */
	struct str cert_name;       /* its common name; "" for none */
	struct str tls_protocol, tls_cipher;
};
/* *out and *out_used (bytes of the header) are set when it is PROXY_DONE. */
enum proxy_result proxy_header_parse(struct str in, struct proxy_header *out, size_t *out_used);

/* WAITS until the op's deadline. Reads the header off the front of the stream and makes its addresses
 * the stream's. Strings of *out in op's arena. ERR_INVALID: no header; ERR_TIMEOUT: it is late. */
enum err stream_read_proxy_header(struct op *op, struct stream *s, struct proxy_header *out);
