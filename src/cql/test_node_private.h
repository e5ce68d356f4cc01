/* SPDX-License-Identifier: Apache-2.0 */
/* cql/test_node_private.h - nodes that a test scripts, on 127.0.0.1, .2, ... of one port. They answer the
 * handshake and questions about the cluster; what an EXECUTE or a BATCH gets is the next step of the
 * script. Included by *_test.c of this folder only. */
#pragma once

#include "cql/cql_private.h"
#include "net/net.h"
#include "task/test.h"

#define NODES_MAX  3
#define STEPS_MAX  32
#define TAKEN_MAX  64
#define VISITS_MAX 4096

enum step_kind {
	STEP_VOID,
	STEP_ROWS,  /* one row, one column: `text`; `more`: the next page's state */
	STEP_ERROR, /* `code`, with `text` as its message */
	STEP_SILENT,
	STEP_CLOSE,
	STEP_HALF,      /* half an answer, then the end */
	STEP_STREAM,    /* an answer on a stream that nobody asked on */
	STEP_HUGE,      /* a header that announces more than a frame may hold */
	STEP_BIG,       /* an answer above what the client takes */
	STEP_BAD_BODY,  /* a result that is none */
	STEP_VERSION,   /* a frame of version 5 */
	STEP_OLD,       /* an answer to a request that was left before, then VOID */
	STEP_COMPRESSED /* flagged as compressed, but damaged */
};
struct step {
	enum step_kind kind;
	enum cql_error_code code;
	const char *text;
	const char *more;
};
/* What a node was asked. */
struct taken {
	unsigned node;
	uint8_t opcode;
	uint16_t consistency;
	int64_t stamp_us;
	bool has_page_state;
};
struct cluster {
	struct op op;
	struct arena arena;
	uint16_t port;
	size_t node_count;
	struct node *nodes[NODES_MAX];
	struct step steps[STEPS_MAX];
	size_t step_count, step_at;
	struct taken taken[TAKEN_MAX];
	size_t taken_count;
	size_t prepares, connections, options;
	size_t frozen_count; /* what frozen nodes were sent */
	uint16_t asked_at,
		changed_at; /* consistency of the last QUERY, and of the last that is no SELECT */
	const char *datacenters[NODES_MAX];
	bool has_no_keyspace, wants_password, is_mute, has_version_3;
	bool is_silent;            /* no step is answered */
	bool is_frozen[NODES_MAX]; /* nothing is */
	bool prepares_nothing[NODES_MAX];
	unsigned disagreeing; /* questions about the schema that show two versions */
	size_t served;        /* tasks of connections */
	struct wait_queue idle;
	struct cql_settings settings;
	struct cql_client *client;
	const struct cql_statement *write, *read;
	enum err alone; /* how a write beside others ended */
};
struct node {
	struct cluster *cluster;
	unsigned number;
	struct listener *listener;
	bool is_refusing;
};
struct visit {
	struct node *node;
	struct stream *stream;
	struct task_handle task;
	uint16_t silent; /* a stream id that got no answer yet */
	bool has_silent, is_over;
};

static struct visit *all_visits[VISITS_MAX];
static size_t visit_count;

static void answer(struct visit *v, enum cql_opcode opcode, uint16_t id, struct str body)
{
	struct op op = test_op(5 * US_PER_SEC);
	struct buf frame = { 0 };
	cql_header_put(&frame, opcode, 0, id, body.n);
	frame.p[0] = (char)(0x80 | (v->node->cluster->has_version_3 ? 3 : 4));
	(void)stream_write(&op, v->stream, buf_str(&frame)); /* it may have gone */
	(void)stream_write(&op, v->stream, body);
	buf_done(&frame);
}

static void put_rows_head(struct buf *b, int32_t columns, int32_t rows, const char *more)
{
	cql_put_int(b, CQL_RESULT_ROWS);
	cql_put_int(b, more ? 4 | 2 : 4);
	cql_put_int(b, columns);
	if (more)
		cql_put_long_string(b, str_from(more));
	cql_put_int(b, rows);
}

