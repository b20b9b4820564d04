/* Metrics in Prometheus' text format (version 0.0.4), for the textfile collector of
 * node_exporter: a file that is there whole or not at all.
 * A program declares what it counts as rows, which its summary is printed from, too.
 * Threads: one at a time. */
#ifndef COMMON_BASE_METRICS_H
#define COMMON_BASE_METRICS_H

#include <stdint.h>
#include <stdio.h>

#include "common/base/err.h"

enum metrics_kind { METRICS_COUNTER, METRICS_GAUGE };

/* One uint64_t of a structure, or an array of them that a label tells apart.  Rows of
 * the same name (or key) that follow each other are one family (or object). */
struct metrics_row {
	const char *key; /* in the JSON object of the summary; NULL: not there */
	const char *name, *help; /* name NULL: no metric; help: a row before has it */
	enum metrics_kind kind;
	size_t offset;
	unsigned count;                      /* of the array; 0: no array */
	const char *label;                   /* of the array: "reason" */
	const char *(*value_of)(unsigned i); /* the label's value; NULL: left out */
};

struct metrics;

/* Begins a file that will take the place of path.  0, or negative with the sentence. */
int metrics_open(const char *path, struct metrics **ret, struct err *e);
void metrics_family(
    struct metrics *m, const char *name, enum metrics_kind kind, const char *help);
/* Of the family begun last; label NULL: it has none.  Any text may be a label's value:
 * it is escaped, and invalid UTF-8 is replaced. */
void metrics_add(
    struct metrics *m, const char *label, const char *value, uint64_t number);
void metrics_add_seconds(struct metrics *m, uint64_t ns);
void metrics_add_rows(struct metrics *m, const struct metrics_row *rows, unsigned n,
    const void *structure);
/* Puts the file in its place.  0, or negative with the sentence; frees m. */
int metrics_close(struct metrics *m, struct err *e);

/* A JSON string.  All but printable ASCII is escaped, so that a strange file name can
 * break neither the JSON nor a terminal. */
void metrics_print_json_text(FILE *out, const char *text);
/* The rows as members of a JSON object: "key": 1, "other": {"reason": 2}. */
void metrics_print_json(
    FILE *out, const struct metrics_row *rows, unsigned n, const void *structure);

#endif
