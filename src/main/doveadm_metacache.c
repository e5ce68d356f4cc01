/* SPDX-License-Identifier: Apache-2.0 */
/* doveadm metacache: local state, its limits, and uploads. Mail workers answer (main/mail_metacache.c).
 *
 * -a SOCKET, -S SOCKET and -f FIELD are accepted for scripts that were written for the platform: there is
 * no process of that name, and users have one name. Spec: storage sheet §16.1. */
#include <getopt.h>
#include <stdio.h>

#include "base/number.h"
#include "main/doveadm_mail.h"

#define LONG_US (60 * 60 * US_PER_SEC)

/* Not flushed, or in use, is told apart from what may work later by itself. */
static int run(struct doveadm_mail_call *c)
{
	int status = doveadm_mail_run(c);
	if (c->result == ERR_INVALID || c->result == ERR_CONFLICT)
		return EXIT_DATA_ERROR;
	return status;
}

static bool put_number(struct doveadm_mail_call *c, const char *name, uint32_t max)
{
	uint32_t n;
	if (!number_parse_u32(str_from(optarg), &n) || n > max)
		return false;
	buf_putf(&c->options, "%s=%u ", name, n);
	return true;
}

static bool take_option(struct doveadm_mail_call *c, int letter)
{
	switch (letter) {
	case 'u':
		c->user = str_from(optarg);
		return true;
	case 'A':
		c->is_for_all = true;
		return true;
	case 'i':
		buf_put(&c->options, STR("important "));
		return true;
	case 'R':
		buf_put(&c->options, STR("roots "));
		return true;
	case 'b':
		buf_put(&c->options, STR("bytes "));
		return true;
	case 'p':
		return put_number(c, "priority", 3);
	case 'd':
		return put_number(c, "days", 36500);
	case 'a':
	case 'S':
		return true;
	case 'f':
		return str_eq(str_from(optarg), STR("username"));
	default:
		return false;
	}
}

/* Options, then masks if the command takes some (`masks_max`), or else a namespace, of which there is
 * one kind. */
static bool take_arguments(struct doveadm_mail_call *c, const char *letters, int masks_max)
{
	static const struct option long_options[] = { { "roots", no_argument, NULL, 'R' }, { 0 } };
	struct doveadm *d = c->d;
	int letter;
	opterr = 0;
	optind = 1;
	/* getopt_long() wants a word before the arguments: the command's last one stands there. */
	while ((letter = getopt_long(d->arg_count + 1, d->args - 1, letters, long_options, NULL)) !=
		-1)
		if (!strchr(letters, letter) || !take_option(c, letter))
			return false;
	int count = d->arg_count + 1 - optind;
	if (count > masks_max)
		return false;
	for (int i = 0; i < count; i++)
		buf_putf(&c->options, "mask=%s ", d->args[optind - 1 + i]);
	return true;
}

static int for_user(struct doveadm *d, const char *command, const char *titles, const char *letters)
{
	struct doveadm_mail_call c = {
		.d = d, .command = command, .titles = titles, .lasts_us = LONG_US
	};
	if (!take_arguments(&c, letters, 0) || (c.user.n > 0) == c.is_for_all) {
		buf_done(&c.options);
		return doveadm_usage(d);
	}
	return run(&c);
}

static int for_masks(struct doveadm *d, const char *command, const char *titles,
	const char *letters, int masks_min, int masks_max)
{
	struct doveadm_mail_call c = {
		.d = d, .command = command, .titles = titles, .lasts_us = LONG_US
	};
	if (!take_arguments(&c, letters, masks_max) ||
		(masks_min > 0 && str_find(buf_str(&c.options), STR("mask=")) < 0)) {
		buf_done(&c.options);
		return doveadm_usage(d);
	}
	return run(&c);
}

int doveadm_metacache_status(struct doveadm *d)
{
	return for_masks(d, "metacache status",
		"worker\twhat\tlast_access\tusers\tbytes\tbytes(0)\tbytes(1)\tbytes(2)\t"
		"bytes(3)\tchanged\timportant",
		"a:bR", 0, 0);
}

int doveadm_metacache_list(struct doveadm *d)
{
	return for_masks(d, "metacache list",
		"username\tupload-within\tdev-major\tdev-minor\tbytes-used(0)\tbytes-used(1)\t"
		"bytes-used(2)\tbytes-used(3)\tlast-access(0)\tlast-access(1)\tlast-access(2)\t"
		"last-access(3)\tchanges\tlast-service\tcleanup-weight",
		"a:f:", 0, INT16_MAX);
}

int doveadm_metacache_flush(struct doveadm *d)
{
	return for_user(d, "metacache flush", "user\tresult\tuploaded", "u:AS:p:i");
}

int doveadm_metacache_flushall(struct doveadm *d)
{
	return for_masks(d, "metacache flushall", "worker\tusers\tfailed", "a:f:i", 0, INT16_MAX);
}

int doveadm_metacache_clean(struct doveadm *d)
{
	return for_user(d, "metacache clean", "user\tresult\tbytes", "u:AS:d:p:");
}

int doveadm_metacache_remove(struct doveadm *d)
{
	return for_masks(d, "metacache remove", "worker\tremoved", "a:f:", 1, INT16_MAX);
}

int doveadm_metacache_refresh(struct doveadm *d)
{
	return for_user(d, "metacache refresh", "user\tresult", "u:AS:");
}

int doveadm_metacache_rescan(struct doveadm *d)
{
	return for_masks(d, "metacache rescan", "worker\tresult\tusers\tbytes", "", 0, 0);
}