static void put_text(struct buf *b, const char *s)
{
	cql_put_long_string(b, str_from(s));
}

static void put_node(struct buf *b, const struct cluster *k, unsigned number, bool is_peer)
{
	char id[CQL_ID_BYTES + 1] = "id-of-a-node---0", ip[] = { 127, 0, 0, (char)(number + 1) };
	char token[8] = "-9";
	id[15] = (char)('0' + number);
	token[1] = (char)('1' + number);
	put_text(b, id);
	put_text(b, k->datacenters[number] ? k->datacenters[number] : "dc1");
	put_text(b, "r1");
	cql_put_int(b, 4 + 4 + 2);
	cql_put_int(b, 1);
	put_text(b, token);
	if (is_peer) {
		cql_put_long_string(b, (struct str){ ip, sizeof(ip) });
		cql_put_long_string(b, (struct str){ ip, sizeof(ip) });
	} else {
		put_text(b, "org.apache.cassandra.dht.Murmur3Partitioner");
	}
}

static void answer_query(struct visit *v, uint16_t id, struct str text)
{
	struct cluster *k = v->node->cluster;
	AUTO_BUF(b, 0);
	if (str_starts(text, STR("USE"))) {
		if (k->has_no_keyspace) {
			cql_put_int(&b, CQL_ERROR_INVALID);
			cql_put_string(&b, STR("Keyspace 'k' does not exist"));
			answer(v, CQL_OP_ERROR, id, buf_str(&b));
			return;
		}
		cql_put_int(&b, CQL_RESULT_KEYSPACE);
		cql_put_string(&b, STR("k"));
	} else if (str_find(text, STR("schema_version")) >= 0) {
		bool differs = str_find(text, STR("peers")) >= 0 && k->disagreeing > 0;
		put_rows_head(&b, 2, 1, NULL);
		put_text(&b, differs ? "another-version-" : "version-of-all--");
		put_text(&b, v->node->number == 0 ? "id-of-a-node---1" : "id-of-a-node---0");
		k->disagreeing -= differs;
	} else if (str_find(text, STR("system.local")) >= 0) {
		put_rows_head(&b, 5, 1, NULL);
		put_node(&b, k, v->node->number, false);
	} else if (str_find(text, STR("system.peers")) >= 0) {
		put_rows_head(&b, 6, (int32_t)k->node_count - 1, NULL);
		for (unsigned i = 0; i < k->node_count; i++)
			if (i != v->node->number)
				put_node(&b, k, i, true);
	} else if (str_find(text, STR("system_schema")) >= 0) {
		put_rows_head(&b, 1, 0, NULL);
	} else {
		cql_put_int(&b, CQL_RESULT_SCHEMA);
		k->changed_at = k->asked_at;
	}
	answer(v, CQL_OP_RESULT, id, buf_str(&b));
}

static void answer_prepare(struct visit *v, uint16_t id)
{
	AUTO_BUF(b, 0);
	v->node->cluster->prepares++;
	if (v->node->cluster->prepares_nothing[v->node->number])
		return;
	if (v->node->cluster->has_no_keyspace) {
		cql_put_int(&b, CQL_ERROR_INVALID);
		cql_put_string(&b, STR("No keyspace has been specified"));
		answer(v, CQL_OP_ERROR, id, buf_str(&b));
		return;
	}
	cql_put_int(&b, CQL_RESULT_PREPARED);
	cql_put_string(&b, STR("prepared-id"));
	cql_put_int(&b, 0);
	cql_put_int(&b, 1); /* one value, which is the key */
	cql_put_int(&b, 1);
	cql_put_short(&b, 0);
	answer(v, CQL_OP_RESULT, id, buf_str(&b));
}

