#include "collector/store/store_waiting.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/store/store_query.h"
#include "common/base/clock.h"

int
store_waiting_prepare(struct database *d, struct err *e)
{
	return database_exec_text(d,
	    "CREATE TABLE IF NOT EXISTS flowpair_waiting(source TEXT NOT NULL, tables "
	    "TEXT NOT NULL, window_ns INTEGER NOT NULL, max_waiting INTEGER NOT NULL, "
	    "waiting INTEGER NOT NULL, rows BLOB NOT NULL);"
	    "CREATE INDEX IF NOT EXISTS flowpair_waiting_by_source ON "
	    "flowpair_waiting(source)",
	    e);
}

static int
forget(struct database *d, const struct source_id *source, const char *condition,
    struct err *e)
{
	char sql[96];
	const struct store_query q = {.sql = sql, .texts = {source->text}};

	snprintf(sql, sizeof sql, "DELETE FROM flowpair_waiting WHERE source = ?%s",
	    condition);
	return store_query(d, &q, NULL, e);
}

int
store_waiting_forget(struct store *s, const struct source_id *source, struct err *e)
{
	return forget(s->main, source, "", e);
}

/* A pool in which nothing waits has a row all the same: it says how tables stitch. */
static int
write_pool(struct statement *s, const struct tables *t, const struct tables_stitch *x,
    const struct source_id *source, struct err *e)
{
	size_t room = stitch_rows_room(x->stitch);
	uint8_t *bytes = malloc(room);
	uint64_t next = 0;
	bool is_first = true;
	int rc = bytes == NULL ? err_set(e, -ENOMEM, "not enough memory") : 0;

	while (rc == 0) {
		struct write_cursor out = write_cursor_of(bytes, room);
		unsigned rows = stitch_write_rows(x->stitch, t->intern, &next, &out);
		if (rows == 0 && !is_first) {
			break;
		}
		is_first = false;
		statement_reset(s);
		statement_bind_text(s, 1, source->text);
		statement_bind_text(s, 2, x->words);
		statement_bind_i64(s, 3, (int64_t)x->window_ns);
		statement_bind_i64(s, 4, (int64_t)x->max_waiting);
		statement_bind_i64(s, 5, rows);
		statement_bind_blob(s, 6, bytes, rows == 0 ? 0 : cursor_written(&out));
		rc = statement_step(s, e);
	}
	statement_reset(s); /* it borrows them */
	free(bytes);
	return rc;
}

int
store_waiting_write(struct store *store, const struct source_id *source, struct err *e)
{
	const struct tables *t = store->tables;
	struct database *d = store->main;
	struct statement *s = NULL;
	int rc = forget(d, source, "", e);

	if (rc == 0) {
		rc = statement_new(
		    d, "INSERT INTO flowpair_waiting VALUES (?, ?, ?, ?, ?, ?)", &s, e);
	}
	for (unsigned i = 0; i < t->source_count; i++) {
		for (unsigned k = 0; rc == 0 && k < t->sources[i].stitch_count; k++) {
			rc = write_pool(s, t, &t->sources[i].stitches[k], source, e);
		}
	}
	statement_free(s);
	return rc;
}

static struct tables_stitch *
find_pool(struct tables *t, const char *words)
{
	for (unsigned i = 0; i < t->source_count; i++) {
		struct tables_source *s = &t->sources[i];
		for (unsigned k = 0; k < s->stitch_count; k++) {
			if (strcmp(s->stitches[k].words, words) == 0) {
				return &s->stitches[k];
			}
		}
	}
	return NULL;
}

static unsigned
count_pools(const struct tables *t)
{
	unsigned n = 0;

	for (unsigned i = 0; i < t->source_count; i++) {
		n += t->sources[i].stitch_count;
	}
	return n;
}

static int
refuse_waiting(
    const struct store *s, const char *words, long long waiting, struct err *e)
{
	return err_set(e, -EINVAL,
	    "%s/%s: %lld one-way flows of an interrupted run still wait to be "
	    "stitched, but 'stitch' of their tables (%s) has changed: put 'stitch' "
	    "back, start and stop the collector once, then change it",
	    s->directory, STORE_MAIN_FILE, waiting, words);
}

static int
refuse_pending(const struct store *s, struct err *e)
{
	return err_set(e, -EINVAL,
	    "%s: the collector was killed while it stored stitched flows, and "
	    "'stitch' has changed since: put it back, start and stop the collector "
	    "once, then change it",
	    s->directory);
}

static bool
has_settings(const struct tables_stitch *x, const struct statement *q)
{
	return x != NULL && (int64_t)x->window_ns == statement_i64(q, 1) &&
	       (int64_t)x->max_waiting == statement_i64(q, 2);
}

