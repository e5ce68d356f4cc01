/* SPDX-License-Identifier: Apache-2.0 */
/* objects/crypt_settings.h - what a crypt layer is told: keys, algorithm, and whether plain objects are
 * read. */
#pragma once

#include "objects/crypt_keys.h"

struct config_scope;

struct crypt_settings {
	struct crypt_ring *ring;        /* owned: crypt_ring_free() */
	enum crypt_algorithm algorithm; /* of new objects; CRYPT_PLAIN: they are not encrypted */
	bool reads_plain;
};
/* From the configuration or, without a scope, from text. Warns where keys are missing. ERR_INVALID names what is
 * wrong. */
enum err crypt_settings_read(struct op *op, const struct config_scope *scope, struct str argument,
	struct crypt_settings *out);
