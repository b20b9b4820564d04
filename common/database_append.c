#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/database.h"
#include "common/database_image.h"

#define APPEND_COLUMNS 256u

/* Where each column of a table finds its values among the rows' columns. */
struct append {
	unsigned columns;
	int from[APPEND_COLUMNS]; /* -1: NULL */
	char *sql; /* CREATE TABLE of the image: same kinds, same order */
};

static int
no_memory(struct err *e)
{
	return err_set(e, -ENOMEM, "no memory");
}

static int
plan_append(struct database *d, const char *table, const char *const *names,
    unsigned name_count, struct append *ret, struct err *e)
{
	struct statement *s = NULL;
	size_t length = 0;
	unsigned found = 0;
	FILE *out;
	int rc = statement_new(d, "SELECT name, type FROM pragma_table_info(?)", &s, e);

	if (rc < 0) {
		return rc;
	}
	out = open_memstream(&ret->sql, &length);
	if (out == NULL) {
		statement_free(s);
		return no_memory(e);
	}
	statement_bind_text(s, 1, table);
	while ((rc = statement_step(s, e)) > 0 && ret->columns < APPEND_COLUMNS) {
		unsigned i = 0;
		while (i < name_count && strcmp(names[i], statement_text(s, 0)) != 0) {
			i++;
		}
		ret->from[ret->columns] = i < name_count ? (int)i : -1;
		found += i < name_count;
		fprintf(out, "%sc%u %s", ret->columns == 0 ? "CREATE TABLE t(" : ", ",
		    ret->columns, statement_text(s, 1));
		ret->columns++;
	}
	fputc(')', out);
	statement_free(s);
	if (fclose(out) != 0) {
		return no_memory(e);
	}
	if (rc == 0 && found != name_count) {
		rc = err_set(e, -EINVAL, "table %s lacks a column of the rows", table);
	}
	return rc;
}

/* Lets SQLite copy the image's records behind the table's own. */
static int
append_image(
    struct database *d, const char *table, struct database_image *image, struct err *e)
{
	size_t length = 0;
	const uint8_t *bytes;
	int rc;

	if (database_image_rows(image) == 0) {
		return 0;
	}
	bytes = database_image_finish(image, &length);
	rc = database_show_image(d, bytes, length, e);
	if (rc < 0) {
		return rc;
	}
	return database_exec(
	    d, e, "INSERT INTO main.\"%s\" SELECT * FROM " DATABASE_IMAGE ".t", table);
}

static int
append_all(struct database *d, const char *table, const struct append *a,
    struct database_image *image, const struct database_rows *rows, struct err *e)
{
	struct database_value values[APPEND_COLUMNS];
	int rc = 0;

	for (size_t row = 0; row < rows->count; row++) {
		for (unsigned i = 0; i < a->columns; i++) {
			values[i].type = DATABASE_NULL;
			if (a->from[i] >= 0) {
				rows->column(
				    rows, row, (unsigned)a->from[i], &values[i]);
			}
		}
		rc = database_image_add(image, values, a->columns);
		if (rc == -ENOSPC) {
			rc = append_image(d, table, image, e);
			if (rc < 0) {
				return rc;
			}
			database_image_clear(image);
			rc = database_image_add(image, values, a->columns);
		}
		if (rc < 0) {
			return err_set(e, rc, "a row of table %s is too long", table);
		}
	}
	return append_image(d, table, image, e);
}

int
database_append_rows(struct database *d, const char *table, const char *const *names,
    const struct database_rows *rows, struct err *e)
{
	struct append a = {0};
	struct database_image *image = NULL;
	int rc = plan_append(d, table, names, rows->columns, &a, e);

	if (rc == 0) {
		image = database_image_new(a.sql);
		rc = image == NULL ? no_memory(e)
				   : append_all(d, table, &a, image, rows, e);
	}
	/* SQLite must not keep a look at memory that goes away. */
	database_show_image(d, NULL, 0, NULL);
	database_image_free(image);
	free(a.sql);
	return rc;
}
