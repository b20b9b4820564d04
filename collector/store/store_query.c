#include "collector/store/store_query.h"

int
store_query(
    struct database *d, const struct store_query *q, int64_t *ret, struct err *e)
{
	struct statement *s = NULL;
	int i = 0, rc = statement_new(d, q->sql, &s, e);

	if (rc < 0) {
		return rc;
	}
	for (; i < 3 && q->texts[i] != NULL; i++) {
		statement_bind_text(s, i + 1, q->texts[i]);
	}
	/* Those that the statement does not have are refused, and not missed. */
	statement_bind_i64(s, i + 1, q->numbers[0]);
	statement_bind_i64(s, i + 2, q->numbers[1]);
	rc = statement_step(s, e);
	if (rc > 0 && ret != NULL) {
		*ret = statement_i64(s, 0);
	}
	statement_free(s);
	return rc;
}

int
store_query_position(
    struct database *d, const struct store_query *q, uint64_t *ret, struct err *e)
{
	int64_t position = 0;
	int rc = store_query(d, q, &position, e);

	if (rc >= 0) {
		*ret = (uint64_t)position;
	}
	return rc < 0 ? rc : 0;
}

int
store_position(
    struct database *d, const struct source_id *source, uint64_t *ret, struct err *e)
{
	const struct store_query q = {
	    .sql = "SELECT position FROM flowpair_progress WHERE source = ?",
	    .texts = {source->text}};

	return store_query_position(d, &q, ret, e);
}

int
store_set_position(struct database *d, const struct source_id *source,
    uint64_t position, struct err *e)
{
	const struct store_query q = {
	    .sql = "INSERT OR REPLACE INTO flowpair_progress VALUES (?, ?)",
	    .texts = {source->text},
	    .numbers = {(int64_t)position}};

	return store_query(d, &q, NULL, e);
}

int
store_commit(struct database *d, int rc, struct err *e)
{
	if (rc == 0) {
		rc = database_exec_text(d, "COMMIT", e);
	}
	if (rc < 0) {
		database_exec_text(d, "ROLLBACK", NULL);
	}
	return rc;
}
