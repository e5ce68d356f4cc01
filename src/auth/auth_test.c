/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/auth.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/auth_private.h"
#include "auth/ticket.h"
#include "base/file.h"
#include "base/test.h"
#include "config/config.h"
#include "crypto/password.h"
#include "task/task.h"

struct fixture {
	struct arena arena;
	struct op op;
	char dir[64], users[96];
	struct config *config;
	struct auth *auth;
};

static void write_users(struct fixture *f, const char *user, const char *password)
{
	AUTO_BUF(line, 0);
	buf_putf(&line, "# users\n%s:", user);
	assert_ok(password_hash(STR("SHA512-CRYPT"), str_from(password), STR(""), 1000, &line));
	buf_put(&line, STR("::::/home/x::userdb_quota_storage_size=5G nodelay\n"));
	assert_ok(file_replace(&f->op, f->users, buf_str(&line), 0600));
}

static void open_auth(struct fixture *f)
{
	struct config_problems problems;
	struct str text = str_printf(&f->arena,
		"dovecot_config_version = 3.1.0\n"
		"dovecot_storage_version = 3.1.0\n"
		"auth_cache_size = 1M\n"
		"auth_failure_delay = 0\n"
		"passdb passwd-file {\n  passwd_file_path = %s\n}\n"
		"userdb static {\n  fields {\n    home = /mail/%%{user | domain}/%%{user | "
		"username}\n"
		"  }\n}\n",
		f->users);
	struct config_load_args args = { .text = text };
	enum err e = config_load(&f->op, &args, &problems, &f->config);
	if (e != ERR_NONE)
		fprintf(stderr, "%s\n", f->op.failure.text);
	assert_ok(e);
	e = auth_open(&f->op, f->config, &f->auth);
	if (e != ERR_NONE)
		fprintf(stderr, "%s\n", f->op.failure.text);
	assert_ok(e);
}

static enum err verify(
	struct fixture *f, const char *user, const char *password, const char *service)
{
	struct auth_result result;
	struct auth_request request = {
		.user = str_from(user),
		.password = str_from(password),
		.mechanism = STR("PLAIN"),
		.service = str_from(service),
	};
	enum err e = auth_verify(&f->op, f->auth, &request, &result);
	if (e == ERR_NONE)
		assert_str(result.user, STR("u1@example.test"));
	return e;
}

static void right_and_wrong_passwords(struct fixture *f)
{
	assert_ok(verify(f, "U1@Example.Test", "secret", "imap"));
	assert_err(verify(f, "u1@example.test", "wrong", "imap"), ERR_DENIED);
	assert_err(verify(f, "nobody@example.test", "secret", "imap"), ERR_DENIED);
	assert_err(verify(f, "u1@example.test", "", "imap"), ERR_DENIED);
	assert_err(verify(f, "u1@example.test", "sec\nret", "imap"), ERR_DENIED);
	assert_err(verify(f, "../etc", "secret", "imap"), ERR_INVALID);
}

static uint64_t hits(struct fixture *f)
{
	return auth_cache_figures(f->auth, false).hits;
}

static void the_cache_never_mixes_users(struct fixture *f)
{
	(void)auth_cache_flush(f->auth, STR(""));
	uint64_t before = hits(f);
	assert_ok(verify(f, "u1@example.test", "secret", "imap"));
	assert_ok(verify(f, "u1@example.test", "secret", "imap"));
	assert_int_equal(hits(f), before + 1);
	assert_err(verify(f, "u1@example.test", "wrong", "imap"), ERR_DENIED);
	assert_err(verify(f, "u2@example.test", "secret", "imap"), ERR_DENIED);
	assert_err(verify(f, "u1@example.testsecret", "", "imap"), ERR_DENIED);
	assert_int_equal(hits(f), before + 1);
	assert_err(verify(f, "u1@example.test", "wrong", "imap"), ERR_DENIED);
	assert_int_equal(hits(f), before + 2);
	assert_int_equal(auth_cache_flush(f->auth, STR("u2@*")), 0);
	assert_int_equal(auth_cache_flush(f->auth, STR("u1@*")), 2);
	assert_ok(verify(f, "u1@example.test", "secret", "imap"));
	assert_int_equal(hits(f), before + 2);
}

