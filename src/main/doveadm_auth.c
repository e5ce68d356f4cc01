/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that ask the running auth process: auth test, login, lookup, cache; user (doveadm_user.c) asks
 * through the same door. Spec: core §8.4. */
#include "main/doveadm_auth.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "main/role.h"
#include "task/task.h"

#define PASSWORD_BYTES 1024
#define ANSWER_US      (60 * US_PER_SEC) /* a penalty and a delayed refusal are in it */

/* ---- the door ---- */

/* Says what is wrong in words an administrator can use. */
static enum err check_socket(struct doveadm *d, struct str path)
{
	const char *name = str_dup_z(d->op->arena, path);
	if (access(name, W_OK) == 0)
		return ERR_NONE;
	if (errno == EACCES || errno == EPERM)
		return op_fail(d->op, ERR_DENIED,
			"no permission to use %s: run this as root or as the user of auth", name);
	if (errno == ENOENT)
		return op_fail(
			d->op, ERR_UNAVAILABLE, "%s is not there: is the server running?", name);
	return op_fail_errno(d->op, "%s", name);
}

struct visit {
	struct doveadm *d;
	doveadm_auth_fn *fn;
	void *arg;
	enum err result;
};

static void visit_task(void *arg)
{
	struct visit *v = arg;
	struct op *op = v->d->op;
	struct ipc_client *auth = ipc_client_new(role_socket_auth(op->arena, v->d->config));
	op->deadline_us = now_us() + ANSWER_US;
	v->result = v->fn(op, auth, v->arg);
	ipc_client_free(auth);
	loop_stop();
}

enum err doveadm_ask_auth(struct doveadm *d, doveadm_auth_fn *fn, void *arg)
{
	struct visit v = { .d = d, .fn = fn, .arg = arg };
	TRY(doveadm_need_config(d));
	TRY(check_socket(d, role_socket_auth(d->op->arena, d->config)));
	TRY(doveadm_run_task(d, visit_task, &v));
	return v.result;
}

/* -x "service=imap", "rip=192.0.2.1", "lip=...", "session=...", "secured" */
static bool add_info(struct auth_request *r, struct str info)
{
	struct str value = info, key;
	if (!str_cut(&value, '=', &key)) {
		key = info;
		value = STR("");
	}
	if (str_eq(key, STR("service")) || str_eq(key, STR("protocol")))
		r->service = value;
	else if (str_eq(key, STR("session")))
		r->session_id = value;
	else if (str_eq(key, STR("local_name")))
		r->local_name = value;
	else if (str_eq(key, STR("rip")))
		return address_parse(value, &r->remote);
	else if (str_eq(key, STR("lip")))
		return address_parse(value, &r->local);
	else if (str_eq(key, STR("secured")))
		r->is_tls = str_eq(value, STR("tls"));
	else
		return false;
	return true;
}

bool doveadm_auth_options(struct doveadm *d, const char *allowed, struct doveadm_auth_options *out)
{
	/* getopt() wants a word before the arguments: the command's last one stands there. */
	char **words = d->args - 1;
	int option, count = d->arg_count + 1;
	*out = (struct doveadm_auth_options){ .request = { .service = STR("doveadm"),
						      .authzid = STR(""),
						      .session_id = STR("doveadm"),
						      .is_secured = true } };
	opterr = 0;
	optind = 1;
	while ((option = getopt(count, words, allowed)) != -1) {
		if (option == 'A')
			out->request.mechanism = str_from(optarg);
		else if (option == 'M')
			out->master = optarg;
		else if (option == 'f')
			out->field = optarg;
		else if (option == 'e')
			out->template = optarg;
		else if (option == 'u')
			out->is_userdb_only = true;
		else if (option != 'x' || !add_info(&out->request, str_from(optarg)))
			return false;
	}
	out->words = words + optind;
	out->word_count = count - optind;
	return true;
}

