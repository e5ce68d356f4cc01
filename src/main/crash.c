/* SPDX-License-Identifier: Apache-2.0 */
/* Recording a death, and reading the record. */
#include "main/crash.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <ucontext.h>
#include <unistd.h>

/* ---- which program this is ---- */

struct image {
	uintptr_t begin, end; /* of the program in memory */
	uint8_t build_id[CRASH_BUILD_ID_MAX];
	uint32_t build_id_bytes;
};

static void read_notes(struct image *image, const uint8_t *p, size_t n)
{
	while (n >= sizeof(ElfW(Nhdr))) {
		ElfW(Nhdr) note;
		memcpy(&note, p, sizeof(note));
		size_t name = (note.n_namesz + 3u) & ~3u, value = (note.n_descsz + 3u) & ~3u;
		if (name > n - sizeof(note) || value > n - sizeof(note) - name)
			return;
		if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4) {
			image->build_id_bytes = MIN(note.n_descsz, CRASH_BUILD_ID_MAX);
			memcpy(image->build_id, p + sizeof(note) + name, image->build_id_bytes);
		}
		p += sizeof(note) + name + value;
		n -= sizeof(note) + name + value;
	}
}

/* The first object that is listed is the program itself. */
static int find_image(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct image *image = arg;
	(void)size;
	image->begin = info->dlpi_addr;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *h = &info->dlpi_phdr[i];
		if (h->p_type == PT_LOAD)
			image->end = MAX(image->end, info->dlpi_addr + h->p_vaddr + h->p_memsz);
		if (h->p_type == PT_NOTE)
			read_notes(
				image, (const uint8_t *)(info->dlpi_addr + h->p_vaddr), h->p_memsz);
	}
	return 1;
}

/* ---- the dying process ---- */

#define STACK_BYTES 32768

static struct crash_report *report;
static struct image self;
static uint8_t stack[STACK_BYTES];

static void say_hex(char *out, uint64_t value)
{
	for (int i = 0; i < 16; i++)
		out[i] = "0123456789abcdef"[value >> (60 - 4 * i) & 15];
}

static void say(const char *label, uint64_t value)
{
	char line[64];
	size_t n = strlen(label);
	memcpy(line, label, MIN(n, sizeof(line) - 17));
	n = MIN(n, sizeof(line) - 17);
	say_hex(line + n, value);
	line[n + 16] = '\n';
	(void)!write(STDERR_FILENO, line, n + 17); /* there is nobody left to tell */
}

/* Offsets in the program name the same place in every process; what is outside keeps its address. */
static void add_frame(uintptr_t pc)
{
	bool is_ours = pc >= self.begin && pc < self.end;
	if (report->frame_count == CRASH_FRAMES_MAX)
		return;
	report->frames[report->frame_count] = is_ours ? pc - self.begin : pc;
	say(is_ours ? "pombal: at pombal+0x" : "pombal: at 0x", is_ours ? pc - self.begin : pc);
	report->frame_count++; /* last: a fault in here leaves a record that is whole */
}

/* A frame pointer leads to its caller's, which stands higher and near. A second fault ends the process
 * as the first one would have. */
static void walk(uintptr_t pc, uintptr_t frame)
{
	add_frame(pc);
	while (report->frame_count < CRASH_FRAMES_MAX && frame > 4096 &&
		frame % sizeof(uintptr_t) == 0) {
		const uintptr_t *at = (const uintptr_t *)frame;
		uintptr_t next = at[0];
		if (at[1] < 4096)
			return;
		add_frame(at[1]);
		if (next <= frame || next - frame > (1u << 20))
			return;
		frame = next;
	}
}

static void on_death(int signal_number, siginfo_t *info, void *context)
{
	const ucontext_t *c = context;
	report->fault_address = (uint64_t)(uintptr_t)info->si_addr;
	report->code = info->si_code;
	report->syscall_number = signal_number == SIGSYS ? info->si_syscall : 0;
	report->signal_number = signal_number;
	say("pombal: killed by signal 0x", (uint64_t)signal_number);
	if (signal_number == SIGSYS)
		say("pombal: the sandbox refused system call 0x", (uint64_t)info->si_syscall);
#if defined(__x86_64__)
	walk((uintptr_t)c->uc_mcontext.gregs[REG_RIP], (uintptr_t)c->uc_mcontext.gregs[REG_RBP]);
#elif defined(__aarch64__)
	walk((uintptr_t)c->uc_mcontext.pc, (uintptr_t)c->uc_mcontext.regs[29]);
#else
	(void)c;
#endif
	/* The default is restored (SA_RESETHAND): the signal is pending until we return. */
	(void)raise(signal_number);
}

