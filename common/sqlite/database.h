/* SQLite: opening, statements, functions; no other file includes its header.  Many rows
 * at once go in through database_load.h.
 * Threads: one per connection. */
#ifndef COMMON_SQLITE_DATABASE_H
#define COMMON_SQLITE_DATABASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"

struct database;
struct statement;

enum database_mode { DATABASE_READ, DATABASE_WRITE, DATABASE_MEMORY };

/* WRITE: created 0640 where missing (analysts read by group), never through a link;
 * WAL, synchronous=FULL, page size 32768, no automatic checkpoints.  READ: never
 * writes, works while a writer is busy.  Negative with the file named in e: -ENOSPC
 * disk full, -EBADMSG not a database or damaged, -EBUSY, -EACCES, -ENOENT, -EIO, else
 * -EINVAL. */
int database_open(
    const char *path, enum database_mode mode, struct database **ret, struct err *e);
void database_close(struct database *d);
/* One or more statements without results. */
int database_exec(struct database *d, struct err *e, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
int database_exec_text(struct database *d, const char *sql, struct err *e);

/* Copies the WAL into the database as far as readers let it; never waits for them. */
void database_checkpoint(struct database *d);

int statement_new(
    struct database *d, const char *sql, struct statement **ret, struct err *e);
void statement_free(struct statement *s);
/* Parameters count from 1; text is copied. */
int statement_bind_text(struct statement *s, int i, const char *text);
/* Borrowed until the statement is reset, bound again or freed. */
int statement_bind_blob(struct statement *s, int i, const void *bytes, size_t n);
int statement_bind_i64(struct statement *s, int i, int64_t v);
int statement_bind_f64(struct statement *s, int i, double v);
int statement_bind_null(struct statement *s, int i);
/* 1: a row; 0: done; negative with e.  statement_reset() to run it again. */
int statement_step(struct statement *s, struct err *e);
void statement_reset(struct statement *s);
int statement_columns(const struct statement *s);
const char *statement_column_name(const struct statement *s, int i);

enum database_type { DATABASE_NULL, DATABASE_INTEGER, DATABASE_REAL, DATABASE_TEXT };
enum database_type statement_type(const struct statement *s, int i);
int64_t statement_i64(const struct statement *s, int i);
double statement_f64(const struct statement *s, int i);
/* "" for NULL; valid until the next step. */
const char *statement_text(const struct statement *s, int i);
/* NULL for none; valid until the next step. */
const uint8_t *statement_blob(const struct statement *s, int i);
size_t statement_length(const struct statement *s, int i); /* bytes of either */

/* SQL functions for questions: ip_in_prefix(text, prefix) -> 0/1, ip_order(text) -> blob
 * that sorts as the address does (NULL for non-addresses), and sum_clipped(x), a sum()
 * that saturates where sum() fails.  text may itself be
 * a prefix, as in services: it lies in prefix when all of it does. */
int database_add_functions(struct database *d, struct err *e);
/* A statement may run until this monotonic time (0: for ever), then fails with
 * -ETIMEDOUT. */
void database_deadline(struct database *d, uint64_t monotonic_ns);

#endif