static void a_changed_file_counts_within_a_second(struct fixture *f)
{
	assert_ok(verify(f, "u1@example.test", "secret", "imap"));
	write_users(f, "u1@example.test", "changed");
	assert_ok(task_sleep(&f->op, 1100 * US_PER_MS));
	assert_err(verify(f, "u1@example.test", "secret", "imap"), ERR_DENIED);
	assert_ok(verify(f, "u1@example.test", "changed", "imap"));
}

static void lookups_tell_existence_and_fields(struct fixture *f)
{
	struct auth_result result;
	struct auth_request request = { .user = STR("u1@example.test"), .service = STR("lmtp") };
	assert_ok(auth_lookup(&f->op, f->auth, &request, &result));
	assert_int_equal(result.field_count, 1);
	assert_str(result.fields[0].value, STR("/mail/example.test/u1"));
	request.user = STR("nobody@example.test");
	assert_err(auth_lookup(&f->op, f->auth, &request, &result), ERR_NOT_FOUND);
}

static void a_missing_file_is_temporary(struct fixture *f)
{
	unlink(f->users);
	assert_ok(task_sleep(&f->op, 1100 * US_PER_MS));
	(void)auth_cache_flush(f->auth, STR(""));
	assert_err(verify(f, "u1@example.test", "changed", "imap"), ERR_UNAVAILABLE);
}

static void script(void *arg)
{
	struct fixture *f = arg;
	right_and_wrong_passwords(f);
	the_cache_never_mixes_users(f);
	a_changed_file_counts_within_a_second(f);
	lookups_tell_existence_and_fields(f);
	a_missing_file_is_temporary(f);
	loop_stop();
}

static void databases_on_a_real_file(void **state)
{
	(void)state;
	struct fixture f = { .dir = "/tmp/pombal-auth-XXXXXX" };
	assert_non_null(mkdtemp(f.dir));
	snprintf(f.users, sizeof(f.users), "%s/users", f.dir);
	arena_init(&f.arena, 0);
	op_init(&f.op, &f.arena, NULL, TIME_NEVER);
	write_users(&f, "u1@example.test", "secret");
	assert_ok(loop_open(&f.op, NULL));
	open_auth(&f);
	task_start("script", script, &f);
	loop_run();
	loop_close();
	auth_close(f.auth);
	config_unref(f.config);
	arena_done(&f.arena);
	rmdir(f.dir);
}

static void tickets_open_once_for_their_service_with_their_key(void **state)
{
	(void)state;
	AUTO_ARENA(arena, 0);
	struct op op;
	uint8_t key[TICKET_KEY_BYTES] = { 1 }, other_key[TICKET_KEY_BYTES] = { 2 };
	struct auth_field field = { STR("home"), STR("/h") };
	struct ticket ticket = {
		.service = STR("imap"),
		.user = STR("u1"),
		.fields = &field,
		.field_count = 1,
		.expires_wall_us = now_wall_us() + TICKET_LIFE_US,
	};
	struct ticket opened;
	struct str sealed;
	op_init(&op, &arena, NULL, TIME_NEVER);
	struct ticket_gate *gate = ticket_gate_new(key), *other = ticket_gate_new(other_key);
	assert_ok(ticket_seal(&op, key, &ticket, &sealed));
	assert_err(
		ticket_redeem(&op, other, sealed, TICKET_LOGIN, STR("imap"), &opened), ERR_DENIED);
	assert_err(
		ticket_redeem(&op, gate, sealed, TICKET_LOGIN, STR("lmtp"), &opened), ERR_DENIED);
	assert_err(ticket_redeem(&op, gate, sealed, TICKET_RECIPIENT, STR("imap"), &opened),
		ERR_DENIED);
	assert_ok(ticket_redeem(&op, gate, sealed, TICKET_LOGIN, STR("imap"), &opened));
	assert_str(opened.user, STR("u1"));
	assert_str(opened.fields[0].value, STR("/h"));
	assert_err(
		ticket_redeem(&op, gate, sealed, TICKET_LOGIN, STR("imap"), &opened), ERR_DENIED);

	for (size_t i = 0; i < sealed.n; i++) {
		char *forged = str_dup_z(&arena, sealed);
		forged[i] ^= 1;
		assert_err(ticket_redeem(&op, gate, (struct str){ forged, sealed.n }, TICKET_LOGIN,
				   STR("imap"), &opened),
			ERR_DENIED);
	}
	ticket.expires_wall_us = now_wall_us() - 1;
	assert_ok(ticket_seal(&op, key, &ticket, &sealed));
	assert_err(
		ticket_redeem(&op, gate, sealed, TICKET_LOGIN, STR("imap"), &opened), ERR_DENIED);
	ticket_gate_free(gate);
	ticket_gate_free(other);
}

