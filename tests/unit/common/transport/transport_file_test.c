#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/schemes/schemes.h"

static int
open_file(struct transport *t, const char *path, struct err *e)
{
	struct transport_uri uri;
	char text[160];

	snprintf(text, sizeof text, "file:%s", path);
	assert_int_equal(schemes_parse_uri(text, &uri, e), 0);
	return transport_dial(t, &uri, NULL, e);
}

static void
a_file_is_open_at_once_and_written_from_its_start(void **state)
{
	char path[] = "/tmp/flowpair-file-XXXXXX", content[16] = {0};
	struct transport t;
	struct err e = {0};
	int fd = mkstemp(path);

	(void)state;
	assert_int_equal(write(fd, "what was there before", 21), 21);
	assert_int_equal(open_file(&t, path, &e), 0);
	assert_true(t.is_open);
	assert_int_equal(t.ops->write(&t, "new", 3, &e), 3);
	assert_int_equal(t.ops->finish(&t, &e), 0);
	assert_string_equal(t.peer.text, path);
	t.ops->close(&t);
	assert_int_equal(pread(fd, content, sizeof content, 0), 3);
	assert_string_equal(content, "new");
	close(fd);
	unlink(path);
}

static void
a_new_file_obeys_the_umask(void **state)
{
	char directory[] = "/tmp/flowpair-file-XXXXXX", path[64];
	mode_t before = umask(027);
	struct transport t;
	struct err e = {0};
	struct stat s;

	(void)state;
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof path, "%s/t.ipfix", directory);
	assert_int_equal(open_file(&t, path, &e), 0);
	t.ops->close(&t);
	assert_int_equal(stat(path, &s), 0);
	assert_int_equal(s.st_mode & 07777, 0640);
	unlink(path);
	rmdir(directory);
	umask(before);
}

static void
a_path_that_cannot_be_made_is_told(void **state)
{
	struct transport t;
	struct err e = {0};

	(void)state;
	assert_int_equal(open_file(&t, "/nowhere/t.ipfix", &e), -ENOENT);
	assert_string_equal(
	    e.text, "cannot write /nowhere/t.ipfix: No such file or directory");
}

static void
a_full_disk_is_told(void **state)
{
	struct transport t;
	struct err e = {0};

	(void)state;
	assert_int_equal(open_file(&t, "/dev/full", &e), 0);
	assert_int_equal(t.ops->write(&t, "x", 1, &e), -ENOSPC);
	assert_string_equal(e.text, "cannot write /dev/full: No space left on device");
	t.ops->close(&t);
}

static void
a_dash_is_standard_output_and_stays_open(void **state)
{
	int saved = dup(STDOUT_FILENO), ends[2];
	struct transport t;
	struct err e = {0};
	char got[4] = {0};

	(void)state;
	fflush(stdout);
	assert_int_equal(pipe(ends), 0);
	dup2(ends[1], STDOUT_FILENO);
	assert_int_equal(open_file(&t, "-", &e), 0);
	assert_int_equal(t.ops->write(&t, "abc", 3, &e), 3);
	assert_int_equal(t.ops->finish(&t, &e), 0);
	t.ops->close(&t);
	assert_int_equal(write(STDOUT_FILENO, "d", 1), 1);
	dup2(saved, STDOUT_FILENO);
	assert_int_equal(read(ends[0], got, 4), 4);
	assert_memory_equal(got, "abcd", 4);
	close(ends[0]);
	close(ends[1]);
	close(saved);
}

static void
a_file_is_no_place_to_accept_at(void **state)
{
	struct transport_listener place;
	struct transport_uri uri;
	struct err e = {0};

	(void)state;
	assert_int_equal(schemes_parse_uri("file:x", &uri, NULL), 0);
	assert_int_equal(transport_listen(&uri, &place, &e), -EINVAL);
	assert_non_null(strstr(e.text, "cannot listen at \"file:x\""));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_file_is_open_at_once_and_written_from_its_start),
	    cmocka_unit_test(a_new_file_obeys_the_umask),
	    cmocka_unit_test(a_path_that_cannot_be_made_is_told),
	    cmocka_unit_test(a_full_disk_is_told),
	    cmocka_unit_test(a_dash_is_standard_output_and_stays_open),
	    cmocka_unit_test(a_file_is_no_place_to_accept_at),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