static void put_error(struct buf *b, const struct step *s)
{
	cql_put_int(b, (int32_t)s->code);
	cql_put_string(b, str_from(s->text ? s->text : "scripted"));
	switch ((unsigned)s->code) {
	case CQL_ERROR_UNAVAILABLE:
		cql_put_short(b, CQL_AT_LOCAL_QUORUM);
		cql_put_int(b, 2);
		cql_put_int(b, 1);
		break;
	case CQL_ERROR_WRITE_TIMEOUT:
	case CQL_ERROR_READ_TIMEOUT:
	case CQL_ERROR_READ_FAILURE:
	case CQL_ERROR_WRITE_FAILURE:
		cql_put_short(b, CQL_AT_LOCAL_QUORUM);
		cql_put_int(b, 1);
		cql_put_int(b, 2);
		if (s->code == CQL_ERROR_READ_FAILURE || s->code == CQL_ERROR_WRITE_FAILURE)
			cql_put_int(b, 1);
		if (s->code == CQL_ERROR_WRITE_TIMEOUT || s->code == CQL_ERROR_WRITE_FAILURE)
			cql_put_string(b, STR("SIMPLE"));
		else
			buf_put_byte(b, 0);
		break;
	case CQL_ERROR_EXISTS:
		cql_put_string(b, STR("k"));
		cql_put_string(b, STR("t"));
		break;
	case CQL_ERROR_UNPREPARED:
		cql_put_string(b, STR("prepared-id"));
		break;
	default:
		break;
	}
}

static void put_raw(struct visit *v, struct str bytes)
{
	struct op op = test_op(5 * US_PER_SEC);
	(void)stream_write(&op, v->stream, bytes); /* it may have gone */
}

static void do_step(struct visit *v, uint16_t id, const struct step *s)
{
	AUTO_BUF(b, 0);
	char head[] = { (char)0x84, 0, (char)(id >> 8), (char)id, CQL_OP_RESULT, 0, 0, 0, 4, 0, 0 };
	struct str bytes = { head, sizeof(head) };
	switch (s->kind) {
	case STEP_VOID:
		cql_put_int(&b, CQL_RESULT_VOID);
		answer(v, CQL_OP_RESULT, id, buf_str(&b));
		break;
	case STEP_ROWS:
		put_rows_head(&b, 1, 1, s->more);
		put_text(&b, s->text);
		answer(v, CQL_OP_RESULT, id, buf_str(&b));
		break;
	case STEP_ERROR:
		put_error(&b, s);
		answer(v, CQL_OP_ERROR, id, buf_str(&b));
		break;
	case STEP_SILENT:
		v->silent = id;
		v->has_silent = true;
		break;
	case STEP_HALF:
		put_raw(v, bytes);
		v->is_over = true;
		break;
	case STEP_CLOSE:
		v->is_over = true;
		break;
	case STEP_STREAM:
		cql_put_int(&b, CQL_RESULT_VOID);
		answer(v, CQL_OP_RESULT, 4000, buf_str(&b));
		break;
	case STEP_HUGE:
		head[5] = 0x7f;
		put_raw(v, bytes);
		break;
	case STEP_BIG:
		for (int i = 0; i < 3000; i++)
			buf_put(&b, STR("forty bytes that do not fit, and again.."));
		answer(v, CQL_OP_RESULT, id, buf_str(&b));
		break;
	case STEP_BAD_BODY:
		answer(v, CQL_OP_RESULT, id, STR("\0\0"));
		break;
	case STEP_VERSION:
		head[0] = (char)0x85;
		put_raw(v, bytes);
		break;
	case STEP_OLD:
		cql_put_int(&b, CQL_RESULT_VOID);
		assert_true(v->has_silent);
		answer(v, CQL_OP_RESULT, v->silent, buf_str(&b));
		answer(v, CQL_OP_RESULT, id, buf_str(&b));
		break;
	case STEP_COMPRESSED:
		head[1] = CQL_FRAME_COMPRESSED;
		put_raw(v, (struct str){ head, sizeof(head) });
		put_raw(v, STR("zz"));
		break;
	}
}

