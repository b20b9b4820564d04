/* Spools for tests, each in a fresh directory. */
#ifndef TESTS_EXPORTER_SPOOL_SUPPORT_SPOOL_H
#define TESTS_EXPORTER_SPOOL_SUPPORT_SPOOL_H

#include "exporter/spool/spool.h"

extern char spool_directory_of_test[64];
/* The preamble that spools are opened with: one message.  Tests may change it. */
extern uint8_t spool_preamble_of_test[24];

/* The smallest spool; where: its directory, NULL: memory only.  0 or negative. */
int spool_try(const char *where, bool may_wait, struct spool **ret, struct err *e);
/* The same; fails the test when it cannot be opened. */
struct spool *spool_begin(const char *where, bool may_wait);

/* Set-up and tear-down of a test. */
int spool_make_directory(void **state);
int spool_remove_directory(void **state);
/* Removes the files in it. */
void spool_remove_files(void);

#define SPOOL_TEST(name)                                                               \
	cmocka_unit_test_setup_teardown(                                               \
	    name, spool_make_directory, spool_remove_directory)

#endif
