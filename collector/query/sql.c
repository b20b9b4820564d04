#include "collector/query/sql.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

struct sql {
	FILE *stream;
	char *text;
	size_t length;
	struct sql_value *values;
	unsigned count, capacity;
	bool failed;
};

struct sql *
sql_new(void)
{
	struct sql *s = calloc(1, sizeof *s);

	if (s != NULL) {
		s->stream = open_memstream(&s->text, &s->length);
		if (s->stream == NULL) {
			free(s);
			s = NULL;
		}
	}
	return s;
}

void
sql_free(struct sql *s)
{
	if (s != NULL) {
		fclose(s->stream);
		free(s->text);
		free(s->values);
		free(s);
	}
}

void
sql_add(struct sql *s, const char *fmt, ...)
{
	va_list args;

	if (s != NULL) {
		va_start(args, fmt);
		vfprintf(s->stream, fmt, args);
		va_end(args);
	}
}

void
sql_name(struct sql *s, const char *name)
{
	sql_part_name(s, name, "");
}

void
sql_part_name(struct sql *s, const char *name, const char *suffix)
{
	sql_add(s, "\"");
	for (; *name != '\0'; name++) {
		sql_add(s, "%s%c", *name == '"' ? "\"" : "", *name);
	}
	sql_add(s, "%s\"", suffix);
}

void
sql_bind(struct sql *s, const struct sql_value *v)
{
	if (s == NULL) {
		return;
	}
	if (s->count == s->capacity) {
		unsigned capacity = s->capacity == 0 ? 8 : 2 * s->capacity;
		struct sql_value *more =
		    reallocarray(s->values, capacity, sizeof *more);
		if (more == NULL) {
			s->failed = true;
			return;
		}
		s->values = more;
		s->capacity = capacity;
	}
	s->values[s->count++] = *v;
	fputc('?', s->stream);
}

static int
bind_value(struct statement *t, int i, const struct sql_value *v)
{
	switch (v->type) {
	case DATABASE_INTEGER:
		return statement_bind_i64(t, i, v->integer);
	case DATABASE_REAL:
		return statement_bind_f64(t, i, v->real);
	case DATABASE_TEXT:
		return statement_bind_text(t, i, v->text);
	case DATABASE_NULL:
		break;
	}
	return statement_bind_null(t, i);
}

int
sql_prepare(struct sql *s, struct database *d, struct statement **ret, struct err *e)
{
	struct statement *t = NULL;
	int rc;

	if (s == NULL || fflush(s->stream) != 0 || ferror(s->stream) || s->failed) {
		return err_set(e, -ENOMEM, "no memory to build the query");
	}
	rc = statement_new(d, s->text, &t, e);
	for (unsigned i = 0; rc == 0 && i < s->count; i++) {
		rc = bind_value(t, (int)i + 1, &s->values[i]);
		if (rc < 0) {
			err_set(e, rc, "cannot bind a value of the query");
		}
	}
	if (rc < 0) {
		statement_free(t);
		return rc;
	}
	*ret = t;
	return 0;
}

int
sql_run(struct sql *s, struct database *d, struct err *e)
{
	struct statement *t = NULL;
	int rc = sql_prepare(s, d, &t, e);

	while (rc == 0 && (rc = statement_step(t, e)) > 0) {
	}
	statement_free(t);
	return rc;
}

int
sql_number(struct sql *s, struct database *d, int64_t *ret, struct err *e)
{
	struct statement *t = NULL;
	int rc = sql_prepare(s, d, &t, e);

	rc = rc == 0 ? statement_step(t, e) : rc;
	if (rc > 0) {
		*ret = statement_i64(t, 0);
		rc = 0;
	}
	statement_free(t);
	sql_free(s);
	return rc;
}
