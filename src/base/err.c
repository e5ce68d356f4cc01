/* SPDX-License-Identifier: Apache-2.0 */
/* base/err.c - names of error classes, and errno as a class: see err.h. */
#include "base/err.h"

#include <errno.h>

const char *err_name(enum err e)
{
	switch (e) {
	case ERR_NONE:
		return "none";
	case ERR_NOT_FOUND:
		return "not_found";
	case ERR_EXISTS:
		return "exists";
	case ERR_DENIED:
		return "denied";
	case ERR_LIMIT:
		return "limit";
	case ERR_INVALID:
		return "invalid";
	case ERR_CONFLICT:
		return "conflict";
	case ERR_UNAVAILABLE:
		return "unavailable";
	case ERR_TIMEOUT:
		return "timeout";
	case ERR_CANCELLED:
		return "cancelled";
	case ERR_CORRUPT:
		return "corrupt";
	case ERR_UNSUPPORTED:
		return "unsupported";
	}
	return "unknown"; /* a class of a newer peer */
}

enum err err_from_errno(int error_number)
{
	switch (error_number) {
	case ENOENT:
		return ERR_NOT_FOUND;
	case EEXIST:
		return ERR_EXISTS;
	case EACCES:
	case EPERM:
		return ERR_DENIED;
	case ENOSPC:
	case EDQUOT:
	case EMFILE:
	case ENFILE:
	case EFBIG:
		return ERR_LIMIT;
	case ESTALE: /* of NFS: the file was replaced by another host; opening it anew helps */
		return ERR_CONFLICT;
	case ETIMEDOUT:
		return ERR_TIMEOUT;
	default:
		return ERR_UNAVAILABLE;
	}
}
