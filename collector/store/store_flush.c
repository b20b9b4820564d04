#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/store/store_private.h"
#include "collector/store/store_query.h"
#include "collector/store/store_rows.h"
#include "collector/store/store_waiting.h"

/* The rowids of the run that was just appended. */
static int
write_extent(const struct table *t, struct database *d, struct err *e)
{
	const char *name = t->schema->name;

	return database_exec(d, e,
	    "INSERT INTO \"%s_extent\" SELECT coalesce((SELECT max(last) FROM "
	    "\"%s_extent\"), 0) + 1, max(rowid) FROM \"%s_runs\"",
	    name, name, name);
}

/* One flush: what is being written and where to. */
struct flush {
	struct tables *tables;
	struct store *store;
	const struct source_id *source;
	uint64_t position;
	uint64_t rows;
	/* Day files that have the position now: for the catalog. */
	char (*files)[128];
	size_t file_count, file_capacity;
};

static int
write_day(const struct flush *f, const struct store_rows *rows, struct database *d,
    struct err *e)
{
	int rc = database_exec_text(d, "BEGIN IMMEDIATE", e);

	if (rc < 0) {
		return rc;
	}
	rc = store_rows_write(rows, d, e);
	if (rc == 0 && rows->table->schema->storage == STORAGE_RUNS) {
		rc = write_extent(rows->table, d, e);
	}
	if (rc == 0) {
		rc = store_set_position(d, f->source, f->position, e);
	}
	return store_commit(d, rc, e);
}

static int
note_file(struct flush *f, const char *file, struct err *e)
{
	if (f->file_count == f->file_capacity) {
		size_t n = f->file_capacity * 2 + 16;
		void *p = reallocarray(f->files, n, sizeof *f->files);
		if (p == NULL) {
			return err_set(e, -ENOMEM, "not enough memory");
		}
		f->files = p;
		f->file_capacity = n;
	}
	snprintf(f->files[f->file_count++], sizeof *f->files, "%s", file);
	return 0;
}

/* How much of the source a file has: no more than is to be written. */
static int
find_stored(const struct flush *f, struct database *d, const char *file,
    uint64_t *ret_stored, struct err *e)
{
	int rc = store_position(d, f->source, ret_stored, e);

	if (rc == 0 && *ret_stored > f->position) {
		rc = err_set(e, -ESTALE,
		    "%s/%s: ends at position %llu, beyond position %llu that is about to "
		    "be written",
		    f->store->directory, file, (unsigned long long)*ret_stored,
		    (unsigned long long)f->position);
	}
	return rc;
}

/* Writes one day's rows of a table, unless an earlier try already has. */
static int
flush_day(struct flush *f, const struct store_rows *rows, int64_t day, struct err *e)
{
	struct database *d = NULL;
	uint64_t stored = 0;
	char file[128];
	int rc;

	store_partition_file(rows->table, day, file);
	rc = store_partition(f->store, rows->table, file, &d, e);
	if (rc == 0) {
		rc = find_stored(f, d, file, &stored, e);
	}
	if (rc == 0 && stored < f->position) {
		rc = write_day(f, rows, d, e);
		if (rc == 0) {
			f->rows += rows->count;
			database_checkpoint(d);
		}
	}
	return rc < 0 ? rc : note_file(f, file, e);
}

/* Where the stretch of the day that begins at `begin` ends: sorted entries begin with
 * their day. */
static uint64_t
end_of_day(const struct table *t, const uint32_t *order, uint64_t begin, uint64_t count)
{
	int64_t day = table_day(t, reduce_entry(t->reduce, order[begin]));
	uint64_t low = begin + 1, high = count;

	if (table_day(t, reduce_entry(t->reduce, order[count - 1])) == day) {
		return count;
	}
	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		if (table_day(t, reduce_entry(t->reduce, order[middle])) == day) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return low;
}

/* All rows of a table, sorted. */
static int
sort_rows(struct flush *f, const struct table *t, struct store_rows *ret, struct err *e)
{
	int rc;

	*ret = (struct store_rows){
	    .table = t, .intern = f->tables->intern, .count = reduce_count(t->reduce)};
	rc = reduce_sort(t->reduce, ret->intern, &f->tables->scratch, &ret->order);
	return rc < 0 ? err_set(e, rc, "not enough memory to sort %zu rows", ret->count)
		      : 0;
}

static int
flush_days(struct flush *f, const struct table *t, struct err *e)
{
	struct store_rows rows, part;
	uint64_t begin = 0;
	int rc = sort_rows(f, t, &rows, e);

	while (rc == 0 && begin < rows.count) {
		int64_t day = table_day(t, reduce_entry(t->reduce, rows.order[begin]));
		part = rows;
		part.order += begin;
		part.count = end_of_day(t, rows.order, begin, rows.count) - begin;
		rc = flush_day(f, &part, day, e);
		begin += part.count;
	}
	return rc;
}

