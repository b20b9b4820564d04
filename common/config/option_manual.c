#include <ctype.h>
#include <string.h>

#include "common/config/option_private.h"

#define TABLE "@OPTIONS@\n" /* the line that the option table replaces */

/* Text for man(7): hyphens become minus signs, so that names and options can be copied,
 * and a dot at the beginning of a line is not a request. */
static void
print_text(const char *text, size_t n, FILE *out)
{
	if (n > 0 && (text[0] == '.' || text[0] == '\'')) {
		fputs("\\&", out);
	}
	for (size_t i = 0; i < n; i++) {
		if (text[i] == '\\') {
			fputs("\\e", out);
		} else if (text[i] == '-') {
			fputs("\\-", out);
		} else {
			fputc(text[i], out);
		}
	}
}

static void
print_line(const char *text, FILE *out)
{
	print_text(text, strlen(text), out);
	fputc('\n', out);
}

static void
print_upper(const char *text, FILE *out)
{
	for (; *text != '\0'; text++) {
		if (*text == '-') {
			fputs("\\-", out);
		} else {
			fputc(toupper((unsigned char)*text), out);
		}
	}
}

static void
print_synopsis(const struct option_program *p, FILE *out)
{
	const char *line = p->synopsis == NULL ? "[options]" : p->synopsis;

	fputs(".SH SYNOPSIS\n", out);
	for (;;) {
		size_t n = strcspn(line, "\n");
		fputs("\\fB", out);
		print_text(p->name, strlen(p->name), out);
		fputs("\\fR ", out);
		print_text(line, n, out);
		fputc('\n', out);
		if (line[n] == '\0') {
			break;
		}
		fputs(".br\n", out);
		line += n + 1;
	}
}

static void
print_option(const struct option *o, FILE *out)
{
	char buffer[128];
	const char *argument = option_argument(o, buffer, sizeof buffer);

	fputs(".TP\n", out);
	if (o->letter != 0) {
		fprintf(out, "\\fB\\-%c\\fR, ", o->letter);
	}
	fputs("\\fB\\-\\-", out);
	print_text(o->name, strlen(o->name), out);
	fputs("\\fR", out);
	if (argument != NULL) {
		fputs(" \\fI", out);
		print_text(argument, strlen(argument), out);
		fputs("\\fR", out);
	}
	fputc('\n', out);
	print_line(o->help, out);
	if (o->standard != NULL) {
		fputs("Default: ", out);
		print_text(o->standard, strlen(o->standard), out);
		fputs(".\n", out);
	}
}

static void
print_options(const struct option_program *p, FILE *out)
{
	const struct option *o;

	fputs(".SH OPTIONS\n", out);
	if (p->operands != NULL) {
		print_line(p->operands, out);
		fputs(".PP\n", out);
	}
	fputs("Options without a value are turned off by "
	      "\\fB\\-\\-no\\-\\fR\\fINAME\\fR.\n"
	      "Durations accept the units ns, us, ms, s, min, h and d; without a unit\n"
	      "they are seconds.  Sizes accept KiB, MiB, GiB and TiB; without a unit\n"
	      "they are bytes.  Numbers accept k, M and G (thousands, millions and\n"
	      "billions).\n",
	    out);
	if (p->count > 0 && p->options[0].section == NULL) {
		fputs(".SS Options\n", out);
	}
	for (unsigned i = 0; (o = option_at(p, i)) != NULL; i++) {
		if (o->section != NULL) {
			fputs(".SS ", out);
			print_line(o->section, out);
		}
		print_option(o, out);
	}
}

void
option_print_manual(const struct option_program *p, FILE *out)
{
	const char *text = p->manual == NULL ? TABLE : p->manual;
	const char *table = strstr(text, TABLE);
	size_t before = table == NULL ? strlen(text) : (size_t)(table - text);

	fputs(".TH ", out);
	print_upper(p->name, out);
	fprintf(out, " 1 \"\" \"flowpair %s\" \"flowpair\"\n", FLOWPAIR_VERSION);
	fputs(".nh\n.ad l\n.SH NAME\n", out);
	print_text(p->name, strlen(p->name), out);
	fputs(" \\- ", out);
	print_line(p->summary, out);
	print_synopsis(p, out);
	fwrite(text, 1, before, out);
	if (table != NULL) {
		print_options(p, out);
		fputs(table + sizeof TABLE - 1, out);
	}
}
