#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>

#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "common/capture/input.h"

#define LENGTH 3000000

static uint8_t bytes[LENGTH];
static char path[64];
static struct input source;
static struct err err;

/* A file of LENGTH bytes, each its place modulo 251. */
static int
set_up(void **state)
{
	FILE *f;
	int fd;

	(void)state;
	for (size_t i = 0; i < LENGTH; i++) {
		bytes[i] = (uint8_t)(i % 251);
	}
	strcpy(path, "/tmp/source_test.XXXXXX");
	fd = mkstemp(path);
	f = fdopen(fd, "w");
	fwrite(bytes, 1, LENGTH, f);
	fclose(f);
	return input_open(path, &source, &err);
}

static int
tear_down(void **state)
{
	(void)state;
	input_close(&source);
	return unlink(path);
}

static void
unread_bytes_stay_in_order_over_many_fills(void **state)
{
	size_t at = 0;

	(void)state;
	while (at < LENGTH) {
		size_t need = 1 + at * 7919 % SOURCE_MOST, take;
		ssize_t have = input_fill(&source, need, &err);

		assert_true(have >= 0);
		assert_int_equal(input_offset(&source), at);
		assert_true((size_t)have >= need || at + (size_t)have == LENGTH);
		take = (size_t)have < need ? (size_t)have : need;
		assert_memory_equal(source.at, bytes + at, take);
		source.at += take;
		at += take;
	}
	assert_int_equal(input_fill(&source, 1, &err), 0);
	assert_int_equal(input_offset(&source), LENGTH);
}

static void
a_stream_begins_at_the_first_unread_byte(void **state)
{
	static uint8_t got[LENGTH];
	FILE *f;

	(void)state;
	assert_true(input_fill(&source, 1000, &err) >= 1000);
	source.at += 10;
	f = input_stream(&source);
	assert_non_null(f);
	assert_int_equal(fread(got, 1, LENGTH, f), LENGTH - 10);
	assert_memory_equal(got, bytes + 10, LENGTH - 10);
	fclose(f);
}

static void
compressed_bytes_come_out_plain(void **state)
{
	gzFile z;

	(void)state;
	input_close(&source);
	z = gzopen(path, "wb1");
	assert_int_equal(gzwrite(z, bytes, LENGTH), LENGTH);
	gzclose(z);
	assert_int_equal(input_open(path, &source, &err), 0);
	unread_bytes_stay_in_order_over_many_fills(state);
}

static void
a_file_that_is_not_there_is_named(void **state)
{
	struct input none;

	(void)state;
	assert_true(input_open("/nonexistent/file", &none, &err) < 0);
	assert_non_null(strstr(err.text, "/nonexistent/file"));
}

static void
closing_twice_is_harmless(void **state)
{
	(void)state;
	input_close(&source);
	input_close(&source);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(unread_bytes_stay_in_order_over_many_fills),
	    TEST(a_stream_begins_at_the_first_unread_byte),
	    TEST(compressed_bytes_come_out_plain),
	    TEST(a_file_that_is_not_there_is_named),
	    TEST(closing_twice_is_harmless),
	};
#undef TEST
	return cmocka_run_group_tests(tests, NULL, NULL);
}