static int
flush_upsert(struct flush *f, const struct table *t, struct err *e)
{
	struct store_rows rows;
	int rc = sort_rows(f, t, &rows, e);

	if (rc == 0 && rows.count > 0) {
		rc = store_rows_write(&rows, f->store->main, e);
		f->rows += rc == 0 ? rows.count : 0;
	}
	return rc;
}

static int
write_catalog(struct flush *f, bool finished, struct err *e)
{
	const struct store_query source = {
	    .sql = "INSERT INTO flowpair_sources(source, position, finished) VALUES "
		   "(?, ?, ?) ON CONFLICT(source) DO UPDATE SET position = "
		   "excluded.position, finished = max(finished, excluded.finished)",
	    .texts = {f->source->text},
	    .numbers = {(int64_t)f->position, finished}};
	struct database *d = f->store->main;
	int rc = store_query(d, &source, NULL, e);

	if (rc == 0) {
		rc = store_set_position(d, f->source, f->position, e);
	}
	for (size_t i = 0; rc == 0 && i < f->file_count; i++) {
		const struct store_query file = {
		    .sql = "INSERT OR REPLACE INTO flowpair_partitions VALUES (?, ?, "
			   "?)",
		    .texts = {f->files[i], f->source->text},
		    .numbers = {(int64_t)f->position}};
		rc = store_query(d, &file, NULL, e);
	}
	return rc;
}

/* The main file comes last, in one transaction with the catalog: what it says is done
 * has been done everywhere. */
static int
flush_main(struct flush *f, bool finished, struct err *e)
{
	struct tables *t = f->tables;
	struct database *d = f->store->main;
	uint64_t stored = 0;
	int rc = database_exec_text(d, "BEGIN IMMEDIATE", e);

	if (rc < 0) {
		return rc;
	}
	rc = find_stored(f, d, STORE_MAIN_FILE, &stored, e);
	for (unsigned i = 0; rc == 0 && i < t->table_count; i++) {
		if (t->tables[i]->schema->partition == PARTITION_NONE) {
			rc = flush_upsert(f, t->tables[i], e);
		}
	}
	if (rc == 0 && tables_stitches(t)) {
		rc = finished ? store_waiting_forget(f->store, f->source, e)
			      : store_waiting_write(f->store, f->source, e);
	}
	if (rc == 0) {
		rc = write_catalog(f, finished, e);
	}
	rc = store_commit(d, rc, e);
	if (rc == 0) {
		database_checkpoint(d);
	}
	return rc;
}

/* Every row is in its entry. */
static void
finish_tables(struct tables *t)
{
	for (unsigned i = 0; i < t->table_count; i++) {
		reduce_settle(t->tables[i]->reduce);
	}
	for (unsigned i = 0; i < t->table_count; i++) {
		for (unsigned k = 0; t->derives[i] != NULL && k < t->source_count;
		     k++) {
			if (t->sources[k].layout == t->tables[i]->layout) {
				derive_run(t->tables[i], t->derives[i],
				    &t->sources[k].derived);
			}
		}
	}
}

/* marks: as many as there are texts; NULL where nothing waits. */
static void
clear_tables(struct tables *t, uint32_t *marks)
{
	for (unsigned i = 0; i < t->table_count; i++) {
		reduce_clear(t->tables[i]->reduce);
		if (t->derives[i] != NULL) {
			derive_written(t->tables[i], t->derives[i]);
		}
	}
	if (marks != NULL) {
		tables_stitch_keep_texts(t, marks);
	} else {
		intern_clear(t->intern);
	}
}

int
store_flush(struct store *s, const struct source_id *source, uint64_t position,
    bool finished, struct err *e)
{
	struct tables *t = s->tables;
	struct flush f = {
	    .tables = t, .store = s, .source = source, .position = position};
	uint32_t *marks = NULL;
	int rc = 0;

	/* Nothing may fail once all is written. */
	if (tables_stitch_waiting(t) > 0) {
		marks = calloc(intern_count(t->intern), sizeof *marks);
		if (marks == NULL) {
			return err_set(e, -ENOMEM, "not enough memory");
		}
	}
	finish_tables(t);
	for (unsigned i = 0; rc == 0 && i < t->table_count; i++) {
		if (t->tables[i]->schema->partition == PARTITION_DAY) {
			rc = flush_days(&f, t->tables[i], e);
		}
	}
	if (rc == 0) {
		rc = flush_main(&f, finished, e);
	}
	free(f.files);
	if (rc == 0) {
		clear_tables(t, marks);
		t->counts.flushes++;
		t->counts.rows_written += f.rows;
	}
	free(marks);
	return rc;
}
