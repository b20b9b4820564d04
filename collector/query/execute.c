#include "collector/query/execute.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector/query/count_less.h"
#include "collector/query/runs.h"
#include "collector/query/selection.h"

#define SCRATCH_PAGES 524288 /* of 4096 bytes: what one question may hold in memory */

struct answer {
	const struct question *question;
	struct output *output;
	uint64_t deadline_ns;
	struct database *scratch; /* parts of the answer, one table `scratch` */
	bool *kept;               /* per column of the table: is in the scratch table */
	struct count_less_list less; /* behind them in the scratch table */
	struct catalog_scan scan;    /* the file at hand */
	struct sql_value *row;
	unsigned parts; /* files that had the table */
	uint64_t left;  /* rows that may still come out */
};

static void
take_row(const struct statement *t, struct sql_value *row, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		row[i].type = statement_type(t, (int)i);
		switch (row[i].type) {
		case DATABASE_INTEGER:
			row[i].integer = statement_i64(t, (int)i);
			break;
		case DATABASE_REAL:
			row[i].real = statement_f64(t, (int)i);
			break;
		case DATABASE_TEXT:
			row[i].text = statement_text(t, (int)i);
			break;
		case DATABASE_NULL:
			break;
		}
	}
}

/* Runs a question whose columns are those to show, and hands its rows out. */
static int
give_rows(struct answer *a, struct sql *s, struct database *d, struct err *e)
{
	unsigned n = a->question->column_count;
	struct statement *t = NULL;
	int rc = sql_prepare(s, d, &t, e);

	while (rc >= 0 && a->left > 0 && (rc = statement_step(t, e)) > 0) {
		take_row(t, a->row, n);
		rc = output_row(a->output, a->row);
		if (rc < 0) {
			err_set(e, rc, "cannot write the rows: %s", strerror(-rc));
		}
		a->left--;
	}
	statement_free(t);
	return rc < 0 ? rc : 0;
}

/* Rows as they are stored, one file after the other. */
static int
give_file(struct answer *a, struct err *e)
{
	const struct question *q = a->question;
	struct sql *s = NULL;
	struct runs runs;
	enum runs_use use;
	bool is_first = true;
	int rc = runs_find(q, &a->scan, false, &use, e);

	rc = rc == 0 ? runs_first(q, &a->scan, &runs, e) : rc;
	if (rc < 0) {
		return rc;
	}
	s = sql_new();
	sql_add(s, "SELECT ");
	for (unsigned i = 0; i < q->column_count; i++) {
		selection_comma(s, &is_first);
		sql_name(s, q->table->columns[q->columns[i]].name);
	}
	sql_add(s, " FROM ");
	if (runs.count > 0) {
		runs_add_first(q, &a->scan, &runs, s);
	} else {
		selection_source(
		    q, a->scan.missing, use == RUNS_NONE ? "" : "_runs", s);
		selection_where(q, a->scan.file, s);
	}
	selection_order(q, use == RUNS_ONE, s);
	selection_limit(a->left, s);
	rc = give_rows(a, s, a->scan.database, e);
	sql_free(s);
	return rc;
}

/* The columns of the scratch table, from a file (is_part) or from the scratch table. */
static void
add_kept(const struct answer *a, bool is_part, struct sql *s)
{
	const struct question *q = a->question;
	bool is_first = true;

	for (unsigned i = 0; i < q->table->count; i++) {
		const struct column *c = &q->table->columns[i];
		if (!a->kept[i]) {
			continue;
		}
		selection_comma(s, &is_first);
		if (q->by_count == 0 || selection_is_by(q, i)) {
			sql_name(s, c->name);
		} else {
			selection_grouped(c, is_part, s);
		}
	}
	for (unsigned i = 0; i < a->less.count; i++) {
		selection_comma(s, &is_first);
		count_less_sum(q->table, &a->less.items[i], is_part, s);
	}
}

/* Which columns have to go through the scratch table: those shown, those that order,
 * and for computed columns of groups all that they may be computed from. */
