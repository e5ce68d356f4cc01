/* SPDX-License-Identifier: Apache-2.0 */
/* A log that lacks its end: it was torn, or a full disk took no more of it. What it has are facts, and flag
 * changes that wait in it may be nowhere else, so it is kept; but who reads it must not take it for whole. Its
 * header names a boot that never was, in place: that needs no room on the disk. */
#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"
#include "store/store_private.h"

#define NO_BOOT                                                                                    \
	0xff /* each byte; those of a boot are a random UUID, which has fixed bits (RFC 9562 4) */

bool local_note_gap(const char *path)
{
	char bytes[LOG_HEADER_BYTES];
	struct log_header header;
	struct str old = { bytes, sizeof(bytes) };
	AUTO_BUF(noted, 0);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	bool is_noted = fd >= 0 && pread(fd, bytes, sizeof(bytes), 0) == (ssize_t)sizeof(bytes) &&
			log_header_cut(&old, &header) == ERR_NONE;
	if (is_noted) {
		memset(header.boot_id, NO_BOOT, sizeof(header.boot_id));
		log_header_encode(&noted, &header);
		is_noted = pwrite(fd, noted.p, noted.n, 0) == (ssize_t)noted.n;
	}
	file_close_fd(&fd);
	return is_noted;
}