void doveadm_put_fields(const struct auth_field *fields, size_t count, const char *indent)
{
	for (size_t i = 0; i < count; i++)
		printf("%s%.*s=%.*s\n", indent, STRF(fields[i].key), STRF(fields[i].value));
}

const struct auth_field *doveadm_find_field(
	const struct auth_field *fields, size_t count, const char *key)
{
	for (size_t i = 0; i < count; i++) {
		if (str_eq(fields[i].key, str_from(key)))
			return &fields[i];
	}
	return NULL;
}

/* ---- auth test, auth login ---- */

struct question {
	struct doveadm_auth_options options;
	struct auth_answer answer;
	bool asks_userdb;
	struct auth_facts userdb;
	enum err userdb_result;
};

static enum err ask(struct op *op, struct ipc_client *auth, void *arg)
{
	struct question *q = arg;
	TRY(auth_client_verify(op, auth, &q->options.request, &q->answer));
	if (!q->asks_userdb)
		return ERR_NONE;
	struct auth_request r = q->options.request;
	r.user = q->answer.user;
	r.authzid = STR("");
	q->userdb_result = auth_client_userdb(op, auth, &r, &q->userdb);
	return ERR_NONE;
}

static int print_answer(const struct doveadm *d, const struct question *q, enum err e)
{
	struct str user = q->options.request.user;
	if (e == ERR_DENIED || e == ERR_INVALID) {
		printf("passdb: %.*s auth failed\n", STRF(user));
		if (q->answer.reason.n > 0)
			printf("extra fields:\n  reason=%.*s\n", STRF(q->answer.reason));
		return EXIT_DENIED;
	}
	if (e != ERR_NONE)
		return doveadm_fail(d, EXIT_TEMP_FAIL);
	printf("passdb: %.*s auth succeeded\nextra fields:\n  user=%.*s\n", STRF(user),
		STRF(q->answer.user));
	doveadm_put_fields(q->answer.fields, q->answer.field_count, "  ");
	if (!q->asks_userdb)
		return 0;
	if (q->userdb_result != ERR_NONE)
		return doveadm_fail(
			d, q->userdb_result == ERR_NOT_FOUND ? EXIT_NO_USER : EXIT_TEMP_FAIL);
	printf("userdb user: %.*s\nuserdb extra fields:\n", STRF(q->userdb.user));
	doveadm_put_fields(q->userdb.fields, q->userdb.field_count, "  ");
	return 0;
}

static int test(struct doveadm *d, bool asks_userdb)
{
	char password[PASSWORD_BYTES] = "";
	struct question q = { .asks_userdb = asks_userdb };
	struct doveadm_auth_options *o = &q.options;
	if (!doveadm_auth_options(d, "A:M:x:", o) || o->word_count < 1 || o->word_count > 2)
		return doveadm_usage(d);
	if (o->word_count == 1 && !doveadm_read_password("Password: ", password, sizeof(password)))
		return EXIT_USAGE;
	if (o->request.mechanism.n == 0)
		o->request.mechanism = STR("PLAIN");
	o->request.user = str_from(o->words[0]);
	if (o->master) {
		o->request.authzid = o->request.user;
		o->request.user = str_from(o->master);
	}
	o->request.password = str_from(o->word_count == 2 ? o->words[1] : password);
	enum err e = doveadm_ask_auth(d, ask, &q);
	if (e == ERR_DENIED && q.answer.refusal == AUTH_REFUSAL_NONE)
		return doveadm_fail(d, EXIT_DENIED); /* the socket's doing */
	int status = print_answer(d, &q, e);
	mem_wipe(password, sizeof(password));
	return status;
}

int doveadm_auth_test(struct doveadm *d)
{
	return test(d, false);
}

int doveadm_auth_login(struct doveadm *d)
{
	return test(d, true);
}

/* ---- auth lookup ---- */

struct lookup {
	struct auth_request request;
	struct auth_facts facts;
};

static enum err look_up(struct op *op, struct ipc_client *auth, void *arg)
{
	struct lookup *l = arg;
	return auth_client_passdb(op, auth, &l->request, &l->facts);
}

