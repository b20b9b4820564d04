/* Any bytes as a configuration file, and any lines as a command line: taken or refused
 * with a sentence; what --print-config prints of it reads back as the same. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/config/option.h"
#include "common/config/option_private.h"

#define WORDS_MAX 32

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

struct configuration {
	bool flag;
	const char *string;
	struct option_list list;
	uint64_t number, size, duration;
	unsigned choice;
};

static const char *const choices[] = {"text", "json", "none", NULL};
#define AT(member) .offset = offsetof(struct configuration, member)
static const struct option rows[] = {
    {.name = "flag", .letter = 'f', .kind = OPTION_FLAG, AT(flag), .help = "F."},
    {.name = "string", .letter = 's', .kind = OPTION_STRING, AT(string), .help = "S."},
    {.name = "list", .letter = 'l', .kind = OPTION_LIST, AT(list), .help = "L."},
    {.name = "number",
	.letter = 'n',
	.kind = OPTION_NUMBER,
	AT(number),
	.standard = "7",
	.min = 1,
	.max = 1000000,
	.help = "N."},
    {.name = "size", .kind = OPTION_SIZE, AT(size), .help = "Z."},
    {.name = "duration", .kind = OPTION_DURATION, AT(duration), .help = "D."},
    {.name = "choice",
	.kind = OPTION_CHOICE,
	AT(choice),
	.choices = choices,
	.help = "C."},
};
static const struct option_program program = {
    .name = "fuzz",
    .summary = "reads anything",
    .synopsis = "[options]",
    .operands = "Words.",
    .options = rows,
    .count = sizeof rows / sizeof rows[0],
};

static void
check(bool holds)
{
	if (!holds) {
		abort();
	}
}

/* A file in memory under a name that can be opened. */
static int
memory_file(const void *bytes, size_t length, char name[static 64])
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	check(fd >= 0 && write(fd, bytes, length) == (ssize_t)length);
	snprintf(name, 64, "/proc/self/fd/%d", fd);
	return fd;
}

static int
read_configuration(
    const void *bytes, size_t length, struct configuration *c, struct err *e)
{
	char name[64];
	int fd = memory_file(bytes, length, name), rc;
	char *argv[] = {(char *)"fuzz", (char *)"--config", name, NULL};
	struct option_list words;

	e->text[0] = '\0';
	rc = option_parse(&program, argv, c, &words, e);
	close(fd);
	check(rc <= 0 && (rc == 0 || strncmp(e->text, name, strlen(name)) == 0));
	return rc;
}

static char *
printed(const struct configuration *c, size_t *ret_length)
{
	struct option_builtin builtin = {0};
	char *text = NULL;
	FILE *f = open_memstream(&text, ret_length);

	check(f != NULL);
	option_print_config(&program, c, &builtin, f);
	check(fclose(f) == 0);
	return text;
}

static void
try_file(const uint8_t *bytes, size_t length)
{
	struct configuration first, second;
	char *text, *again;
	size_t n, m;
	struct err e;

	if (read_configuration(bytes, length, &first, &e) < 0) {
		return;
	}
	text = printed(&first, &n);
	check(read_configuration(text, n, &second, &e) == 0);
	again = printed(&second, &m);
	check(n == m && memcmp(text, again, n) == 0);
	free(text);
	free(again);
	option_free(&program, &first, NULL);
	option_free(&program, &second, NULL);
}

static void
try_command_line(const uint8_t *bytes, size_t length)
{
	char *text = strndup((const char *)bytes, length), *at = text;
	char *argv[WORDS_MAX + 1] = {(char *)"fuzz"};
	struct option_list words = {0};
	struct configuration c;
	struct err e = {""};
	int argc = 1;

	check(text != NULL);
	while (argc < WORDS_MAX && at != NULL) {
		char *word = strsep(&at, "\n");
		/* what prints or opens files is not tried here */
		if (strncmp(word, "--", 2) != 0 || strspn(word + 2, "cphv") == 0) {
			argv[argc++] = word;
		}
	}
	if (memchr(bytes, 'h', length) == NULL) {
		int rc = option_parse(&program, argv, &c, &words, &e);
		check(rc == 0 || (rc < 0 && e.text[0] != '\0'));
		if (rc == 0) {
			option_free(&program, &c, &words);
		}
	}
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	/* a first line "argv" makes it a command line */
	if (length > 5 && memcmp(bytes, "argv\n", 5) == 0) {
		try_command_line(bytes + 5, length - 5);
	} else {
		try_file(bytes, length);
	}
	return 0;
}
