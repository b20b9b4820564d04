#include "common/base/metrics.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/utf8.h"

struct metrics {
	FILE *file;
	char name[128]; /* of the family */
	char path[PATH_MAX], temporary[PATH_MAX];
};

int
metrics_open(const char *path, struct metrics **ret, struct err *e)
{
	struct metrics *m = calloc(1, sizeof *m);
	int rc;

	if (m == NULL) {
		return err_set(e, -ENOMEM, "no memory for the metrics");
	}
	if (snprintf(m->path, sizeof m->path, "%s", path) >= (int)sizeof m->path ||
	    snprintf(m->temporary, sizeof m->temporary, "%s.new", path) >=
		(int)sizeof m->temporary) {
		free(m);
		return err_set(e, -ENAMETOOLONG, "the metrics' file name is too long");
	}
	m->file = fopen(m->temporary, "we");
	if (m->file == NULL) {
		rc = -errno;
		err_set(e, rc, "cannot write the metrics to %s: %s", m->temporary,
		    strerror(-rc));
		free(m);
		return rc;
	}
	*ret = m;
	return 0;
}

void
metrics_family(
    struct metrics *m, const char *name, enum metrics_kind kind, const char *help)
{
	snprintf(m->name, sizeof m->name, "%s", name);
	fprintf(m->file, "# HELP %s ", name);
	for (; *help != '\0'; help++) {
		if (*help == '\\' || *help == '\n') {
			fputs(*help == '\\' ? "\\\\" : "\\n", m->file);
		} else {
			putc(*help, m->file);
		}
	}
	fprintf(m->file, "\n# TYPE %s %s\n", name,
	    kind == METRICS_COUNTER ? "counter" : "gauge");
}

static void
write_value(FILE *out, const char *value)
{
	const unsigned char *at = (const unsigned char *)value;

	while (*at != '\0') {
		size_t n = utf8_length(at, UTF8_MAX);
		if (*at == '\\' || *at == '"') {
			fprintf(out, "\\%c", *at);
		} else if (*at == '\n') {
			fputs("\\n", out);
		} else if (n == 0) {
			fputs("\xef\xbf\xbd", out); /* U+FFFD */
		} else {
			fwrite(at, 1, n, out);
		}
		at += n == 0 ? 1 : n;
	}
}

void
metrics_add(struct metrics *m, const char *label, const char *value, uint64_t number)
{
	fputs(m->name, m->file);
	if (label != NULL) {
		fprintf(m->file, "{%s=\"", label);
		write_value(m->file, value);
		fputs("\"}", m->file);
	}
	fprintf(m->file, " %" PRIu64 "\n", number);
}

void
metrics_add_seconds(struct metrics *m, uint64_t ns)
{
	fprintf(m->file, "%s %" PRIu64 ".%09" PRIu64 "\n", m->name,
	    (uint64_t)(ns / NS_PER_SECOND), (uint64_t)(ns % NS_PER_SECOND));
}

static uint64_t
number_at(const void *structure, const struct metrics_row *row, unsigned i)
{
	uint64_t n;

	memcpy(&n, (const char *)structure + row->offset + i * sizeof n, sizeof n);
	return n;
}

void
metrics_add_rows(struct metrics *m, const struct metrics_row *rows, unsigned n,
    const void *structure)
{
	for (const struct metrics_row *row = rows; row < rows + n; row++) {
		if (row->name == NULL) {
			continue;
		}
		if (row->help != NULL) {
			metrics_family(m, row->name, row->kind, row->help);
		}
		if (row->count == 0) {
			metrics_add(m, NULL, NULL, number_at(structure, row, 0));
		}
		for (unsigned i = 0; i < row->count; i++) {
			const char *value = row->value_of(i);
			if (value != NULL) {
				metrics_add(
				    m, row->label, value, number_at(structure, row, i));
			}
		}
	}
}

int
metrics_close(struct metrics *m, struct err *e)
{
	int rc = ferror(m->file) ? -EIO : 0;

	if (fclose(m->file) != 0 && rc == 0) {
		rc = -errno;
	}
	if (rc == 0 && rename(m->temporary, m->path) < 0) {
		rc = -errno;
	}
	if (rc < 0) {
		(void)unlink(m->temporary);
		err_set(e, rc, "cannot write the metrics to %.400s: %s", m->path,
		    strerror(-rc));
	}
	free(m);
	return rc;
}

static void
print_array(FILE *out, const struct metrics_row *row, const void *structure,
    const char **separator)
{
	for (unsigned i = 0; i < row->count; i++) {
		const char *value = row->value_of(i);
		if (value != NULL) {
			fprintf(out, "%s\"%s\": %" PRIu64, *separator, value,
			    number_at(structure, row, i));
			*separator = ", ";
		}
	}
}

void
metrics_print_json(
    FILE *out, const struct metrics_row *rows, unsigned n, const void *structure)
{
	const char *inside = "", *between = "", *object = NULL;

	for (unsigned i = 0; i < n; i++) {
		const struct metrics_row *row = &rows[i];
		if (row->key == NULL) {
			continue;
		}
		if (object != NULL && strcmp(row->key, object) != 0) {
			putc('}', out);
			object = NULL;
		}
		if (object == NULL) {
			fprintf(out, "%s\"%s\": ", between, row->key);
			between = ", ";
		}
		if (row->count == 0) {
			fprintf(out, "%" PRIu64, number_at(structure, row, 0));
			continue;
		}
		if (object == NULL) {
			putc('{', out);
			object = row->key;
			inside = "";
		}
		print_array(out, row, structure, &inside);
	}
	if (object != NULL) {
		putc('}', out);
	}
}

void
metrics_print_json_text(FILE *out, const char *text)
{
	putc('"', out);
	for (; *text != '\0'; text++) {
		unsigned char b = (unsigned char)*text;
		if (b == '"' || b == '\\') {
			fprintf(out, "\\%c", b);
		} else if (b < 0x20 || b >= 0x7f) {
			fprintf(out, "\\u%04x", b);
		} else {
			putc(b, out);
		}
	}
	putc('"', out);
}
