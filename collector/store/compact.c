#include "collector/store/compact.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/store/compact_merge.h"
#include "collector/store/ddl.h"
#include "collector/store/store_private.h"
#include "collector/store/store_query.h"
#include "common/base/clock.h"
#include "common/base/log.h"

#define BEFORE     "flowpair_runs_before" /* the runs' table while it is merged */
#define INDEXES    2u                     /* on the first addresses of the key */
#define LOOKS_MOST 16u /* files that are opened to no avail in one call */

/* What was known of a file when it was looked at last. */
struct seen {
	char file[128];
	uint64_t mark;     /* of its positions */
	uint64_t since_ns; /* it has this mark */
	bool is_done;
};

struct compact {
	struct store *store;
	struct seen *seen;
	size_t seen_count, seen_capacity;
};

/* A day file that may need it. */
struct candidate {
	const struct table *table;
	char file[128];
};

/* Where the file is, or belongs, among those seen. */
static size_t
seen_place(const struct compact *c, const char *file)
{
	size_t low = 0, high = c->seen_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (strcmp(c->seen[middle].file, file) < 0) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return low;
}

static struct seen *
find_seen(const struct compact *c, const char *file)
{
	size_t at = seen_place(c, file);

	return at < c->seen_count && strcmp(c->seen[at].file, file) == 0 ? &c->seen[at]
									 : NULL;
}

static int
note_seen(
    struct compact *c, const char *file, uint64_t mark, uint64_t now_ns, struct err *e)
{
	struct seen *s = find_seen(c, file);

	if (s == NULL && c->seen_count == c->seen_capacity) {
		size_t n = c->seen_capacity * 2 + 16;
		void *p = reallocarray(c->seen, n, sizeof *c->seen);
		if (p == NULL) {
			return err_set(e, -ENOMEM, "not enough memory");
		}
		c->seen = p;
		c->seen_capacity = n;
	}
	if (s == NULL) {
		s = &c->seen[seen_place(c, file)];
		memmove(s + 1, s, (size_t)(c->seen + c->seen_count - s) * sizeof *s);
		c->seen_count++;
		snprintf(s->file, sizeof s->file, "%s", file);
	}
	s->mark = mark;
	s->since_ns = now_ns;
	s->is_done = false;
	return 0;
}

/* The table of storage runs whose day this is. */
static const struct table *
table_of_file(const struct compact *c, const char *file, int64_t *ret_day)
{
	size_t n = strlen(file);
	char date[11] = "", name[128];
	uint64_t ns;

	if (n < 18 || n >= sizeof name) {
		return NULL;
	}
	memcpy(date, file + n - 17, 10); /* YYYY-MM-DD.sqlite */
	if (clock_parse_iso(date, &ns) < 0) {
		return NULL;
	}
	*ret_day = (int64_t)(ns / NS_PER_DAY);
	for (unsigned i = 0; i < c->store->tables->table_count; i++) {
		const struct table *t = c->store->tables->tables[i];
		if (t->schema->storage == STORAGE_RUNS) {
			store_partition_file(t, *ret_day, name);
			if (strcmp(name, file) == 0) {
				return t;
			}
		}
	}
	return NULL;
}

static bool
is_closed(const struct compact *c, const struct table *t, int64_t day, uint64_t now_ns)
{
	uint64_t end = ((uint64_t)day + 1) * NS_PER_DAY;
	uint64_t lateness = t->has_own_lateness
				? t->bounds.lateness_ns
				: c->store->tables->settings.lateness_ns;

	return now_ns == COMPACT_ALL || (now_ns > end && now_ns - end > lateness);
}

/* Files of the catalog with a number that each flush into them changes: positions of a
 * source only grow. */
static int
list_files(struct compact *c, struct statement **ret, struct err *e)
{
	return statement_new(c->store->main,
	    "SELECT file, sum(position) + count(*) FROM flowpair_partitions GROUP BY "
	    "file ORDER BY file",
	    ret, e);
}

