/* SPDX-License-Identifier: Apache-2.0 */
/* doveadm user: what the user databases know; names by wildcards. Spec: core §8.4. */
#include <stdio.h>
#include <string.h>

#include "config/expand.h"
#include "main/doveadm_auth.h"

struct lookup {
	struct auth_request request;
	struct auth_facts facts;
};

static enum err look_up(struct op *op, struct ipc_client *auth, void *arg)
{
	struct lookup *l = arg;
	return auth_client_userdb(op, auth, &l->request, &l->facts);
}

static bool find_field(void *ctx, struct str name, struct str *out)
{
	const struct auth_facts *facts = ctx;
	*out = STR_NONE;
	if (!str_skip(&name, STR("userdb:")) && !str_eq(name, STR("home")) &&
		!str_eq(name, STR("uid")) && !str_eq(name, STR("gid")))
		return false;
	for (size_t i = 0; i < facts->field_count; i++) {
		if (str_eq(facts->fields[i].key, name))
			*out = facts->fields[i].value;
	}
	return true;
}

static enum err print_template(struct doveadm *d, struct auth_facts *facts, const char *template)
{
	const struct config_var items[] = { { STR("user"), facts->user },
		{ STR("owner_user"), facts->user } };
	const struct config_vars vars = {
		.items = items,
		.count = ARRAY_COUNT(items),
		.find = find_field,
		.ctx = facts,
	};
	struct str text;
	TRY(config_expand(d->op, str_from(template), &vars, &text));
	printf("%.*s\n", STRF(text));
	return ERR_NONE;
}

static void print_facts(const struct auth_facts *facts, const char *field)
{
	const struct auth_field *f;
	if (field) {
		f = doveadm_find_field(facts->fields, facts->field_count, field);
		if (f)
			printf("%.*s\n", STRF(f->value));
		else if (strcmp(field, "user") == 0)
			printf("%.*s\n", STRF(facts->user));
		return;
	}
	printf("field\tvalue\nuser\t%.*s\n", STRF(facts->user));
	for (size_t i = 0; i < facts->field_count; i++)
		printf("%.*s\t%.*s\n", STRF(facts->fields[i].key), STRF(facts->fields[i].value));
}

static int failed(const struct doveadm *d, enum err e)
{
	if (e == ERR_NOT_FOUND || e == ERR_INVALID)
		return doveadm_fail(d, EXIT_NO_USER);
	return doveadm_fail(d, e == ERR_DENIED ? EXIT_DENIED : EXIT_TEMP_FAIL);
}

static int print_user(struct doveadm *d, const struct doveadm_auth_options *o, const char *name)
{
	struct lookup l = { .request = o->request };
	l.request.user = str_from(name);
	enum err e = doveadm_ask_auth(d, look_up, &l);
	if (e != ERR_NONE)
		return failed(d, e);
	if (!o->template) {
		print_facts(&l.facts, o->field);
		return 0;
	}
	return print_template(d, &l.facts, o->template) == ERR_NONE ? 0
								    : doveadm_fail(d, EXIT_USAGE);
}

/* ---- wildcards ---- */

struct list {
	struct str service;
	struct buf names;
};

static enum err list(struct op *op, struct ipc_client *auth, void *arg)
{
	struct list *l = arg;
	return auth_client_list(op, auth, l->service, &l->names);
}

static int print_matching(
	struct doveadm *d, const struct doveadm_auth_options *o, const char *pattern)
{
	struct list l = { .service = o->request.service };
	enum err e = doveadm_ask_auth(d, list, &l);
	struct str rest = buf_str(&l.names), name;
	bool has_any = false;
	while (e == ERR_NONE && str_cut_line(&rest, &name)) {
		if (!auth_name_matches(str_from(pattern), name))
			continue;
		has_any = true;
		printf("%.*s\n", STRF(name));
	}
	buf_done(&l.names);
	if (e != ERR_NONE)
		return failed(d, e);
	return has_any ? 0 : EXIT_NO_USER;
}

int doveadm_user(struct doveadm *d)
{
	struct doveadm_auth_options o;
	int status = 0;
	bool wants_all = d->arg_count > 0 && strcmp(d->args[0], "-A") == 0;
	if (wants_all) {
		d->args++;
		d->arg_count--;
	}
	if (!doveadm_auth_options(d, "f:e:ux:", &o) || (o.word_count < 1) != wants_all)
		return doveadm_usage(d);
	if (wants_all)
		return print_matching(d, &o, "*");
	for (int i = 0; i < o.word_count; i++) {
		int one = strpbrk(o.words[i], "*?") ? print_matching(d, &o, o.words[i])
						    : print_user(d, &o, o.words[i]);
		status = one ? one : status;
	}
	return status;
}
