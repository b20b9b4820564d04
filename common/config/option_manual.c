#include <ctype.h>
#include <string.h>

#include "common/config/option_private.h"

/* Text for man(7): every hyphen as a minus, so that names and options can be copied,
 * and nothing at the beginning of a line is taken for a request. */
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
	fputs(".SH OPTIONS\n", out);
	if (p->operands != NULL) {
		print_line(p->operands, out);
		fputs(".PP\n", out);
	}
	fputs("Options without a value are "
	      "switched off\nby \\fB\\-\\-no\\-\\fR\\fINAME\\fR.\n"
	      "Durations take the units ns, us, ms, s, min, h and d, and are seconds\n"
	      "without one; sizes take KiB, MiB, GiB and TiB; numbers take k, M and G\n"
	      "for thousands, millions and thousands of millions.\n",
	    out);
	if (p->count > 0 && p->options[0].section == NULL) {
		fputs(".SS Options\n", out);
	}
	for (unsigned i = 0; i < p->count + option_builtin_count; i++) {
		const struct option *o =
		    i < p->count ? &p->options[i] : &option_builtins[i - p->count];
		if (o->section != NULL) {
			fputs(".SS ", out);
			print_line(o->section, out);
		}
		print_option(o, out);
	}
}

/* Writes one part of program->manual: up to the first heading, or from there on. */
static void
print_paragraphs(const char *text, const char *end, FILE *out)
{
	bool is_example = false, is_new = false;

	while (text < end) {
		size_t n = strcspn(text, "\n");
		bool is_blank = n == 0;
		if (is_example && text[0] != '\t' && !is_blank) {
			fputs(".fi\n.RE\n", out);
			is_example = false;
		}
		if (is_blank) {
			is_new = true;
		} else if (strncmp(text, "# ", 2) == 0) {
			fputs(".SH ", out);
			print_text(text + 2, n - 2, out);
			fputc('\n', out);
			is_new = false;
		} else {
			if (is_new) {
				fputs(is_example ? ".sp\n" : ".PP\n", out);
			}
			if (text[0] == '\t' && !is_example) {
				fputs(".RS 4\n.nf\n", out);
				is_example = true;
			}
			print_text(text + is_example, n - is_example, out);
			fputc('\n', out);
			is_new = false;
		}
		text += n + (text[n] == '\n');
	}
	if (is_example) {
		fputs(".fi\n.RE\n", out);
	}
}

/* Where the first "# HEADING" line begins, or the end. */
static const char *
find_heading(const char *text)
{
	while (*text != '\0' && strncmp(text, "# ", 2) != 0) {
		size_t n = strcspn(text, "\n");
		text += n + (text[n] == '\n');
	}
	return text;
}

/* What it means for programs that do not say it themselves. */
static void
print_exit_status(FILE *out)
{
	fputs(".SH EXIT STATUS\n"
	      ".TP\n0\nAll went well.\n"
	      ".TP\n1\nThe work failed; standard error says why.\n"
	      ".TP\n2\nThe command line or a file given by the operator is wrong.\n",
	    out);
}

void
option_print_manual(const struct option_program *p, FILE *out)
{
	const char *manual = p->manual == NULL ? "" : p->manual;
	const char *heading = find_heading(manual);

	fputs(".TH ", out);
	print_upper(p->name, out);
	fprintf(out, " 1 \"\" \"flowpair %s\" \"flowpair\"\n", FLOWPAIR_VERSION);
	fputs(".nh\n.ad l\n.SH NAME\n", out);
	print_text(p->name, strlen(p->name), out);
	fputs(" \\- ", out);
	print_line(p->summary, out);
	print_synopsis(p, out);
	fputs(".SH DESCRIPTION\n", out);
	print_paragraphs(manual, heading, out);
	print_options(p, out);
	print_paragraphs(heading, heading + strlen(heading), out);
	if (strstr(heading, "# EXIT STATUS\n") == NULL) {
		print_exit_status(out);
	}
}