int
compact_new(struct store *s, bool touched, struct compact **ret, struct err *e)
{
	struct compact *c = calloc(1, sizeof *c);
	struct statement *q = NULL;
	int rc = 0;

	if (c == NULL) {
		return err_set(e, -ENOMEM, "not enough memory");
	}
	c->store = s;
	if (touched) {
		rc = list_files(c, &q, e);
		while (rc >= 0 && (rc = statement_step(q, e)) > 0) {
			rc = note_seen(c, statement_text(q, 0),
			    (uint64_t)statement_i64(q, 1), 0, e);
			if (rc == 0) {
				find_seen(c, statement_text(q, 0))->is_done = true;
			}
		}
		statement_free(q);
	}
	if (rc < 0) {
		compact_free(c);
		return rc;
	}
	*ret = c;
	return 0;
}

void
compact_free(struct compact *c)
{
	if (c != NULL) {
		free(c->seen);
		free(c);
	}
}

/* Whether nobody has written to the file for a while, and it was not done since.  A
 * peer that sends old records would have the day merged after each flush. */
static int
is_quiet(
    struct compact *c, const char *file, uint64_t mark, uint64_t now_ns, struct err *e)
{
	const struct seen *s = find_seen(c, file);
	int rc = 0;

	if (s == NULL || s->mark != mark) {
		rc = note_seen(c, file, mark, now_ns, e);
		s = find_seen(c, file);
	}
	if (rc < 0 || s == NULL || s->is_done) {
		return rc;
	}
	return now_ns == COMPACT_ALL ||
	       (now_ns > s->since_ns && now_ns - s->since_ns >= COMPACT_QUIET);
}

/* The first closed day that is quiet.  1: found. */
static int
find_candidate(struct compact *c, uint64_t now_ns, struct candidate *ret, struct err *e)
{
	struct statement *q = NULL;
	bool is_found = false;
	int rc = list_files(c, &q, e);

	while (rc >= 0 && !is_found && (rc = statement_step(q, e)) > 0) {
		const char *file = statement_text(q, 0);
		int64_t day = 0;
		ret->table = table_of_file(c, file, &day);
		if (ret->table == NULL || !is_closed(c, ret->table, day, now_ns)) {
			continue;
		}
		rc = is_quiet(c, file, (uint64_t)statement_i64(q, 1), now_ns, e);
		if (rc > 0) {
			snprintf(ret->file, sizeof ret->file, "%s", file);
			is_found = true;
		}
	}
	statement_free(q);
	return rc < 0 ? rc : is_found;
}

static int
read_runs(
    const struct table *t, struct database *d, struct compact_runs *ret, struct err *e)
{
	struct compact_runs runs = {NULL, 0};
	struct statement *q = NULL;
	size_t capacity = 0;
	char sql[192];
	int rc;

	snprintf(sql, sizeof sql,
	    "SELECT first, last FROM \"%s_extent\" ORDER BY first", t->schema->name);
	rc = statement_new(d, sql, &q, e);
	while (rc >= 0 && (rc = statement_step(q, e)) > 0) {
		if (runs.count == capacity) {
			void *p;
			capacity = capacity * 2 + 16;
			p = reallocarray(runs.items, capacity, sizeof *runs.items);
			if (p == NULL) {
				rc = err_set(e, -ENOMEM, "not enough memory");
				break;
			}
			runs.items = p;
		}
		runs.items[runs.count++] = (struct compact_run){
		    .first = statement_i64(q, 0), .last = statement_i64(q, 1)};
	}
	statement_free(q);
	if (rc < 0) {
		free(runs.items);
		return rc;
	}
	*ret = runs;
	return 0;
}

/* A column that the schema no longer has does not say how it is reduced: such a day
 * keeps its runs. */
static int
has_other_columns(const struct table *t, struct database *d, struct err *e)
{
	struct statement *q = NULL;
	struct ddl_stored stored;
	bool is_other = false;
	int rc = statement_new(d, "SELECT name FROM pragma_table_xinfo(?)", &q, e);

	if (rc < 0) {
		return rc;
	}
	ddl_stored(t, &stored);
	statement_bind_text(q, 1, stored.table);
	while (!is_other && (rc = statement_step(q, e)) > 0) {
		is_other = true;
		for (unsigned i = 0; is_other && i < stored.count; i++) {
			is_other = strcmp(stored.names[i], statement_text(q, 0)) != 0;
		}
	}
	statement_free(q);
	return rc < 0 ? rc : is_other;
}