static void records_come_back_and_expire(void **state)
{
	(void)state;
	AUTO_ARENA(arena, 0);
	struct auth_cache *c = auth_cache_new(1 << 20, US_PER_SEC, US_PER_SEC);
	struct auth_record record = { 0 };
	struct auth_cached cached;
	uint8_t key[AUTH_CACHE_KEY_BYTES], other[AUTH_CACHE_KEY_BYTES];
	auth_cache_key(c, STR("a"), key);
	auth_cache_key(c, STR("b"), other);
	clock_set_virtual(1000, 1000);
	auth_fields_append(&arena, &record.fields, STR("password"), STR("p"));
	auth_fields_append(&arena, &record.fields, STR("home:default"), STR("/h"));
	auth_cache_put_record(c, key, STR("u"), &record);
	assert_false(auth_cache_get_record(c, &arena, other, true, &cached));
	assert_true(auth_cache_get_record(c, &arena, key, false, &cached));
	assert_true(cached.is_found && !cached.was_right);
	assert_str(cached.record.fields.items[1].key, STR("home:default"));
	auth_cache_note(c, key, true);
	clock_advance(2 * US_PER_SEC);
	assert_false(auth_cache_get_record(c, &arena, key, false, &cached));
	assert_true(auth_cache_get_record(c, &arena, key, true, &cached));
	assert_true(cached.was_right);
	auth_cache_put_record(c, other, STR("v"), NULL);
	assert_true(auth_cache_get_record(c, &arena, other, false, &cached));
	assert_false(cached.is_found);
	assert_int_equal(auth_cache_status(c).negative_count, 1);
	assert_int_equal(auth_cache_status(c).positive_count, 1);
	clock_set_real();
	auth_cache_free(c);
}

static void the_cache_stays_within_its_bytes(void **state)
{
	(void)state;
	struct auth_cache *c = auth_cache_new(4096, US_PER_SEC, US_PER_SEC);
	uint8_t key[AUTH_CACHE_KEY_BYTES] = { 0 };
	bool is_ok;
	size_t found = 0;
	for (int i = 0; i < 1000; i++) {
		memcpy(key, &i, sizeof(i));
		auth_cache_put_verdict(c, key, STR("user"), true);
		struct auth_cache_status s = auth_cache_status(c);
		assert_true(s.positive_bytes + s.negative_bytes <= 4096);
	}
	for (int i = 0; i < 1000; i++) {
		memcpy(key, &i, sizeof(i));
		found += auth_cache_get_verdict(c, key, &is_ok);
	}
	assert_true(found > 5 && found < 60);
	assert_true(auth_cache_get_verdict(c, key, &is_ok)); /* the newest is there */
	auth_cache_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(databases_on_a_real_file),
		cmocka_unit_test(tickets_open_once_for_their_service_with_their_key),
		cmocka_unit_test(records_come_back_and_expire),
		cmocka_unit_test(the_cache_stays_within_its_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
