#include "collector/store_waiting.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"

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
forget(struct database *d, const struct source_id *source, struct err *e)
{
	struct statement *s = NULL;
	int rc =
	    statement_new(d, "DELETE FROM flowpair_waiting WHERE source = ?", &s, e);

	if (rc == 0) {
		statement_bind_text(s, 1, source->text);
		rc = statement_step(s, e);
	}
	statement_free(s);
	return rc;
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
	int rc = bytes == NULL ? err_set(e, -ENOMEM, "no memory") : 0;

	while (rc == 0) {
		unsigned rows = 0;
		size_t n =
		    stitch_write_rows(x->stitch, t->intern, &next, bytes, room, &rows);
		if (n == 0 && !is_first) {
			break;
		}
		is_first = false;
		statement_reset(s);
		statement_bind_text(s, 1, source->text);
		statement_bind_text(s, 2, x->words);
		statement_bind_i64(s, 3, (int64_t)x->window_ns);
		statement_bind_i64(s, 4, (int64_t)x->max_waiting);
		statement_bind_i64(s, 5, rows);
		statement_bind_blob(s, 6, bytes, n);
		rc = statement_step(s, e);
	}
	statement_reset(s); /* it borrows them */
	free(bytes);
	return rc;
}

int
store_waiting_write(struct database *d, const struct tables *t,
    const struct source_id *source, struct err *e)
{
	struct statement *s = NULL;
	int rc = forget(d, source, e);

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
	    "%s/%s: %lld one-way flows wait to be stitched, as the collector was "
	    "killed, or an import stopped; their tables (%s) are not those with "
	    "'stitch' any more: put 'stitch' back as it was, start and stop once, and "
	    "change it then",
	    s->directory, STORE_MAIN_FILE, waiting, words);
}

static int
refuse_pending(const struct store *s, struct err *e)
{
	return err_set(e, -EINVAL,
	    "%s: the collector was killed while it stored stitched flows, and 'stitch' "
	    "has changed since: put it back as it was, start and stop once, and change "
	    "it then",
	    s->directory);
}

/* One chunk.  While parts of the store have more than the catalog, what comes must be
 * stitched exactly as it was. */
static int
take_chunk(struct tables *t, const struct store *s, const struct statement *q,
    bool is_pending, struct err *e)
{
	const char *words = statement_text(q, 0);
	const struct tables_stitch *x = find_pool(t, words);
	int64_t waiting = statement_i64(q, 3);

	if (x == NULL && waiting > 0) {
		return refuse_waiting(s, words, (long long)waiting, e);
	}
	if (is_pending && (x == NULL || (int64_t)x->window_ns != statement_i64(q, 1) ||
			      (int64_t)x->max_waiting != statement_i64(q, 2))) {
		return refuse_pending(s, e);
	}
	if (waiting > 0 && stitch_read_rows(x->stitch, t->intern, statement_blob(q, 4),
			       statement_length(q, 4)) < 0) {
		return err_set(e, -EBADMSG,
		    "%s/%s: table flowpair_waiting is damaged: restore the directory "
		    "from a backup",
		    s->directory, STORE_MAIN_FILE);
	}
	return 0;
}

static int
count_stored_pools(
    struct store *s, const struct source_id *source, unsigned *ret, struct err *e)
{
	struct statement *q = NULL;
	int rc = statement_new(s->main,
	    "SELECT count(DISTINCT tables) FROM flowpair_waiting WHERE source = ?", &q,
	    e);

	if (rc == 0) {
		statement_bind_text(q, 1, source->text);
		rc = statement_step(q, e);
	}
	*ret = rc > 0 ? (unsigned)statement_i64(q, 0) : 0;
	statement_free(q);
	return rc < 0 ? rc : 0;
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

int
tables_resume(struct tables *t, struct store *s, const struct source_id *source,
    bool is_pending, struct err *e)
{
	struct statement *q = NULL;
	unsigned stored = 0;
	int rc;

	forget_others(t);
	rc = count_stored_pools(s, source, &stored, e);
	if (rc == 0 && is_pending && stored != count_pools(t)) {
		return refuse_pending(s, e);
	}
	if (rc == 0) {
		rc = statement_new(s->main,
		    "SELECT tables, window_ns, max_waiting, waiting, rows FROM "
		    "flowpair_waiting WHERE source = ? ORDER BY rowid",
		    &q, e);
	}
	if (rc == 0) {
		statement_bind_text(q, 1, source->text);
		while ((rc = statement_step(q, e)) > 0) {
			rc = take_chunk(t, s, q, is_pending, e);
			if (rc < 0) {
				break;
			}
		}
	}
	statement_free(q);
	return rc;
}