void crash_prepare(struct crash_report *in_page)
{
#ifdef POMBAL_INSTRUMENTED
	(void)in_page;
	(void)on_death;
	(void)find_image;
	(void)stack;
#else
	static const int signals[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS };
	const stack_t alternate = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct sigaction action = { .sa_sigaction = on_death,
		.sa_flags = (int)(SA_SIGINFO | SA_ONSTACK | SA_RESETHAND) };
	sigemptyset(&action.sa_mask);
	report = in_page;
	(void)dl_iterate_phdr(find_image, &self);
	report->build_id_bytes = self.build_id_bytes;
	memcpy(report->build_id, self.build_id, sizeof(self.build_id));
	ASSERT(sigaltstack(&alternate, NULL) == 0);
	for (size_t i = 0; i < ARRAY_COUNT(signals); i++)
		ASSERT(sigaction(signals[i], &action, NULL) == 0);
#endif
}

/* ---- the master ---- */

/* The program's own file, whose table of symbols has every function, the static ones too. */
struct symbols {
	const uint8_t *file;
	size_t file_bytes;
	const ElfW(Sym) * table;
	size_t count;
	struct str names;
};

static bool open_program(struct symbols *s)
{
	struct stat st;
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	void *p = fstat(fd, &st) == 0 && st.st_size > 0
			  ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0)
			  : MAP_FAILED;
	close(fd);
	if (p == MAP_FAILED)
		return false;
	s->file = p;
	s->file_bytes = (size_t)st.st_size;
	return true;
}

static bool is_inside(const struct symbols *s, uint64_t offset, uint64_t bytes)
{
	return offset <= s->file_bytes && bytes <= s->file_bytes - offset;
}

static bool find_table(struct symbols *s)
{
	const ElfW(Ehdr) *head = (const void *)s->file;
	if (s->file_bytes < sizeof(*head) || head->e_shentsize != sizeof(ElfW(Shdr)) ||
		!is_inside(s, head->e_shoff, (uint64_t)head->e_shnum * sizeof(ElfW(Shdr))))
		return false;
	const ElfW(Shdr) *sections = (const void *)(s->file + head->e_shoff);
	for (size_t i = 0; i < head->e_shnum; i++) {
		const ElfW(Shdr) *t = &sections[i];
		if (t->sh_type != SHT_SYMTAB || t->sh_link >= head->e_shnum)
			continue;
		const ElfW(Shdr) *names = &sections[t->sh_link];
		if (!is_inside(s, t->sh_offset, t->sh_size) ||
			!is_inside(s, names->sh_offset, names->sh_size))
			return false;
		s->table = (const void *)(s->file + t->sh_offset);
		s->count = t->sh_size / sizeof(ElfW(Sym));
		s->names = (struct str){ (const char *)s->file + names->sh_offset, names->sh_size };
		return true;
	}
	return false;
}

static bool put_symbol(const struct symbols *s, uint64_t offset, struct buf *out)
{
	for (size_t i = 0; i < s->count; i++) {
		const ElfW(Sym) *symbol = &s->table[i];
		if (ELF64_ST_TYPE(symbol->st_info) != STT_FUNC || offset < symbol->st_value ||
			offset - symbol->st_value >= symbol->st_size ||
			symbol->st_name >= s->names.n)
			continue;
		struct str rest = str_slice(s->names, symbol->st_name, s->names.n);
		ssize_t end = str_find_byte(rest, '\0');
		if (end <= 0)
			continue;
		buf_putf(out, "%.*s+0x%" PRIx64, (int)end, rest.p, offset - symbol->st_value);
		return true;
	}
	return false;
}

static void put_frames(const struct crash_report *r, const struct symbols *s, struct buf *out)
{
	uint32_t count = MIN(r->frame_count, CRASH_FRAMES_MAX);
	for (uint32_t i = 0; i < count; i++) {
		buf_put(out, i ? STR(" < ") : STR(": "));
		/* A return address may be the first byte behind its function. */
		if (!put_symbol(s, r->frames[i] - (i > 0), out))
			buf_putf(out, "0x%" PRIx64, r->frames[i]);
	}
}

void crash_describe(const struct crash_report *r, struct buf *out)
{
	struct image own = { 0 };
	struct symbols s = { .count = 0 };
	if (r->signal_number == 0)
		return;
	buf_putf(out, "signal %d", r->signal_number);
	if (r->code <= 0)
		buf_put(out, STR(" from outside or from itself"));
	else if (r->signal_number == SIGSEGV || r->signal_number == SIGBUS)
		buf_putf(out, " at address 0x%" PRIx64, r->fault_address);
	if (r->signal_number == SIGSYS)
		buf_putf(out, ", system call %d is not allowed in the sandbox", r->syscall_number);
	buf_put(out, STR(", build "));
	for (uint32_t i = 0; i < MIN(r->build_id_bytes, CRASH_BUILD_ID_MAX); i++)
		buf_putf(out, "%02x", r->build_id[i]);
	(void)dl_iterate_phdr(find_image, &own);
	bool is_same = own.build_id_bytes == r->build_id_bytes &&
		       memcmp(own.build_id, r->build_id, sizeof(own.build_id)) == 0;
	if (is_same && open_program(&s) && !find_table(&s))
		s.count = 0;
	put_frames(r, &s, out);
	if (s.file)
		(void)munmap((void *)(uintptr_t)s.file, s.file_bytes);
}
