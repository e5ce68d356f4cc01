/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that ask the running auth process. */
#include <stdio.h>

#include "auth/client.h"
#include "main/doveadm.h"
#include "main/role.h"
#include "task/task.h"

#define PASSWORD_BYTES 1024

struct auth_question {
	struct doveadm *tool;
	struct auth_request request;
	struct auth_answer answer;
	enum err result;
};

static void ask_auth(void *arg)
{
	struct auth_question *q = arg;
	struct op *op = q->tool->op;
	struct ipc_client *auth = ipc_client_new(role_socket_auth(op->arena, q->tool->config));
	op->deadline_us = now_us() + 30 * US_PER_SEC;
	q->result = auth_client_verify(op, auth, &q->request, &q->answer);
	ipc_client_free(auth);
	loop_stop();
}

int doveadm_auth_test(struct doveadm *d)
{
	char password[PASSWORD_BYTES] = "";
	if (d->arg_count < 1 || d->arg_count > 2)
		return doveadm_usage(d);
	if (d->arg_count == 1 && !doveadm_read_password("Password: ", password, sizeof(password)))
		return EXIT_USAGE;
	struct auth_question q = {
		.tool = d,
		.request = {
			.user = str_from(d->args[0]),
			.password = str_from(d->arg_count == 2 ? d->args[1] : password),
			.mechanism = STR("PLAIN"),
			.service = STR("doveadm"),
			.is_secured = true,
		},
	};
	if (doveadm_need_config(d) != ERR_NONE || doveadm_run_task(d, ask_auth, &q) != ERR_NONE)
		return doveadm_fail(d, EXIT_FATAL);
	if (q.result == ERR_NONE) {
		printf("passdb: %s auth succeeded\nuser=%.*s\n", d->args[0], STRF(q.answer.user));
		return 0;
	}
	if (q.result == ERR_DENIED || q.result == ERR_INVALID) {
		printf("passdb: %s auth failed\n", d->args[0]);
		return EXIT_DENIED;
	}
	return doveadm_fail(d, EXIT_TEMP_FAIL);
}
