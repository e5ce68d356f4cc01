/* SPDX-License-Identifier: Apache-2.0 */
/* main/mail_metacache.h - the metacache's settings in a mail worker. */
#pragma once

#include "config/config.h"
#include "store/metacache.h"

/* Reads metacache_* for the worker of a slot. Texts are in the arena. ERR_INVALID: weights or the window of
 * the night make no sense. `owns` is the caller's to set. */
enum err mail_metacache_settings(struct op *op, struct config *config, uint32_t slot,
	struct arena *arena, struct metacache_settings *out);
