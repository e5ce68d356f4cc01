/* SPDX-License-Identifier: Apache-2.0 */
/* To add a command: a row here, one in doveadm.c, and the worker's function in mail_admin.c.
 *
 * -a SOCKET, -S SOCKET and -f FIELD are accepted for scripts that were written for the platform: there is
 * no process of that name, and users have one name. Spec: storage sheet §8.4, §16. */
#include "main/mail_command.h"

#include <getopt.h>

#include "base/number.h"
#include "ipc/ipc.h"

#define MINUTES_US(n) ((n)*60 * US_PER_SEC)
#define HOURS_US(n)   MINUTES_US((n)*60)
#define WORDS_MAX     8

#define MAILBOX_TITLES                                                                             \
	"user\tmailbox\tresult\tmessages\tuid_validity\tuid_next\thighest_modseq\tfailure"

static const char *const no_words[] = { NULL };
static const char *const words_of_rebuild[] = { "verify", "drop-lost", NULL };
static const char *const words_of_dictmap[] = { "from-storage", "dry-run", NULL };
static const char *const words_of_status[] = { "roots", NULL };
static const char *const words_of_pull[] = { "latest-only", "clean", NULL };

static const struct mail_command commands[] = {
	{ "storage status",
		"worker\tstore\tdriver\treads\twrites\tdeletes\tbytes_read\tbytes_written\t"
		"failures\tstate\tfailing_since\tfailure",
		"S:", no_words, NULL, REST_NOTHING, EXITS_USUAL, MINUTES_US(5), false },
	{ "mailbox verify", MAILBOX_TITLES, "u:S:", no_words, NULL, REST_MAILBOX, EXITS_USUAL,
		MINUTES_US(5), false },
	{ "mailbox rebuild", MAILBOX_TITLES, "u:AS:", words_of_rebuild, NULL, REST_MAILBOX,
		EXITS_USUAL, HOURS_US(4), false },
	{ "force-resync", MAILBOX_TITLES, "u:S:", no_words, NULL, REST_MAILBOX, EXITS_USUAL,
		MINUTES_US(5), false },
	{ "dictmap rebuild", "user\tmailbox\tfrom\tuid_validity\tuid_next\tmails\tfound\tlost",
		"u:AS:", words_of_dictmap, "from-storage", REST_NOTHING, EXITS_OF_OBOX, HOURS_US(4),
		false },
	{ "obox audit", "user\twhat\tmailbox_guid\tdetail", "u:AS:", no_words, NULL, REST_NOTHING,
		EXITS_OF_OBOX, HOURS_US(4), false },
	{ "obox user delete", "user\tobjects\tmailboxes\tmails", "u:S:", no_words, NULL,
		REST_NOTHING, EXITS_OF_OBOX, HOURS_US(1), false },
	{ "obox user wait", "user\tresult", "u:t:S:", no_words, NULL, REST_NOTHING, EXITS_OF_OBOX,
		MINUTES_US(1), false },
	{ "metacache status",
		"worker\twhat\tlast_access\tusers\tbytes\tbytes(0)\tbytes(1)\tbytes(2)\t"
		"bytes(3)\tchanged\timportant",
		"a:bRS:", words_of_status, NULL, REST_NOTHING, EXITS_OF_METACACHE, HOURS_US(1),
		false },
	{ "metacache list",
		"username\tupload-within\tdev-major\tdev-minor\tbytes-used(0)\tbytes-used(1)\t"
		"bytes-used(2)\tbytes-used(3)\tlast-access(0)\tlast-access(1)\tlast-access(2)\t"
		"last-access(3)\tchanges\tlast-service\tcleanup-weight",
		"a:f:S:", no_words, NULL, REST_MASKS, EXITS_OF_METACACHE, HOURS_US(1), false },
	{ "metacache flush", "user\tresult\tuploaded", "u:AS:p:i", no_words, NULL, REST_NOTHING,
		EXITS_OF_METACACHE, HOURS_US(1), false },
	{ "metacache flushall", "worker\tusers\tfailed", "a:f:iS:", no_words, NULL, REST_MASKS,
		EXITS_OF_METACACHE, HOURS_US(1), false },
	{ "metacache clean", "user\tresult\tbytes", "u:AS:d:p:", no_words, NULL, REST_NOTHING,
		EXITS_OF_METACACHE, HOURS_US(1), false },
	{ "metacache remove", "worker\tremoved", "a:f:S:", no_words, NULL, REST_MASKS_SOME,
		EXITS_OF_METACACHE, HOURS_US(1), false },
	{ "metacache refresh", "user\tresult", "u:AS:", no_words, NULL, REST_NOTHING,
		EXITS_OF_METACACHE, HOURS_US(1), false },
	{ "metacache rescan", "worker\tresult\tusers\tbytes", "S:", no_words, NULL, REST_NOTHING,
		EXITS_OF_METACACHE, HOURS_US(1), false },
	{ "metacache pull", "user\tresult\tmailboxes\tfiles\tbytes", "u:AS:", words_of_pull, NULL,
		REST_HOST, EXITS_OF_METACACHE, HOURS_US(1), false },
	{ "metacache send", "", "u:", words_of_pull, NULL, REST_NOTHING, EXITS_OF_METACACHE,
		HOURS_US(1), true },
	{ "metacache sent", "user\tresult", "u:", no_words, NULL, REST_NOTHING, EXITS_OF_METACACHE,
		HOURS_US(1), true },
};

