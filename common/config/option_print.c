#include <ctype.h>
#include <string.h>

#include "common/config/option_private.h"

#define WIDTH       80
#define HELP_COLUMN 28 /* where help texts begin */
#define FILE_COLUMN 2

/* Writes text from *column on, broken between words before WIDTH; every further line
 * begins at indent.  Line feeds in the text are blanks. */
static void
print_wrapped(FILE *out, const char *text, unsigned *column, unsigned indent)
{
	while (*text != '\0') {
		size_t n = strcspn(text, " \n");
		if (n > 0) {
			if (*column > indent && *column + 1 + n > WIDTH - 1) {
				fputc('\n', out);
				*column = 0;
			} else if (*column > indent) {
				fputc(' ', out);
				(*column)++;
			}
			while (*column < indent) {
				fputc(' ', out);
				(*column)++;
			}
			fwrite(text, 1, n, out);
			*column += (unsigned)n;
		}
		text += n;
		text += strspn(text, " \n");
	}
}

const char *
option_argument(const struct option *o, char *out, size_t room)
{
	size_t used = 0;

	if (o->kind == OPTION_FLAG) {
		return NULL;
	}
	if (o->argument != NULL) {
		return o->argument;
	}
	if (o->kind != OPTION_CHOICE) {
		return o->kind == OPTION_SIZE       ? "SIZE"
		       : o->kind == OPTION_DURATION ? "DURATION"
		       : o->kind == OPTION_NUMBER   ? "N"
						    : "TEXT";
	}
	out[0] = '\0';
	for (unsigned i = 0; o->choices[i] != NULL && used < room; i++) {
		int n = snprintf(
		    out + used, room - used, "%s%s", i == 0 ? "" : "|", o->choices[i]);
		used += n < 0 ? 0 : (size_t)n;
	}
	return out;
}

static void
print_option(const struct option *o, FILE *out)
{
	char buffer[128], left[192];
	const char *argument = option_argument(o, buffer, sizeof buffer);
	unsigned column;

	snprintf(left, sizeof left, "  %c%c%c --%s%s%s", o->letter == 0 ? ' ' : '-',
	    o->letter == 0 ? ' ' : o->letter, o->letter == 0 ? ' ' : ',', o->name,
	    argument == NULL ? "" : " ", argument == NULL ? "" : argument);
	fputs(left, out);
	column = (unsigned)strlen(left);
	if (column + 2 > HELP_COLUMN) {
		fputc('\n', out);
		column = 0;
	}
	while (column < HELP_COLUMN) {
		fputc(' ', out);
		column++;
	}
	print_wrapped(out, o->help, &column, HELP_COLUMN);
	if (o->standard != NULL) {
		snprintf(left, sizeof left, "(default: %s)", o->standard);
		print_wrapped(out, left, &column, HELP_COLUMN);
	}
	fputc('\n', out);
}

static void
print_section(const char *section, FILE *out)
{
	if (section != NULL) {
		fprintf(out, "\n%s:\n", section);
	}
}

static void
print_synopsis(const struct option_program *p, FILE *out)
{
	const char *line = p->synopsis == NULL ? "[options]" : p->synopsis;
	const char *head = "Usage:";

	for (;;) {
		size_t n = strcspn(line, "\n");
		char one[512];
		unsigned column = (unsigned)fprintf(out, "%-6s %s ", head, p->name);
		snprintf(one, sizeof one, "%.*s", (int)n, line);
		print_wrapped(out, one, &column, column);
		fputc('\n', out);
		head = "";
		if (line[n] == '\0') {
			break;
		}
		line += n + 1;
	}
}

void
option_print_help(const struct option_program *p, FILE *out)
{
	const struct option *o;
	char summary[256];
	unsigned column = 0;

	print_synopsis(p, out);
	fputc('\n', out);
	snprintf(summary, sizeof summary, "%s", p->summary);
	summary[0] = (char)toupper((unsigned char)summary[0]);
	print_wrapped(out, summary, &column, 0);
	fputs(column > 0 && summary[strlen(summary) - 1] != '.' ? ".\n" : "\n", out);
	if (p->operands != NULL) {
		column = 0;
		fputc('\n', out);
		print_wrapped(out, p->operands, &column, 0);
		fputc('\n', out);
	}
	if (p->count > 0 && p->options[0].section == NULL) {
		print_section("Options", out);
	}
	for (unsigned i = 0; (o = option_at(p, i)) != NULL; i++) {
		print_section(o->section, out);
		print_option(o, out);
	}
}

/* Plain words stay as they are; text that YAML could read as something else is quoted. */
static void
print_scalar(const char *text, FILE *out)
{
	static const char plain[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "0123456789/._-";

	if (text[0] != '\0' && text[0] != '-' && text[0] != '.' &&
	    text[strspn(text, plain)] == '\0') {
		fputs(text, out);
		return;
	}
	fputc('"', out);
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;
		if (c == '"' || c == '\\') {
			fprintf(out, "\\%c", c);
		} else if (c < ' ' || c == 0x7f) {
			fprintf(out, "\\x%02x", c);
		} else {
			fputc(c, out);
		}
	}
	fputc('"', out);
}

static void
print_list(const struct option_list *list, FILE *out)
{
	if (list->count == 0) {
		fputs(" []\n", out);
		return;
	}
	fputc('\n', out);
	for (unsigned i = 0; i < list->count; i++) {
		fprintf(out, "%*s- ", FILE_COLUMN, "");
		print_scalar(list->items[i], out);
		fputc('\n', out);
	}
}

/* An option without a default that was not given is zero, below its minimum. */
static bool
is_given(const struct option *o, const void *value)
{
	const uint64_t *number = value;
	const char *const *string = value;

	switch (o->kind) {
	case OPTION_STRING:
		return *string != NULL;
	case OPTION_NUMBER:
	case OPTION_SIZE:
	case OPTION_DURATION:
		return *number >= o->min;
	default:
		return true;
	}
}

static void
print_value(const struct option *o, const void *value, FILE *out)
{
	char number[OPTION_VALUE_TEXT], argument[128];
	const char *const *string = value;

	if (!is_given(o, value)) {
		fprintf(out, "# %s: %s\n", o->name,
		    option_argument(o, argument, sizeof argument));
		return;
	}
	fprintf(out, "%s:", o->name);
	switch (o->kind) {
	case OPTION_LIST:
		print_list(value, out);
		return;
	case OPTION_FLAG:
		fprintf(out, " %s\n", *(const bool *)value ? "true" : "false");
		return;
	case OPTION_CHOICE:
		fprintf(out, " %s\n", o->choices[*(const unsigned *)value]);
		return;
	case OPTION_STRING:
		fputc(' ', out);
		print_scalar(*string, out);
		fputc('\n', out);
		return;
	default:
		option_value_format(o->kind, *(const uint64_t *)value, number);
		fprintf(out, " %s\n", number);
	}
}

void
option_print_config(const struct option_program *p, const void *config,
    const struct option_builtin *builtin, FILE *out)
{
	const char *section = NULL;
	const struct option *o;

	fprintf(
	    out, "# Options of %s %s, for its --config\n", p->name, FLOWPAIR_VERSION);
	for (unsigned i = 0; (o = option_at(p, i)) != NULL; i++) {
		section = o->section != NULL ? o->section : section;
		if (option_is_builtin(o) && o->kind != OPTION_CHOICE) {
			continue; /* of the command line only */
		}
		if (section != NULL) {
			fprintf(out, "\n# %s\n", section);
			section = NULL;
		}
		print_value(o,
		    option_place(
			p, o, (void *)config, (struct option_builtin *)builtin),
		    out);
	}
}
