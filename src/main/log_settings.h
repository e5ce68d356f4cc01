/* SPDX-License-Identifier: Apache-2.0 */
/* main/log_settings.h - what the configuration says about logs, for those who write and who look them up. */
#pragma once

#include "config/config.h"
#include "event/event.h"

/* Borrowed from `config` and the arena. */
struct event_log_settings log_settings_read(struct arena *arena, struct config *config);