const struct mail_command *mail_command_find(struct str name)
{
	for (size_t i = 0; i < ARRAY_COUNT(commands); i++)
		if (str_eq(name, str_from(commands[i].name)))
			return &commands[i];
	return NULL;
}

static bool put_number(struct mail_call *c, const char *name, uint32_t max)
{
	uint32_t n;
	if (!number_parse_u32(str_from(optarg), &n) || n > max)
		return false;
	buf_putf(&c->options, "%s=%u ", name, n);
	return true;
}

/* A host, or a path of the platform, which names no host. */
static bool take_host(struct mail_call *c)
{
	if (optarg[0] != '/')
		c->host = str_from(optarg);
	return optarg[0] != '\0';
}

static bool take_letter(struct mail_call *c, int letter)
{
	uint32_t seconds;
	switch (letter) {
	case 'u':
		c->user = str_from(optarg);
		return true;
	case 'A':
		c->is_for_all = true;
		return true;
	case 't':
		if (!number_parse_u32(str_from(optarg), &seconds))
			return false;
		c->lasts_us = MAX(seconds, 1) * US_PER_SEC;
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
		return true;
	case 'S':
		return take_host(c);
	case 'f':
		return str_eq(str_from(optarg), STR("username"));
	default:
		return false;
	}
}

static bool take_options(struct mail_call *c, int count, char **args)
{
	struct option options[WORDS_MAX + 1] = { 0 };
	const char *const *words = c->command->words;
	int letter, at = 0;
	for (size_t i = 0; words[i]; i++) {
		ASSERT(i < WORDS_MAX);
		options[i] = (struct option){ words[i], no_argument, NULL, 0 };
	}
	opterr = 0;
	optind = 0; /* of another call nothing is left */
	while ((letter = getopt_long(count, args, c->command->letters, options, &at)) != -1) {
		if (letter == 0)
			buf_putf(&c->options, "%s ", words[at]);
		else if (!take_letter(c, letter))
			return false;
	}
	return true;
}

static bool take_rest(struct mail_call *c, int count, char **words)
{
	for (int i = 0; i < count && c->command->rest != REST_MAILBOX; i++)
		if (strpbrk(words[i], " \t\r\n"))
			return false; /* it would be more than one word for the worker */
	switch (c->command->rest) {
	case REST_NOTHING:
		return count == 0;
	case REST_MAILBOX:
		c->mailbox = count > 0 ? str_from(words[0]) : STR("");
		return count <= 1;
	case REST_MASKS:
	case REST_MASKS_SOME:
		for (int i = 0; i < count; i++)
			buf_putf(&c->options, "mask=%s ", words[i]);
		return count > 0 || c->command->rest == REST_MASKS;
	case REST_HOST:
		if (count == 1)
			buf_putf(&c->options, "source=%s ", words[0]);
		return count == 1;
	}
	return false;
}

bool mail_call_read(const struct mail_command *command, struct str user, int count, char **args,
	struct mail_call *out)
{
	*out = (struct mail_call){
		.command = command,
		.user = user,
		.mailbox = STR(""),
		.host = STR(""),
		.lasts_us = command->lasts_us,
	};
	bool is_about_users = strchr(command->letters, 'u') != NULL;
	if (!take_options(out, count, args) || !take_rest(out, count - optind, args + optind))
		return false;
	if (user.n > 0) { /* as it was called elsewhere, for one of perhaps many */
		out->user = user;
		out->is_for_all = false;
	}
	if (command->required && str_find(buf_str(&out->options), str_from(command->required)) < 0)
		return false;
	return !is_about_users || (out->user.n > 0) != out->is_for_all;
}

void mail_call_done(struct mail_call *c)
{
	buf_done(&c->options);
}

void mail_call_put(const struct mail_call *c, struct str user, struct ipc_message *request)
{
	ipc_put_str(request, "command", str_from(c->command->name));
	ipc_put_str(request, "options", buf_str(&c->options));
	if (user.n > 0) {
		ipc_put_str(request, "user", user);
		ipc_put_str(request, "mailbox", c->mailbox);
	}
}
