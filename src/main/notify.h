/* SPDX-License-Identifier: Apache-2.0 */
/* main/notify.h - telling systemd how the master is (sd_notify(3), Type=notify or notify-reload): one
 * datagram a message, to the socket that NOTIFY_SOCKET names. Without one nothing is sent. */
#pragma once

#include "base/base.h"

/* Reads NOTIFY_SOCKET and WATCHDOG_USEC, and takes them out of the environment of children. On the
 * loop: with a watchdog it sends a sign of life from then on, at half the interval asked for. */
void notify_open(void);
/* Puts the variables back, for the program that is executed in our place. */
void notify_restore_environment(void);

void notify_ready(struct str status);
void notify_reloading(void); /* until the next notify_ready() */
void notify_stopping(void);
