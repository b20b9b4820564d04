/* A SQLite database in memory, written as pages
 * (https://www.sqlite.org/fileformat2.html) with one table `t`.  SQLite copies records
 * from such a table into another of the same shape without decoding them
 * (database_load_append), at a third of the cost of giving it values one by one.
 * Threads: the owner's.  Memory: a fixed number of pages. */
#ifndef COMMON_SQLITE_DATABASE_IMAGE_H
#define COMMON_SQLITE_DATABASE_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "common/sqlite/database.h"
#include "common/sqlite/database_record.h"

/* Bytes of the longest row, all of it: a longer one would spill over its page. */
#define DATABASE_IMAGE_ROW  (DATABASE_IMAGE_PAGE - 35u)
#define DATABASE_IMAGE_PAGE 32768u

struct database_image;

/* sql: CREATE TABLE t(...), which decides what the columns are.  NULL: no memory. */
struct database_image *database_image_new(const char *sql);
void database_image_free(struct database_image *s);
/* No rows. */
void database_image_clear(struct database_image *s);
/* Adds a row.  0; -ENOSPC: the image is full, take and clear it; -E2BIG: the row is too
 * long for a page. */
int database_image_add(struct database_image *s, const struct database_record *r);
/* The finished database, valid until cleared. */
const uint8_t *database_image_finish(struct database_image *s, size_t *ret_length);
uint64_t database_image_rows(const struct database_image *s);

/* The name under which a connection sees an image; bytes stay borrowed until the next
 * call.  NULL: none. */
#define DATABASE_IMAGE "flowpair_image"
int database_show_image(
    struct database *d, const uint8_t *bytes, size_t length, struct err *e);

#endif
