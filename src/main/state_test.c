/* SPDX-License-Identifier: Apache-2.0 */
/* Directories of the start, in a place where others were first. */
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/test.h"
#include "main/master.h"

static char dir[] = "/tmp/pombal-state-XXXXXX";

static enum err prepare_with(const char *spool)
{
	AUTO_ARENA(arena, 0);
	struct op op;
	struct config_problems problems;
	struct config *config = NULL;
	op_init(&op, &arena, NULL, TIME_NEVER);
	struct config_load_args args = { .text = str_printf(&arena,
						 "dovecot_config_version = 3.1.0\n"
						 "dovecot_storage_version = 3.1.0\n"
						 "base_dir = %s/run\nstate_dir = %s/state\n"
						 "mail_temp_dir = %s/%s\nmail_uid = nobody\n"
						 "default_login_user = nobody\n",
						 dir, dir, dir, spool) };
	assert_ok(config_load(&op, &args, &problems, &config));
	enum err e = master_prepare_state(&op, config);
	config_unref(config);
	return e;
}

static uid_t owner_of(const char *name)
{
	char path[256];
	struct stat st;
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(stat(path, &st), 0);
	return st.st_uid;
}

static void make(const char *name, mode_t mode, uid_t owner)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(chmod(path, mode), 0);
	assert_int_equal(chown(path, owner, (gid_t)-1), 0);
}

static void nobody_gets_what_is_not_his(void **state)
{
	(void)state;
	char target[256], link[256];
	uid_t nobody = getpwnam("nobody")->pw_uid;
	assert_ok(prepare_with("new"));
	assert_int_equal(owner_of("new"), nobody);
	assert_ok(prepare_with("new")); /* the next start */

	make("secret", 0755, 0);
	snprintf(target, sizeof(target), "%s/secret", dir);
	snprintf(link, sizeof(link), "%s/link", dir);
	assert_int_equal(symlink(target, link), 0);
	assert_err(prepare_with("link"), ERR_INVALID);
	assert_int_equal(owner_of("secret"), 0);

	make("strangers", 0777, 12345);
	assert_err(prepare_with("strangers"), ERR_INVALID);
	make("for-all", 01777, 0);
	assert_ok(prepare_with("for-all"));
	assert_int_equal(owner_of("for-all"), 0);
	make("admins", 0755, 0);
	assert_ok(prepare_with("admins"));
	assert_int_equal(owner_of("admins"), nobody);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_gets_what_is_not_his),
	};
	if (geteuid() != 0 || !getpwnam("nobody"))
		return 77; /* skipped: giving a directory away takes root */
	if (!mkdtemp(dir))
		return 1;
	int failures = cmocka_run_group_tests(tests, NULL, NULL);
	AUTO_ARENA(arena, 0);
	struct op op;
	op_init(&op, &arena, NULL, TIME_NEVER);
	return file_remove_tree(&op, dir) == ERR_NONE ? failures : 1;
}