/* What the test wants to see of a request; parsed as far as EXECUTE and BATCH of one value go. */
static void note_taken(struct visit *v, const struct cql_header *h, struct str body)
{
	struct cluster *k = v->node->cluster;
	struct taken *t = &k->taken[k->taken_count++ % TAKEN_MAX];
	struct str id;
	struct cql_value value;
	uint16_t count = 0;
	uint8_t flags = 0, byte;
	*t = (struct taken){ .node = v->node->number, .opcode = h->opcode };
	if (h->opcode == CQL_OP_BATCH) {
		assert_true(cql_cut_byte(&body, &byte) && cql_cut_short(&body, &count));
		for (uint16_t n; count > 0; count--)
			assert_true(cql_cut_byte(&body, &byte) && cql_cut_string(&body, &id) &&
				    cql_cut_short(&body, &n) && n == 1 &&
				    cql_cut_value(&body, &value));
	} else {
		assert_true(cql_cut_string(&body, &id));
		assert_str(id, STR("prepared-id"));
	}
	assert_true(cql_cut_short(&body, &t->consistency) && cql_cut_byte(&body, &flags));
	if (h->opcode == CQL_OP_EXECUTE && (flags & 1))
		assert_true(cql_cut_short(&body, &count) && cql_cut_value(&body, &value));
	if (flags & 4)
		(void)str_take(&body, 4);
	t->has_page_state = (flags & 8) != 0;
	if (flags & 8)
		assert_true(cql_cut_value(&body, &value));
	for (int i = 0; (flags & 0x20) && i < 8; i++)
		t->stamp_us = t->stamp_us << 8 | (uint8_t)body.p[i];
}

static void serve_frame(struct visit *v, const struct cql_header *h, struct str body)
{
	struct cluster *k = v->node->cluster;
	uint16_t id = (uint16_t)h->stream;
	struct str rest = body;
	struct cql_value text;
	static const struct step again = { .kind = STEP_VOID };
	if (k->is_frozen[v->node->number]) {
		k->frozen_count++;
		return;
	}
	switch (h->opcode) {
	case CQL_OP_OPTIONS:
		k->options++;
		if (!k->is_mute || k->options <= k->connections)
			answer(v, CQL_OP_SUPPORTED, id, STR("\0\0"));
		break;
	case CQL_OP_STARTUP:
		if (k->wants_password)
			answer(v, CQL_OP_AUTHENTICATE, id, STR("\0\x05plain"));
		else
			answer(v, CQL_OP_READY, id, STR(""));
		break;
	case CQL_OP_AUTH_RESPONSE:
		if (str_ends(body, STR("\0me\0right")))
			answer(v, CQL_OP_AUTH_SUCCESS, id, STR("\xff\xff\xff\xff"));
		else
			answer(v, CQL_OP_ERROR, id, STR("\0\0\x01\0\0\x03who"));
		break;
	case CQL_OP_REGISTER:
		answer(v, CQL_OP_READY, id, STR(""));
		break;
	case CQL_OP_QUERY:
		assert_true(cql_cut_value(&rest, &text) && cql_cut_short(&rest, &k->asked_at));
		answer_query(v, id, text.bytes);
		break;
	case CQL_OP_PREPARE:
		answer_prepare(v, id);
		break;
	default:
		note_taken(v, h, body);
		if (!k->is_silent)
			do_step(v, id,
				k->step_at < k->step_count ? &k->steps[k->step_at++] : &again);
	}
}

static void visit_main(void *arg)
{
	struct visit *v = arg;
	struct op op = test_op(TIME_NEVER);
	struct cql_header h;
	while (!v->is_over && stream_read_more(&op, v->stream) == ERR_NONE) {
		struct str in = stream_input(v->stream);
		while (!v->is_over && cql_header_parse(in, &h) &&
			in.n >= CQL_HEADER_BYTES + (size_t)h.body_bytes) {
			serve_frame(v, &h,
				str_slice(in, CQL_HEADER_BYTES,
					CQL_HEADER_BYTES + (size_t)h.body_bytes));
			stream_consume(v->stream, CQL_HEADER_BYTES + (size_t)h.body_bytes);
			in = stream_input(v->stream);
		}
	}
	op = test_op(US_PER_SEC);
	(void)stream_close(&op, v->stream); /* it may have gone */
	v->stream = NULL;
	if (--v->node->cluster->served == 0)
		wait_queue_wake_all(&v->node->cluster->idle);
}

