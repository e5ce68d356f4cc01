/* SPDX-License-Identifier: Apache-2.0 */
/* base/list.h - intrusive doubly linked list; a node is in at most one list; all O(1).
 *
 * A zeroed node is "in no list". The head is a node too: list_init() it first. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"

struct list {
	struct list *next;
	struct list *prev;
};

static inline void list_init(struct list *head)
{
	head->next = head->prev = head;
}
static inline bool list_is_empty(const struct list *head)
{
	return head->next == head;
}
static inline bool list_is_linked(const struct list *node)
{
	return node->next != NULL && node->next != node;
}
static inline void list_add_before(struct list *at, struct list *node)
{
	node->next = at;
	node->prev = at->prev;
	at->prev->next = node;
	at->prev = node;
}
static inline void list_add_last(struct list *head, struct list *node)
{
	list_add_before(head, node);
}
static inline void list_add_first(struct list *head, struct list *node)
{
	list_add_before(head->next, node);
}
/* Harmless on a node that is in no list. */
static inline void list_remove(struct list *node)
{
	if (!node->next)
		return;
	node->next->prev = node->prev;
	node->prev->next = node->next;
	node->next = node->prev = NULL;
}

#define LIST_FIRST(head, type, member)                                                             \
	(list_is_empty(head) ? NULL : CONTAINER_OF((head)->next, type, member))
/* The body may remove the current node. */
#define LIST_FOR_EACH(var, tmp, head, type, member)                                                \
	for (var = CONTAINER_OF((head)->next, type, member),                                       \
	    tmp = CONTAINER_OF(var->member.next, type, member);                                    \
		&var->member != (head);                                                            \
		var = tmp, tmp = CONTAINER_OF(var->member.next, type, member))
