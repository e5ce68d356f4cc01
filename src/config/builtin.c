/* SPDX-License-Identifier: Apache-2.0 */
/* config/builtin.c - configuration that is part of the program, in its own language: the service
 * catalogue and the groups (sheet core §1.9, §5.2; storage §17).
 * To add a group: a row in groups[]. */
#include "config/config_private.h"

#define TEXT(lit)                                                                                  \
	{                                                                                          \
		"" lit, sizeof(lit) - 1                                                            \
	}

/* Which listeners exist. Identities and process counts follow from the roles that serve them. */
const struct str config_builtin_services = TEXT( //
	"service auth {\n"
	"  client_limit = 16384\n"
	"  process_limit = 1\n"
	"  unix_listener auth-userdb {\n    mode = 0666\n  }\n"
	"}\n"
	"service imap-login {\n"
	"  protocol = imap\n"
	"  type = login\n"
	"  user = $SET:default_login_user\n"
	"  chroot = login\n"
	"  process_limit = %{system:cpu_count}\n"
	"  process_min_avail = %{system:cpu_count}\n"
	"  inet_listener imap {\n    port = 143\n  }\n"
	"  inet_listener imaps {\n    port = 993\n    ssl = yes\n  }\n"
	"}\n"
	"service pop3-login {\n"
	"  protocol = pop3\n"
	"  type = login\n"
	"  user = $SET:default_login_user\n"
	"  chroot = login\n"
	"  process_limit = %{system:cpu_count}\n"
	"  process_min_avail = %{system:cpu_count}\n"
	"  inet_listener pop3 {\n    port = 110\n  }\n"
	"  inet_listener pop3s {\n    port = 995\n    ssl = yes\n  }\n"
	"}\n"
	"service submission-login {\n"
	"  protocol = submission\n"
	"  type = login\n"
	"  user = $SET:default_login_user\n"
	"  chroot = login\n"
	"  process_limit = %{system:cpu_count}\n"
	"  process_min_avail = %{system:cpu_count}\n"
	"  inet_listener submission {\n    port = 587\n  }\n"
	"  inet_listener submissions {\n    port = 465\n    ssl = yes\n  }\n"
	"}\n"
	"service managesieve-login {\n"
	"  protocol = sieve\n"
	"  type = login\n"
	"  user = $SET:default_login_user\n"
	"  chroot = login\n"
	"  process_limit = %{system:cpu_count}\n"
	"  process_min_avail = %{system:cpu_count}\n"
	"  inet_listener sieve {\n    port = 4190\n  }\n"
	"}\n"
	"service lmtp {\n"
	"  protocol = lmtp\n"
	"  process_limit = 512\n"
	"  unix_listener lmtp {\n    mode = 0666\n  }\n"
	"  inet_listener lmtp {\n    listen = 127.0.0.1 ::1\n    port = 24\n  }\n"
	"}\n"
	"service imap {\n  protocol = imap\n  process_limit = 10240\n  client_limit = 1\n"
	"  restart_request_count = 1000\n}\n"
	"service pop3 {\n  protocol = pop3\n  process_limit = 1024\n  client_limit = 1\n"
	"  restart_request_count = 1000\n}\n"
	"service submission {\n  protocol = submission\n  process_limit = 1024\n  client_limit = "
	"1\n"
	"  restart_request_count = 1000\n}\n"
	"service managesieve {\n  protocol = sieve\n  process_limit = 1024\n  client_limit = 1\n"
	"  restart_request_count = 1000\n}\n"
	"service doveadm {\n  process_limit = 100\n  client_limit = 1\n"
	"  unix_listener doveadm-server {\n    mode = 0600\n  }\n"
	"}\n"
	"service stats {\n  process_limit = 1\n"
	"  unix_listener stats-reader {\n    mode = 0600\n  }\n"
	"  unix_listener stats-writer {\n    mode = 0660\n  }\n"
	"}\n");

struct group {
	struct str label;
	struct str value;
	struct str text;
	unsigned before; /* only for files of an older version; 0: for all */
};

