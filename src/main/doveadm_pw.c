/* SPDX-License-Identifier: Apache-2.0 */
/* Password hashes for databases of users. */
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/number.h"
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

struct pw {
	const char *scheme, *plain, *user, *tested;
	unsigned rounds;
	bool lists, verifies;
};

static bool read_options(struct doveadm *d, struct pw *out)
{
	uint32_t rounds;
	int option;
	*out = (struct pw){ .scheme = "SHA512-CRYPT", .user = "" };
	opterr = 0;
	optind = 1;
	/* getopt() wants a word before the arguments: the command's own stands there. */
	while ((option = getopt(d->arg_count + 1, d->args - 1, "ls:p:r:u:t:V")) != -1) {
		if (option == 'l')
			out->lists = true;
		else if (option == 's')
			out->scheme = optarg;
		else if (option == 'p')
			out->plain = optarg;
		else if (option == 'u')
			out->user = optarg;
		else if (option == 't')
			out->tested = optarg;
		else if (option == 'V')
			out->verifies = true;
		else if (option == 'r' && number_parse_u32(str_from(optarg), &rounds))
			out->rounds = rounds;
		else
			return false;
	}
	return optind == d->arg_count + 1;
}

static int list_schemes(void)
{
	for (size_t i = 0; password_schemes[i].name; i++)
		printf("%s%s", i > 0 ? " " : "", password_schemes[i].name);
	putchar('\n');
	return 0;
}

/* A terminal is asked twice: nobody sees what he types. */
static bool ask_password(bool twice, char *out, size_t size)
{
	char again[PASSWORD_BYTES];
	if (!doveadm_read_password("Enter new password: ", out, size)) {
		fputs("doveadm: Error: no password was given\n", stderr);
		return false;
	}
	if (!twice || !isatty(STDIN_FILENO))
		return true;
	bool is_same = doveadm_read_password("Retype new password: ", again, sizeof(again)) &&
		       strcmp(out, again) == 0;
	mem_wipe(again, sizeof(again));
	if (!is_same)
		fputs("doveadm: Error: the passwords differ\n", stderr);
	return is_same;
}

static int print_verified(const struct pw *pw, struct str plain, struct str hash)
{
	bool is_ok = false;
	struct password_context context = { .default_scheme = str_from(pw->scheme),
		.user = str_from(pw->user),
		.allows_weak = true };
	enum err e = password_verify(plain, hash, &context, &is_ok);
	if (e != ERR_NONE) {
		fprintf(stderr, "doveadm: Error: the hash cannot be used (%s)\n", err_name(e));
		return EXIT_USAGE;
	}
	if (!is_ok) {
		fputs("doveadm: Error: the password does not match\n", stderr);
		return EXIT_DENIED;
	}
	printf("%.*s (verified)\n", STRF(hash));
	return 0;
}

static int make_hash(const struct pw *pw, struct str plain)
{
	AUTO_BUF(hash, 0);
	enum err e =
		password_hash(str_from(pw->scheme), plain, str_from(pw->user), pw->rounds, &hash);
	if (e != ERR_NONE) {
		fprintf(stderr,
			"doveadm: Error: cannot hash with scheme %s (%s); schemes: ", pw->scheme,
			err_name(e));
		for (size_t i = 0; password_schemes[i].name; i++)
			fprintf(stderr, " %s", password_schemes[i].name);
		fputc('\n', stderr);
		return EXIT_USAGE;
	}
	if (pw->verifies)
		return print_verified(pw, plain, buf_str(&hash));
	printf("%.*s\n", STRF(buf_str(&hash)));
	return 0;
}

int doveadm_pw(struct doveadm *d)
{
	struct pw pw;
	char password[PASSWORD_BYTES] = "";
	if (!read_options(d, &pw))
		return doveadm_usage(d);
	if (pw.lists)
		return list_schemes();
	if (!pw.plain && !ask_password(pw.tested == NULL, password, sizeof(password)))
		return EXIT_USAGE;
	struct str plain = str_from(pw.plain ? pw.plain : password);
	int status =
		pw.tested ? print_verified(&pw, plain, str_from(pw.tested)) : make_hash(&pw, plain);
	mem_wipe(password, sizeof(password));
	return status;
}
