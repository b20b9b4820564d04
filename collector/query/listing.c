#include "collector/query/listing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/query/catalog_file.h"
#include "common/base/clock.h"

const struct output_column listing_columns[LISTING_COLUMNS] = {
    {"table", "table", COLUMN_TEXT},
    {"kind", "kind", COLUMN_TEXT},
    {"days", "days", COLUMN_INTEGER},
    {"first_day", "first_day", COLUMN_DATE},
    {"last_day", "last_day", COLUMN_DATE},
    {"rows", "rows", COLUMN_INTEGER},
};

/* How many rows a file stores, without reading them where a row number tells. */
static int
count_rows(struct database *d, const struct table *t, int64_t *ret_rows, struct err *e)
{
	static const char *const sums[] = {
	    [TABLE_UPSERT] = "count(*) FROM ",
	    [TABLE_RUNS] = "coalesce(sum(last - first + 1), 0) FROM ",
	    [TABLE_APPEND] = "coalesce(max(rowid), 0) FROM ",
	};
	static const char *const suffixes[] = {
	    [TABLE_UPSERT] = "", [TABLE_RUNS] = "_extent", [TABLE_APPEND] = "_rows"};
	struct sql *s = sql_new();
	int64_t rows = 0;
	int rc;

	sql_add(s, "SELECT %s", sums[t->storage]);
	sql_part_name(s, t->name, suffixes[t->storage]);
	rc = sql_number(s, d, &rows, e);
	*ret_rows += rows;
	return rc;
}

static void
set_day(struct sql_value *v, char text[static 11], int64_t day)
{
	clock_format_day(day, text);
	*v = (struct sql_value){.type = DATABASE_TEXT, .text = text};
}

static int
write_table(const struct catalog *c, const struct table *t, uint64_t deadline_ns,
    struct output *out, struct err *e)
{
	struct sql_value row[LISTING_COLUMNS] = {{.type = DATABASE_NULL}};
	struct catalog_files files = {0};
	struct catalog_scan scan;
	char first[11], last[11];
	int64_t rows = 0, days = 0;
	int rc = catalog_files(catalog_directory(c), t, CATALOG_EVERY_DAY, &files, e);

	for (unsigned i = 0; rc == 0 && i < files.count; i++) {
		rc = catalog_file_open(&files.items[i], t, deadline_ns, &scan, e);
		if (rc > 0) {
			if (t->by_day) {
				set_day(&row[4], last, files.items[i].day);
			}
			if (t->by_day && days++ == 0) {
				set_day(&row[3], first, files.items[i].day);
			}
			rc = t->is_view ? 0 : count_rows(scan.database, t, &rows, e);
			catalog_file_close(&scan);
		}
	}
	row[0] = (struct sql_value){.type = DATABASE_TEXT, .text = t->name};
	row[1] = (struct sql_value){
	    .type = DATABASE_TEXT, .text = t->is_view ? "view" : "table"};
	if (t->by_day) {
		row[2] = (struct sql_value){.type = DATABASE_INTEGER, .integer = days};
	}
	if (!t->is_view) {
		row[5] = (struct sql_value){.type = DATABASE_INTEGER, .integer = rows};
	}
	if (rc == 0) {
		rc = output_row(out, row);
		if (rc < 0) {
			err_set(e, rc, "cannot write the rows: %s", strerror(-rc));
		}
	}
	catalog_files_free(&files);
	return rc;
}

int
listing_write(
    const struct catalog *c, uint64_t deadline_ns, struct output *out, struct err *e)
{
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < catalog_count(c); i++) {
		rc = write_table(c, catalog_at(c, i), deadline_ns, out, e);
	}
	return rc;
}
