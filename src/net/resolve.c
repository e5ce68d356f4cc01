/* SPDX-License-Identifier: Apache-2.0 */
#include "net/resolve.h"

#include <netdb.h>

#include "task/task.h"

#define FOUND_MAX 8

struct resolve_job {
	struct offload_job job; /* first */
	char *host;             /* owned */
	struct address found[FOUND_MAX];
	size_t count;
	int error;
};

static void resolve_run(struct offload_job *job)
{
	struct resolve_job *j = CONTAINER_OF(job, struct resolve_job, job);
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list = NULL;
	j->error = getaddrinfo(j->host, NULL, &hints, &list);
	for (struct addrinfo *a = list; a && j->count < FOUND_MAX; a = a->ai_next) {
		address_from_sockaddr(a->ai_addr, a->ai_addrlen, &j->found[j->count]);
		j->count += j->found[j->count].family != 0;
	}
	if (list)
		freeaddrinfo(list);
}

static void resolve_release(struct offload_job *job)
{
	struct resolve_job *j = CONTAINER_OF(job, struct resolve_job, job);
	mem_free(j->host);
	mem_free(j);
}

enum err resolve_host(struct op *op, struct str host, uint16_t port, struct address *out,
	size_t max, size_t *out_count)
{
	if (max > 0 && address_parse(host, &out[0])) {
		out[0].port = port;
		*out_count = 1;
		return ERR_NONE;
	}
	struct resolve_job *j = MEM_NEW(struct resolve_job);
	j->job.run = resolve_run;
	j->job.release = resolve_release;
	j->host = str_new_z(host);
	TRY(op_within(op, offload(op, OFFLOAD_LIBRARY, &j->job), "resolving %.*s", STRF(host)));
	*out_count = MIN(j->count, max);
	for (size_t i = 0; i < *out_count; i++) {
		out[i] = j->found[i];
		out[i].port = port;
	}
	int error = j->error;
	resolve_release(&j->job);
	if (*out_count > 0)
		return ERR_NONE;
	return op_fail(op, ERR_UNAVAILABLE, "%.*s: %s", STRF(host),
		error ? gai_strerror(error) : "the name has no address");
}