/* One chunk. */
static int
take_chunk(const struct store *s, const struct statement *q, struct err *e)
{
	struct tables *t = s->tables;
	const char *words = statement_text(q, 0);
	const struct tables_stitch *x = find_pool(t, words);
	int64_t waiting = statement_i64(q, 3);
	int rc;

	if (waiting == 0) {
		return 0;
	}
	if (x == NULL) {
		return refuse_waiting(s, words, (long long)waiting, e);
	}
	rc = stitch_read_rows(
	    x->stitch, t->intern, statement_blob(q, 4), statement_length(q, 4));
	if (rc == -EBADMSG) {
		return err_set(e, rc,
		    "%s/%s: table flowpair_waiting is damaged: restore the directory "
		    "from a backup",
		    s->directory, STORE_MAIN_FILE);
	}
	return rc < 0
		   ? err_set(e, rc, "not enough memory for the waiting one-way flows")
		   : 0;
}

/* Pools of tables whose settings are stored; *ret_same: they are those of now. */
static int
compare_settings(
    struct store *s, const struct source_id *source, bool *ret_same, struct err *e)
{
	struct tables *t = s->tables;
	struct statement *q = NULL;
	unsigned same = 0, other = 0;
	int rc = statement_new(s->main,
	    "SELECT DISTINCT tables, window_ns, max_waiting FROM flowpair_waiting "
	    "WHERE source = ?",
	    &q, e);

	if (rc == 0) {
		statement_bind_text(q, 1, source->text);
		while ((rc = statement_step(q, e)) > 0) {
			if (has_settings(find_pool(t, statement_text(q, 0)), q)) {
				same++;
			} else {
				other++;
			}
		}
	}
	statement_free(q);
	*ret_same = other == 0 && same == count_pools(t);
	return rc;
}

/* How tables stitch from here on: a crash in mid flush must find it.  What waits stays
 * as it is. */
static int
write_settings(struct database *d, const struct tables_stitch *x,
    const struct source_id *source, struct err *e)
{
	static const char *const sql[] = {
	    "UPDATE flowpair_waiting SET window_ns = ?3, max_waiting = ?4 WHERE source "
	    "= ?1 AND tables = ?2",
	    "INSERT INTO flowpair_waiting VALUES (?1, ?2, ?3, ?4, 0, x'')"};
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < 2; i++) {
		const struct store_query q = {.sql = sql[i],
		    .texts = {source->text, x->words},
		    .numbers = {(int64_t)x->window_ns, (int64_t)x->max_waiting}};
		rc = store_query(d, &q, NULL, e);
	}
	return rc;
}

static int
write_all_settings(struct store *s, const struct source_id *source, struct err *e)
{
	const struct tables *t = s->tables;
	struct database *d = s->main;
	int rc = database_exec_text(d, "BEGIN IMMEDIATE", e);

	if (rc < 0) {
		return rc;
	}
	rc = forget(d, source, " AND waiting = 0", e);
	for (unsigned i = 0; i < t->source_count; i++) {
		for (unsigned k = 0; rc == 0 && k < t->sources[i].stitch_count; k++) {
			rc = write_settings(d, &t->sources[i].stitches[k], source, e);
		}
	}
	rc = store_commit(d, rc, e);
	if (rc == 0) {
		database_checkpoint(d);
	}
	return rc;
}

/* What the tables have of another source is of a run that failed. */
static void
forget_others(struct tables *t)
{
	for (unsigned i = 0; i < t->source_count; i++) {
		for (unsigned k = 0; k < t->sources[i].stitch_count; k++) {
			stitch_forget(t->sources[i].stitches[k].stitch);
		}
	}
}

static int
read_all(struct store *s, const struct source_id *source, struct err *e)
{
	struct statement *q = NULL;
	int rc = statement_new(s->main,
	    "SELECT tables, window_ns, max_waiting, waiting, rows FROM "
	    "flowpair_waiting WHERE source = ? ORDER BY rowid",
	    &q, e);

	if (rc == 0) {
		statement_bind_text(q, 1, source->text);
		while ((rc = statement_step(q, e)) > 0) {
			rc = take_chunk(s, q, e);
			if (rc < 0) {
				break;
			}
		}
	}
	statement_free(q);
	return rc;
}

int
store_resume(
    struct store *s, const struct source_id *source, bool is_pending, struct err *e)
{
	bool is_same = false;
	int rc;

	forget_others(s->tables);
	rc = compare_settings(s, source, &is_same, e);
	if (rc == 0 && is_pending && !is_same) {
		return refuse_pending(s, e);
	}
	if (rc == 0) {
		rc = read_all(s, source, e);
	}
	return rc == 0 && !is_same ? write_all_settings(s, source, e) : rc;
}