static void accepted(int fd, const struct address *peer, void *arg)
{
	struct node *n = arg;
	struct op op = test_op(TIME_NEVER);
	struct visit *v;
	(void)peer;
	if (n->is_refusing || visit_count == ARRAY_COUNT(all_visits)) {
		close(fd);
		return;
	}
	v = MEM_NEW(struct visit);
	v->node = n;
	all_visits[visit_count++] = v;
	assert_ok(stream_new(&op, fd, 1 << 20, &v->stream));
	n->cluster->served++;
	n->cluster->connections++;
	v->task = task_start("visit", visit_main, v);
}

static void node_start(struct cluster *k, unsigned number)
{
	struct address at = { .family = AF_INET, .port = k->port, .ip = { 127, 0, 0, 0 } };
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	int fd;
	struct node *n = MEM_NEW(struct node);
	n->cluster = k;
	n->number = number;
	at.ip[3] = (uint8_t)(number + 1);
	assert_ok(listen_tcp(&k->op, &at, 16, &fd));
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	address_from_sockaddr((struct sockaddr *)&sa, len, &at);
	k->port = at.port;
	assert_ok(listener_open(&k->op, fd, accepted, n, &n->listener));
	k->nodes[number] = n;
}

/* Nodes of `k` as its fields say, and settings for a client; cluster_client() makes it. */
static void cluster_start(struct cluster *k, size_t node_count)
{
	arena_init(&k->arena, 0);
	op_init(&k->op, &k->arena, NULL, now_us() + 30 * US_PER_SEC);
	k->node_count = node_count;
	visit_count = 0;
	for (unsigned i = 0; i < node_count; i++)
		node_start(k, i);
	struct str host = str_printf(&k->arena, "127.0.0.1:%u", k->port);
	assert_ok(cql_settings_parse(&k->op, host, STR("k"), &k->settings));
}

static void cluster_client(struct cluster *k)
{
	k->client = cql_client_new(&k->settings);
	k->write = cql_statement(k->client, CQL_WRITE, STR("write"), STR("INSERT"));
	k->read = cql_statement(k->client, CQL_READ, STR("read"), STR("SELECT"));
}

static void cluster_stop(struct cluster *k)
{
	cql_close(&k->op, k->client);
	for (size_t i = 0; i < visit_count; i++)
		task_cancel(all_visits[i]->task);
	while (k->served > 0)
		assert_ok(wait_queue_wait(&k->op, &k->idle));
	for (size_t i = 0; i < visit_count; i++)
		mem_free(all_visits[i]);
	for (size_t i = 0; i < k->node_count; i++) {
		listener_close(k->nodes[i]->listener);
		mem_free(k->nodes[i]);
	}
	arena_done(&k->arena);
}

static void script(struct cluster *k, struct step s)
{
	assert_true(k->step_count < STEPS_MAX);
	k->steps[k->step_count++] = s;
}

static inline void script_error(struct cluster *k, enum cql_error_code code)
{
	script(k, (struct step){ .kind = STEP_ERROR, .code = code });
}

static enum err write_one(struct cluster *k)
{
	struct cql_value v = cql_text(STR("key"));
	struct cql_bound b = { k->write, &v, 1, 0 };
	k->op.deadline_us = now_us() + 10 * US_PER_SEC;
	op_forgive(&k->op);
	return cql_execute(&k->op, k->client, &b);
}

/* A test that is run_<what>(void *arg), in a task. */
#define TEST(title, what)                                                                          \
	static void title(void **state)                                                            \
	{                                                                                          \
		(void)state;                                                                       \
		test_in_task(run_##what, NULL);                                                    \
	}
