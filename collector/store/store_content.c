#include "collector/store/store_content.h"

#include "collector/store/store_private.h"
#include "collector/store/store_query.h"

int
store_content_prepare(struct database *d, struct err *e)
{
	return database_exec_text(d,
	    "CREATE TABLE IF NOT EXISTS flowpair_contents(source TEXT PRIMARY KEY, "
	    "length INTEGER NOT NULL, end INTEGER, name TEXT) WITHOUT ROWID;"
	    "CREATE INDEX IF NOT EXISTS flowpair_contents_by_length ON "
	    "flowpair_contents(length)",
	    e);
}

static int
look_up(struct store *s, const struct store_query *q, uint64_t *ret, struct err *e)
{
	return store_query_position(s->main, q, ret, e);
}

int
store_content_next(
    struct store *s, uint64_t length, uint64_t *ret_length, struct err *e)
{
	const struct store_query q = {
	    .sql = "SELECT min(length) FROM flowpair_contents WHERE length > ?",
	    .numbers = {(int64_t)length}};
	int rc = look_up(s, &q, ret_length, e);

	if (rc == 0 && *ret_length == 0) {
		*ret_length = UINT64_MAX;
	}
	return rc;
}

int
store_content_find(struct store *s, struct store_content *c, struct err *e)
{
	const struct store_query q = {
	    .sql = "SELECT min(position, coalesce(end, position)) FROM "
		   "flowpair_contents JOIN flowpair_sources USING (source) "
		   "WHERE source = ? AND length = ?",
	    .texts = {c->id.text},
	    .numbers = {(int64_t)c->length}};
	int rc = look_up(s, &q, &c->stored, e);

	return rc < 0 ? rc : c->stored > 0;
}

int
store_content_named(
    struct store *s, const char *name, uint64_t *ret_length, struct err *e)
{
	const struct store_query q = {
	    .sql = "SELECT max(length) FROM flowpair_contents WHERE name = ?",
	    .texts = {name}};

	return look_up(s, &q, ret_length, e);
}

int
store_content_add(
    struct store *s, const struct store_content *c, const char *name, struct err *e)
{
	const struct store_query q = {
	    .sql = "INSERT OR IGNORE INTO flowpair_contents(source, name, length) "
		   "VALUES (?, ?, ?)",
	    .texts = {c->id.text, name},
	    .numbers = {(int64_t)c->length}};

	return store_query(s->main, &q, NULL, e);
}

int
store_content_end(
    struct store *s, const struct source_id *id, uint64_t position, struct err *e)
{
	const struct store_query q = {
	    .sql = "UPDATE flowpair_contents SET end = ?2 WHERE source = ?1",
	    .texts = {id->text},
	    .numbers = {(int64_t)position}};

	return store_query(s->main, &q, NULL, e);
}

int
store_content_continue(struct store *s, const struct store_content *known,
    const struct source_id *id, struct err *e)
{
	const struct store_query steps[] = {
	    {.sql = "BEGIN IMMEDIATE"},
	    {.sql = "INSERT OR REPLACE INTO flowpair_sources(source, position) VALUES (?, ?)",
		.texts = {id->text},
		.numbers = {(int64_t)known->stored}},
	    {.sql = "UPDATE flowpair_sources SET finished = 1 WHERE source = ?",
		.texts = {known->id.text}},
	    {.sql = "UPDATE flowpair_waiting SET source = ? WHERE source = ?",
		.texts = {id->text, known->id.text}},
	};
	int rc = 0;

	for (unsigned i = 0; rc >= 0 && i < sizeof steps / sizeof *steps; i++) {
		rc = store_query(s->main, &steps[i], NULL, e);
	}
	return store_commit(s->main, rc, e);
}