static void
choose_kept(struct answer *a)
{
	const struct question *q = a->question;
	bool computes = false;

	for (unsigned i = 0; i < q->table->count; i++) {
		a->kept[i] = selection_orders_by(q, i) || q->sort == (int)i;
	}
	for (unsigned i = 0; i < q->column_count; i++) {
		a->kept[q->columns[i]] = true;
	}
	for (unsigned i = 0; q->by_count > 0 && i < q->table->count; i++) {
		if (q->table->columns[i].group == GROUP_COMPUTED && a->kept[i]) {
			a->kept[i] = false;
			computes = true;
			count_less_find(
			    q->table, q->table->columns[i].expression, &a->less);
		}
	}
	for (unsigned i = 0; computes && i < q->table->count; i++) {
		enum column_group g = q->table->columns[i].group;
		a->kept[i] = a->kept[i] || (g != GROUP_NONE && g != GROUP_COMPUTED);
	}
}

static int
make_scratch(struct answer *a, struct err *e)
{
	const struct table *t = a->question->table;
	struct sql *s = sql_new();
	bool is_first = true;
	int rc = database_open("scratch", DATABASE_MEMORY, &a->scratch, e);

	if (rc == 0) {
		database_deadline(a->scratch, a->deadline_ns);
		rc = database_add_functions(a->scratch, e);
	}
	if (rc == 0) {
		rc = database_exec(
		    a->scratch, e, "PRAGMA max_page_count=%d; BEGIN", SCRATCH_PAGES);
	}
	sql_add(s, "CREATE TABLE scratch(");
	for (unsigned i = 0; i < t->count; i++) {
		if (a->kept[i]) {
			selection_comma(s, &is_first);
			sql_name(s, t->columns[i].name);
		}
	}
	for (unsigned i = 0; i < a->less.count; i++) {
		selection_comma(s, &is_first);
		count_less_name(t, &a->less.items[i], s);
	}
	sql_add(s, ")");
	rc = rc == 0 ? sql_run(s, a->scratch, e) : rc;
	sql_free(s);
	return rc;
}

static int
insert_row(struct statement *to, const struct sql_value *row, unsigned n, struct err *e)
{
	int rc = 0;

	statement_reset(to);
	for (unsigned i = 0; rc == 0 && i < n; i++) {
		int k = (int)i + 1;
		switch (row[i].type) {
		case DATABASE_INTEGER:
			rc = statement_bind_i64(to, k, row[i].integer);
			break;
		case DATABASE_REAL:
			rc = statement_bind_f64(to, k, row[i].real);
			break;
		case DATABASE_TEXT:
			rc = statement_bind_text(to, k, row[i].text);
			break;
		case DATABASE_NULL:
			rc = statement_bind_null(to, k);
			break;
		}
	}
	if (rc < 0) {
		return err_set(e, rc, "no memory for the rows of the answer");
	}
	rc = statement_step(to, e);
	if (rc == -ENOSPC) {
		err_set(e, rc,
		    "the answer has too many rows to sort in memory; narrow it with --where, "
		    "--from, --to or fewer fields in --by");
	}
	return rc;
}

/* Copies what `from` gives into the scratch table. */
static int
copy_rows(struct answer *a, struct sql *from, struct err *e)
{
	struct statement *source = NULL, *to = NULL;
	struct sql *s = sql_new();
	unsigned n = 0;
	int rc = sql_prepare(from, a->scan.database, &source, e);

	if (rc == 0) {
		n = (unsigned)statement_columns(source);
		sql_add(s, "INSERT INTO scratch VALUES (?");
		for (unsigned i = 1; i < n; i++) {
			sql_add(s, ", ?");
		}
		sql_add(s, ")");
		rc = sql_prepare(s, a->scratch, &to, e);
	}
	while (rc >= 0 && (rc = statement_step(source, e)) > 0) {
		take_row(source, a->row, n);
		rc = insert_row(to, a->row, n, e);
	}
	statement_free(source);
	statement_free(to);
	sql_free(s);
	return rc;
}

