/* Rows for people and programs: an aligned table, CSV (RFC 4180) or a JSON array with
 * one object per line.  Rows are collected in memory up to a bound, so that a slow
 * reader (a pager) does not keep a database open; beyond it writing begins.
 * Threads: one. */
#ifndef COLLECTOR_QUERY_OUTPUT_H
#define COLLECTOR_QUERY_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "collector/query/catalog.h"
#include "collector/query/sql.h"
#include "common/base/err.h"

enum output_format { OUTPUT_TABLE, OUTPUT_CSV, OUTPUT_JSON };

struct output_column {
	const char *name, *shown;
	enum column_kind kind;
};

struct output_settings {
	enum output_format format;
	bool is_iso; /* CSV and JSON: times as ISO 8601 text, as tables have them */
	bool is_terminal; /* control characters are shown escaped in CSV too */
	unsigned
	    width; /* of the terminal; leaves out columns that do not fit; 0: any */
	int keep;  /* a column that is never left out; -1: none */
};

struct output;

/* columns stay the caller's and must outlive the output. */
struct output *output_new(const struct output_settings *s,
    const struct output_column *columns, unsigned count, FILE *to);
void output_free(struct output *o);
/* One value per column; text is copied where it must be.  0 or a negative errno. */
int output_row(struct output *o, const struct sql_value *values);
/* Writes what is left, and closes a JSON array. */
int output_end(struct output *o);
uint64_t output_rows(const struct output *o);
/* Columns that the terminal had no room for; known after output_end(). */
unsigned output_left_out(const struct output *o);

#endif
