/* SPDX-License-Identifier: Apache-2.0 */
/* Password hashes for databases of users. */
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/mem.h"
#include "crypto/password.h"
#include "main/doveadm.h"

#define PASSWORD_BYTES 1024

bool doveadm_read_password(const char *prompt, char *out, size_t size)
{
	struct termios before, silent;
	bool is_terminal = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &before) == 0;
	if (is_terminal) {
		silent = before;
		silent.c_lflag &= ~(tcflag_t)ECHO;
		fputs(prompt, stderr);
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
	}
	bool is_read = fgets(out, (int)size, stdin) != NULL;
	if (is_terminal) {
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
		fputc('\n', stderr);
	}
	out[strcspn(out, "\r\n")] = '\0';
	return is_read;
}

int doveadm_pw(struct doveadm *d)
{
	const char *scheme = "SHA512-CRYPT", *given = NULL;
	char password[PASSWORD_BYTES];
	AUTO_BUF(hash, 0);
	for (int i = 0; i < d->arg_count; i++) {
		if (strcmp(d->args[i], "-s") == 0 && i + 1 < d->arg_count) {
			scheme = d->args[++i];
		} else if (strcmp(d->args[i], "-p") == 0 && i + 1 < d->arg_count) {
			given = d->args[++i];
		} else {
			return doveadm_usage(d);
		}
	}
	if (!given && !doveadm_read_password("Enter new password: ", password, sizeof(password))) {
		fputs("doveadm: Error: no password was given\n", stderr);
		return EXIT_USAGE;
	}
	enum err e = password_hash(
		str_from(scheme), str_from(given ? given : password), STR(""), 0, &hash);
	mem_wipe(password, sizeof(password));
	if (e != ERR_NONE) {
		fprintf(stderr, "doveadm: Error: cannot hash with scheme %s (%s); schemes:", scheme,
			err_name(e));
		for (size_t i = 0; password_schemes[i].name; i++)
			fprintf(stderr, " %s", password_schemes[i].name);
		fputc('\n', stderr);
		return EXIT_USAGE;
	}
	printf("%.*s\n", STRF(buf_str(&hash)));
	return 0;
}