static const struct group groups[] = {
	{ TEXT("mailbox_defaults"), TEXT("english"),
		TEXT("namespace inbox {\n"
		     "  inbox = yes\n"
		     "  mailbox Drafts {\n    special_use = \\Drafts\n  }\n"
		     "  mailbox Junk {\n    special_use = \\Junk\n  }\n"
		     "  mailbox Sent {\n    special_use = \\Sent\n  }\n"
		     "  mailbox Trash {\n    special_use = \\Trash\n  }\n"
		     "}\n"),
		30200 },
	{ TEXT("mailbox_defaults"), TEXT("english"),
		TEXT("namespace inbox {\n"
		     "  inbox = yes\n"
		     "  mailbox Drafts {\n    auto = subscribe\n    special_use = \\Drafts\n  }\n"
		     "  mailbox Junk {\n    auto = subscribe\n    special_use = \\Junk\n  }\n"
		     "  mailbox Sent {\n    auto = subscribe\n    special_use = \\Sent\n  }\n"
		     "  mailbox Trash {\n    auto = subscribe\n    special_use = \\Trash\n  }\n"
		     "}\n") },
	{ TEXT("metric_defaults"), TEXT("backend"),
		TEXT("metric auth_successes {\n"
		     "  filter = event=auth_request_finished AND success=yes\n}\n"
		     "metric auth_failures {\n"
		     "  filter = event=auth_request_finished AND NOT success=yes\n}\n"
		     "metric imap_commands {\n  filter = event=imap_command_finished\n"
		     "  group_by tagged_reply_state {\n  }\n}\n"
		     "metric mail_deliveries {\n  filter = event=mail_delivery_finished\n}\n"
		     "metric mail_submissions {\n  filter = event=smtp_submit_finished\n}\n"
		     "metric mail_user_session_finished {\n"
		     "  filter = event=mail_user_session_finished\n  fields = rss utime\n}\n") },
	{ TEXT("metric_defaults"), TEXT("proxy"),
		TEXT("metric auth_successes {\n"
		     "  filter = event=auth_request_finished AND success=yes\n}\n"
		     "metric auth_failures {\n"
		     "  filter = event=auth_request_finished AND NOT success=yes\n}\n"
		     "metric login_aborted {\n  filter = event=login_aborted\n"
		     "  group_by reason {\n  }\n}\n"
		     "metric proxy_session_established {\n"
		     "  filter = event=proxy_session_established\n}\n") },
/* The same stack for mails and for bases: what exists is in the catalog, the bytes are plain files. */
#define LOCAL_STACK                                                                                \
	"fs_compress_write_method = zstd\n"                                                        \
	"fs_posix_prefix = objects/\n"                                                             \
	"obox {\n  fs compress {\n    fs dictmap {\n      fs posix {\n      }\n    }\n  }\n}\n"    \
	"metacache {\n  fs compress {\n    fs dictmap {\n      fs posix {\n      }\n    }\n  "     \
	"}\n}\n"
/* On a shared file system: several hosts, so no journal, which only its own host can read back. */
#define NFS_STACK                                                                                  \
	"fs_compress_write_method = zstd\n"                                                        \
	"fs_posix_prefix = /srv/mail/objects/\nfs_posix_journal = no\n"                            \
	"obox {\n  fs fscache {\n    path = /var/cache/mails/%{user | sha1 % 4}\n"                 \
	"    size = 512M\n    fs compress {\n      fs crypt {\n        fs dictmap {\n"             \
	"          fs posix {\n          }\n        }\n      }\n    }\n  }\n}\n"                   \
	"metacache {\n  fs compress {\n    fs crypt {\n      fs dictmap {\n"                       \
	"        fs posix {\n        }\n      }\n    }\n  }\n}\n"
/* The platform's stacks in object stores. */
#define S3_STACK(driver)                                                                           \
	"fs_compress_write_method = zstd\n"                                                        \
	"obox {\n  fs fscache {\n    path = /var/cache/mails/%{user | sha1 % 4}\n"                 \
	"    size = 512M\n    fs compress {\n      fs crypt {\n        fs dictmap {\n"             \
	"          storage_objectid_prefix = %{user}/mails/\n          fs " driver " {\n"          \
	"          }\n        }\n      }\n    }\n  }\n}\n"                                         \
	"metacache {\n  fs compress {\n    fs crypt {\n      fs dictmap {\n"                       \
	"        storage_passthrough_paths = full\n        fs " driver " {\n        }\n      }\n"  \
	"    }\n  }\n}\n"
/* The RING's keys are made from ours: the dictmap level has nothing to say about names. */
#define SPROXYD_STACK                                                                              \
	"fs_compress_write_method = zstd\n"                                                        \
	"obox {\n  fs fscache {\n    path = /var/cache/mails/%{user | sha1 % 4}\n"                 \
	"    size = 512M\n    fs compress {\n      fs crypt {\n        fs dictmap {\n"             \
	"          fs sproxyd {\n          }\n        }\n      }\n    }\n  }\n}\n"                 \
	"metacache {\n  fs compress {\n    fs crypt {\n      fs dictmap {\n"                       \
	"        fs sproxyd {\n        }\n      }\n    }\n  }\n}\n"
#define FTS_STACK(inner)                                                                           \
	"fts dovecot {\n  fs fts-cache {\n    fs fscache {\n"                                      \
	"      path = /var/cache/fts/%{user | sha1 % 4}\n      size = 512M\n      fs compress {\n" \
	"        fs crypt {\n" inner "        }\n      }\n    }\n  }\n}\n"
#define FTS_DICTMAP(driver)                                                                        \
	"          fs dictmap {\n            storage_passthrough_paths = full\n"                   \
	"            dict proxy {\n              name = mails\n"                                   \
	"              socket_path = dict-async\n            }\n            fs " driver            \
	" {\n            }\n          }\n"
	{ TEXT("fs_defaults"), TEXT("s3"), TEXT(S3_STACK("s3")) },
	{ TEXT("fs_defaults"), TEXT("aws-s3"), TEXT(S3_STACK("aws-s3")) },
	{ TEXT("fs_defaults"), TEXT("azure"), TEXT(S3_STACK("azure")) },
	{ TEXT("fs_defaults"), TEXT("sproxyd"), TEXT(SPROXYD_STACK) },
	{ TEXT("fts_fs_defaults"), TEXT("s3"), TEXT(FTS_STACK(FTS_DICTMAP("s3"))) },
	{ TEXT("fts_fs_defaults"), TEXT("aws-s3"), TEXT(FTS_STACK(FTS_DICTMAP("aws-s3"))) },
	{ TEXT("fts_fs_defaults"), TEXT("nfs"),
		TEXT(FTS_STACK("          fs posix {\n          }\n")) },
	{ TEXT("fs_dictmap_defaults"), TEXT("cassandra"),
		TEXT("dict_server {\n  dict mails {\n    driver = sql\n    sql_driver = cassandra\n"
		     "    cassandra_keyspace = mails\n    cassandra_page_size = 1000\n"
		     "    cassandra_execution_retry_times = 3\n"
		     "    cassandra_execution_retry_interval = 500ms\n  }\n}\n"
		     "fs_dictmap {\n  dict proxy {\n    name = mails\n"
		     "    socket_path = dict-async\n  }\n}\n") },
	{ TEXT("fs_defaults"), TEXT("local"), TEXT(LOCAL_STACK) },
	{ TEXT("fs_defaults"), TEXT("nfs"), TEXT(NFS_STACK) },
	{ TEXT("fs_dictmap_defaults"), TEXT("sqlite"),
		TEXT("fs_dictmap {\n  dict sqlite {\n"
		     "    sqlite_path = catalog/%{shard}.sqlite\n  }\n}\n") },
};

struct str config_builtin_group(struct str label, struct str value, unsigned version)
{
	for (size_t i = 0; i < ARRAY_COUNT(groups); i++) {
		if (str_eq(groups[i].label, label) && str_eq(groups[i].value, value) &&
			(groups[i].before == 0 || version < groups[i].before))
			return groups[i].text;
	}
	return STR_NONE;
}

struct str config_builtin_group_values(struct str label)
{
	static const struct {
		struct str label, values;
	} known[] = {
		{ TEXT("mailbox_defaults"), TEXT("english") },
		{ TEXT("metric_defaults"), TEXT("backend proxy") },
		{ TEXT("fs_defaults"), TEXT("local nfs s3 aws-s3 azure sproxyd") },
		{ TEXT("fs_dictmap_defaults"), TEXT("sqlite cassandra") },
		{ TEXT("fts_fs_defaults"), TEXT("s3 aws-s3 nfs") },
	};
	for (size_t i = 0; i < ARRAY_COUNT(known); i++) {
		if (str_eq(known[i].label, label))
			return known[i].values;
	}
	return STR_NONE;
}
