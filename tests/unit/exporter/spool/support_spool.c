#include "tests/unit/exporter/spool/support_spool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char spool_directory_of_test[64];
uint8_t spool_preamble_of_test[24] = {0, 10, 0, sizeof spool_preamble_of_test};

int
spool_try(const char *where, bool may_wait, struct spool **ret, struct err *e)
{
	const struct export_preamble preamble = {.bytes = spool_preamble_of_test,
	    .length = sizeof spool_preamble_of_test,
	    .records = 2};
	const struct spool_settings settings = {.directory = where,
	    .max_bytes = SPOOL_LEAST,
	    .may_wait = may_wait,
	    .preamble = &preamble};

	return spool_open(&settings, ret, e);
}

struct spool *
spool_begin(const char *where, bool may_wait)
{
	struct spool *s = NULL;
	struct err e = {0};

	if (spool_try(where, may_wait, &s, &e) < 0) {
		fail_msg("%s", e.text);
	}
	return s;
}

int
spool_make_directory(void **state)
{
	(void)state;
	strcpy(spool_directory_of_test, "/tmp/flowpair-spool-XXXXXX");
	return mkdtemp(spool_directory_of_test) == NULL;
}

void
spool_remove_files(void)
{
	char path[400];
	DIR *d = opendir(spool_directory_of_test);

	for (struct dirent *x; d != NULL && (x = readdir(d)) != NULL;) {
		(void)snprintf(
		    path, sizeof path, "%s/%s", spool_directory_of_test, x->d_name);
		(void)unlink(path);
	}
	closedir(d);
}

int
spool_remove_directory(void **state)
{
	(void)state;
	spool_remove_files();
	return rmdir(spool_directory_of_test);
}