static int
make_indexes(const struct table *t, struct database *d, struct err *e)
{
	const char *name = t->schema->name;
	unsigned made = 0;
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < t->key_count && made < INDEXES; i++) {
		if (t->columns[i].kind == TABLE_ADDRESS) {
			rc = database_exec(d, e,
			    "CREATE INDEX \"%s_by_%s\" ON \"%s_runs\"(\"%s\")", name,
			    t->columns[i].name, name, t->columns[i].name);
			made++;
		}
	}
	return rc;
}

/* Inside the transaction of d, in which nothing is changed yet: `from` sees the runs
 * as they were. */
static int
replace_runs(const struct table *t, const struct compact_runs *runs,
    struct database *from, struct database *d, struct err *e)
{
	const char *name = t->schema->name;
	int rc = database_exec(d, e,
	    "ALTER TABLE \"%s_runs\" RENAME TO " BEFORE "; DROP TABLE \"%s_extent\"",
	    name, name);

	if (rc == 0) {
		rc = store_schema_run(d, t, ddl_table, e);
	}
	if (rc == 0) {
		rc = compact_merge(t, runs, from, d, e);
	}
	if (rc == 0) {
		rc = database_exec(d, e,
		    "DROP TABLE " BEFORE "; INSERT INTO \"%s_extent\" SELECT 1, "
		    "max(rowid) FROM \"%s_runs\"",
		    name, name);
	}
	return rc < 0 ? rc : make_indexes(t, d, e);
}

static int
merge_day(const struct table *t, const char *path, struct database *d, struct err *e)
{
	struct database *from = NULL;
	struct compact_runs runs = {NULL, 0};
	int rc = database_open(path, DATABASE_READ, &from, e);

	if (rc == 0) {
		rc = database_exec_text(from, "BEGIN", e);
	}
	if (rc == 0) {
		rc = read_runs(t, from, &runs, e);
	}
	if (rc == 0 && runs.count > 1) {
		rc = replace_runs(t, &runs, from, d, e);
	}
	free(runs.items);
	database_close(from);
	return rc;
}

/* Views name the table by a name that is another table's for a while; indexes are
 * sorted in files, not in memory. */
static int
compact_day(const struct table *t, const char *path, struct database *d, struct err *e)
{
	int rc = database_exec_text(d,
	    "PRAGMA legacy_alter_table=ON; PRAGMA temp_store=FILE; BEGIN IMMEDIATE", e);

	if (rc == 0) {
		rc = store_commit(d, merge_day(t, path, d, e), e);
	}
	database_exec_text(
	    d, "PRAGMA legacy_alter_table=OFF; PRAGMA temp_store=MEMORY", NULL);
	if (rc == 0) {
		database_checkpoint(d);
	}
	return rc;
}

/* 1: compacted; 0: needs nothing. */
static int
compact_file(struct compact *c, const struct candidate *f, struct err *e)
{
	const struct table *t = f->table;
	struct compact_runs runs = {NULL, 0};
	struct database *d = NULL;
	char path[4096];
	uint64_t begin = clock_monotonic_ns();
	int rc;

	store_path(c->store, f->file, path);
	rc = database_open(path, DATABASE_READ, &d, e);
	if (rc == -ENOENT) {
		return 0; /* the operator's way to forget a day */
	}
	if (rc == 0) {
		rc = read_runs(t, d, &runs, e);
	}
	free(runs.items);
	database_close(d);
	if (rc < 0 || runs.count < 2) {
		return rc;
	}
	rc = store_partition(c->store, t, f->file, &d, e);
	if (rc == 0) {
		rc = has_other_columns(t, d, e);
	}
	if (rc != 0) {
		return rc < 0 ? rc : 0;
	}
	rc = compact_day(t, path, d, e);
	if (rc < 0) {
		return rc;
	}
	log_info("%s: compacted %zu runs in %.1f s", path, runs.count,
	    (double)(clock_monotonic_ns() - begin) / (double)NS_PER_SECOND);
	return 1;
}

int
compact_next(struct compact *c, uint64_t now_ns, struct err *e)
{
	int rc = 0;

	for (unsigned i = 0; rc == 0 && (i < LOOKS_MOST || now_ns == COMPACT_ALL);
	     i++) {
		struct candidate f;
		rc = find_candidate(c, now_ns, &f, e);
		if (rc <= 0) {
			return rc;
		}
		find_seen(c, f.file)->is_done = true;
		rc = compact_file(c, &f, e);
	}
	return rc;
}