/* What one file has to say, into the scratch table. */
static int
collect_file(struct answer *a, struct err *e)
{
	const struct question *q = a->question;
	enum runs_use use;
	int64_t bound = 0;
	struct sql *s = NULL;
	int rc = runs_find(q, &a->scan, a->less.count > 0, &use, e);

	if (rc == 0 && use == RUNS_NONE) {
		rc = runs_bound(q, &a->scan, &bound, e);
	}
	if (rc < 0) {
		return rc;
	}
	s = sql_new();
	sql_add(s, "SELECT ");
	add_kept(a, true, s);
	sql_add(s, " FROM ");
	if (bound > 0) {
		runs_add_bounded(q, &a->scan, bound, s);
	} else {
		selection_source(
		    q, a->scan.missing, use == RUNS_NONE ? "" : "_runs", s);
		selection_where(q, a->scan.file, s);
	}
	selection_group_by(q, s);
	if (q->by_count == 0 && q->limit != UINT64_MAX) {
		selection_order(q, use == RUNS_ONE, s);
		selection_limit(q->limit, s);
	}
	rc = copy_rows(a, s, e);
	sql_free(s);
	return rc;
}

static void
add_computed(const struct answer *a, const struct column *c, struct sql *s)
{
	sql_add(s, "(");
	count_less_expression(a->question->table, c->expression, &a->less, s);
	sql_add(s, ") AS ");
}

/* The answer out of the scratch table. */
static int
give_scratch(struct answer *a, struct err *e)
{
	const struct question *q = a->question;
	struct sql *s = sql_new();
	bool is_first = true;
	int rc;

	sql_add(s, "SELECT ");
	for (unsigned i = 0; i < q->column_count; i++) {
		const struct column *c = &q->table->columns[q->columns[i]];
		selection_comma(s, &is_first);
		if (q->by_count > 0 && c->group == GROUP_COMPUTED) {
			add_computed(a, c, s);
		}
		sql_name(s, c->name);
	}
	if (q->by_count > 0 && q->sort >= 0 &&
	    q->table->columns[q->sort].group == GROUP_COMPUTED) {
		const struct column *c = &q->table->columns[q->sort];
		sql_add(s, ", ");
		add_computed(a, c, s);
		sql_name(s, c->name);
	}
	if (a->parts > 1) {
		sql_add(s, " FROM (SELECT ");
		add_kept(a, false, s);
		sql_add(s, " FROM scratch");
		selection_group_by(q, s);
		sql_add(s, ")");
	} else { /* one file's groups are whole already */
		sql_add(s, " FROM scratch");
	}
	selection_order(q, false, s);
	selection_limit(q->limit, s);
	rc = give_rows(a, s, a->scratch, e);
	sql_free(s);
	return rc;
}

static int
ask_files(struct answer *a, const struct catalog_files *files, struct err *e)
{
	const struct question *q = a->question;
	bool has_scratch = q->by_count > 0 || q->sort >= 0;
	int rc = 0;

	if (has_scratch) {
		choose_kept(a);
		rc = make_scratch(a, e);
	}
	for (unsigned i = 0; rc == 0 && i < files->count && a->left > 0; i++) {
		rc = catalog_file_open(
		    &files->items[i], q->table, a->deadline_ns, &a->scan, e);
		if (rc > 0) {
			rc = has_scratch ? collect_file(a, e) : give_file(a, e);
			a->parts++;
			catalog_file_close(&a->scan);
		}
	}
	return rc == 0 && has_scratch ? give_scratch(a, e) : rc;
}

int
execute_question(const struct catalog *c, const struct question *q,
    uint64_t deadline_ns, struct output *out, struct err *e)
{
	struct answer a = {
	    .question = q, .output = out, .deadline_ns = deadline_ns, .left = q->limit};
	struct catalog_files files = {0};
	int rc = -ENOMEM;

	a.kept = calloc(q->table->count + 1, sizeof *a.kept);
	a.row = calloc(q->table->count + LESS_MAX, sizeof *a.row);
	if (a.kept == NULL || a.row == NULL) {
		err_set(e, rc, "no memory to build the query");
		goto out;
	}
	rc =
	    catalog_files(catalog_directory(c), q->table, selection_days(q), &files, e);
	if (rc == 0) {
		rc = ask_files(&a, &files, e);
	}
out:
	catalog_files_free(&files);
	database_close(a.scratch);
	free(a.kept);
	free(a.row);
	return rc;
}
