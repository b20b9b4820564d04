/* A database in memory, for tests. */
#ifndef TESTS_COMMON_SQLITE_SUPPORT_DATABASE_H
#define TESTS_COMMON_SQLITE_SUPPORT_DATABASE_H

#include "common/sqlite/database.h"
#include "tests/unit/common/base/support_directory.h"

/* Both end the test on failure. */
struct database *support_database_open(void);
/* What a statement gives: one row of one number. */
int64_t support_database_i64(struct database *d, const char *sql);

#endif
