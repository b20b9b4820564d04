#include "common/sqlite/database_load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/sqlite/database_image.h"

struct database_load {
	struct database *database;
	char *sql; /* what takes the image's rows */
	unsigned columns;
	int order[RECORD_COLUMNS];
	struct database_image *image;
	struct database_record record;
};

static int
no_memory(struct err *e)
{
	return err_set(e, -ENOMEM, "out of memory");
}

/* Fills order; the image's columns are of the same kinds, in the same order: only then
 * records are copied as they are. */
static int
plan_append(struct database_load *l, const struct database_columns *c, FILE *create,
    struct err *e)
{
	struct statement *s = NULL;
	unsigned found = 0;
	int rc = statement_new(
	    l->database, "SELECT name, type FROM pragma_table_info(?)", &s, e);

	if (rc < 0) {
		return rc;
	}
	statement_bind_text(s, 1, c->table);
	while ((rc = statement_step(s, e)) > 0 && l->columns < RECORD_COLUMNS) {
		unsigned i = 0;
		while (i < c->count && strcmp(c->names[i], statement_text(s, 0)) != 0) {
			i++;
		}
		l->order[l->columns] = i < c->count ? (int)i : -1;
		found += i < c->count;
		fprintf(create, "%sc%u %s", l->columns > 0 ? ", " : "", l->columns,
		    statement_text(s, 1));
		l->columns++;
	}
	statement_free(s);
	if (rc == 0 && found != c->count) {
		rc = err_set(
		    e, -EINVAL, "table %s lacks a column of the rows", c->table);
	}
	return rc;
}

/* Takes sql.  Without a table only the columns are counted. */
static int
load_new(struct database *d, char *sql, const struct database_columns *c,
    struct database_load **ret, struct err *e)
{
	struct database_load *l = calloc(1, sizeof *l);
	char *create = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&create, &length);
	int rc = 0;

	if (l == NULL || out == NULL || sql == NULL) {
		free(sql);
		rc = no_memory(e);
		goto out;
	}
	l->database = d;
	l->sql = sql;
	fputs("CREATE TABLE t(", out);
	if (c->table != NULL) {
		rc = plan_append(l, c, out, e);
	}
	for (; c->table == NULL && l->columns < c->count; l->columns++) {
		l->order[l->columns] = (int)l->columns;
		fprintf(out, "%sc%u", l->columns > 0 ? ", " : "", l->columns);
	}
	fputc(')', out);
	if (rc == 0 && fflush(out) == 0) {
		l->image = database_image_new(create);
	}
	if (rc == 0 && l->image == NULL) {
		rc = no_memory(e);
	}
	if (rc == 0) {
		*ret = l;
		l = NULL;
	}
out:
	if (out != NULL) {
		fclose(out);
	}
	free(create);
	database_load_free(l);
	return rc;
}

int
database_load_append(struct database *d, const struct database_columns *c,
    struct database_load **ret, struct err *e)
{
	char *sql = NULL;

	if (asprintf(&sql, "INSERT INTO main.\"%s\" SELECT * FROM " LOAD_ROWS,
		c->table) < 0) {
		sql = NULL;
	}
	return load_new(d, sql, c, ret, e);
}

int
database_load_sql(struct database *d, const char *sql, unsigned columns,
    struct database_load **ret, struct err *e)
{
	const struct database_columns c = {.count = columns};

	return load_new(d, strdup(sql), &c, ret, e);
}

void
database_load_free(struct database_load *l)
{
	if (l == NULL) {
		return;
	}
	if (l->image != NULL) {
		/* SQLite must not keep a look at memory that goes away. */
		database_show_image(l->database, NULL, 0, NULL);
	}
	database_image_free(l->image);
	free(l->sql);
	free(l);
}

unsigned
database_load_columns(const struct database_load *l)
{
	return l->columns;
}

int
database_load_order(const struct database_load *l, unsigned i)
{
	return l->order[i];
}

struct database_record *
database_load_record(struct database_load *l)
{
	record_clear(&l->record);
	return &l->record;
}

int
database_load_finish(struct database_load *l, struct err *e)
{
	size_t length = 0;
	const uint8_t *bytes;
	int rc;

	if (database_image_rows(l->image) == 0) {
		return 0;
	}
	bytes = database_image_finish(l->image, &length);
	rc = database_show_image(l->database, bytes, length, e);
	if (rc == 0) {
		rc = database_exec_text(l->database, l->sql, e);
	}
	database_image_clear(l->image);
	return rc;
}

int
database_load_row(struct database_load *l, struct err *e)
{
	int rc = database_image_add(l->image, &l->record);

	if (rc == -ENOSPC) {
		rc = database_load_finish(l, e);
		if (rc < 0) {
			return rc;
		}
		rc = database_image_add(l->image, &l->record);
	}
	return rc < 0 ? err_set(e, rc, "a row is too long to store") : 0;
}
