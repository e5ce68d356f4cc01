/* SPDX-License-Identifier: Apache-2.0 */
/* Between the two halves of the object journal: writing and recovering. */
#pragma once

#include "objects/posix_journal.h"
#include "objects/posix_private.h"

#define JOURNAL_PREFIX   OBJECTS_TMP_PREFIX "journal-"
#define JOURNAL_LOCK     OBJECTS_TMP_PREFIX "journal.lock"
#define JOURNAL_NAME_MAX 64

/* The file `number` (0, 1) of an opening, below the prefix. */
void journal_file_name(char out[JOURNAL_NAME_MAX], uint64_t token, unsigned number);
/* Held while journals are made or recovered. Blocks. A descriptor, closing it unlocks; -1 and errno. */
int journal_lock_all(const struct tree *t);