static void print_facts(const struct auth_facts *facts, const char *field)
{
	const struct auth_field *f;
	if (!field) {
		printf("passdb: %.*s\n  %-10s: %.*s\n", STRF(facts->user), "user",
			STRF(facts->user));
		for (size_t i = 0; i < facts->field_count; i++)
			printf("  %-10.*s: %.*s\n", STRF(facts->fields[i].key),
				STRF(facts->fields[i].value));
		return;
	}
	f = doveadm_find_field(facts->fields, facts->field_count, field);
	if (f)
		printf("%.*s\n", STRF(f->value));
	else if (strcmp(field, "user") == 0)
		printf("%.*s\n", STRF(facts->user));
}

int doveadm_auth_lookup(struct doveadm *d)
{
	struct doveadm_auth_options o;
	int status = 0;
	if (!doveadm_auth_options(d, "f:x:", &o) || o.word_count < 1)
		return doveadm_usage(d);
	for (int i = 0; i < o.word_count; i++) {
		struct lookup l = { .request = o.request };
		l.request.user = str_from(o.words[i]);
		enum err e = doveadm_ask_auth(d, look_up, &l);
		if (e == ERR_NONE)
			print_facts(&l.facts, o.field);
		else if (e == ERR_NOT_FOUND || e == ERR_INVALID)
			status = doveadm_fail(d, EXIT_NO_USER);
		else
			return doveadm_fail(d, e == ERR_DENIED ? EXIT_DENIED : EXIT_TEMP_FAIL);
	}
	return status;
}

/* ---- auth cache ---- */

struct flush {
	struct str names;
	uint64_t count;
};

static enum err flush(struct op *op, struct ipc_client *auth, void *arg)
{
	struct flush *f = arg;
	return auth_client_cache_flush(op, auth, f->names, &f->count);
}

int doveadm_auth_cache_flush(struct doveadm *d)
{
	AUTO_BUF(names, 0);
	struct flush f;
	for (int i = 0; i < d->arg_count; i++)
		buf_putf(&names, "%s ", d->args[i]);
	f.names = buf_str(&names);
	enum err e = doveadm_ask_auth(d, flush, &f);
	if (e != ERR_NONE)
		return doveadm_fail(d, e == ERR_DENIED ? EXIT_DENIED : EXIT_TEMP_FAIL);
	printf("%llu cache entries flushed\n", (unsigned long long)f.count);
	return 0;
}

struct status {
	bool resets;
	struct auth_cache_status figures;
};

static enum err ask_status(struct op *op, struct ipc_client *auth, void *arg)
{
	struct status *s = arg;
	return auth_client_cache_status(op, auth, s->resets, &s->figures);
}

int doveadm_auth_cache_status(struct doveadm *d)
{
	struct status s = { .resets = d->arg_count == 1 && strcmp(d->args[0], "reset") == 0 };
	if (d->arg_count > 1 || (d->arg_count == 1 && !s.resets))
		return doveadm_usage(d);
	enum err e = doveadm_ask_auth(d, ask_status, &s);
	if (e != ERR_NONE)
		return doveadm_fail(d, e == ERR_DENIED ? EXIT_DENIED : EXIT_TEMP_FAIL);
	const struct auth_cache_status *f = &s.figures;
	uint64_t asked = f->hits + f->misses;
	printf("hits: %llu\nmisses: %llu\nhit_ratio_percent: %llu\n", (unsigned long long)f->hits,
		(unsigned long long)f->misses,
		(unsigned long long)(asked ? f->hits * 100 / asked : 0));
	printf("pos_entries: %zu\nneg_entries: %zu\npos_size: %zu\nneg_size: %zu\n",
		f->positive_count, f->negative_count, f->positive_bytes, f->negative_bytes);
	printf("used_size: %zu\nmax_size: %zu\n", f->positive_bytes + f->negative_bytes,
		f->max_bytes);
	return 0;
}
