#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "common/capture/compressed.h"

/* Larger than every buffer between the file and the reader. */
#define CONTENT_BYTES 1000000

static unsigned char content[CONTENT_BYTES];
static unsigned char packed[4 * CONTENT_BYTES], got[2 * CONTENT_BYTES + 1];
static char path[64];

static int
begin(void **state)
{
	uint32_t random = 1;
	int fd;

	(void)state;
	/* half noise, half repetition: compresses, but not to nothing */
	for (size_t i = 0; i < CONTENT_BYTES; i++) {
		random = random * 1103515245 + 12345;
		content[i] = i % 2 ? (unsigned char)(random >> 16) : (unsigned char)i;
	}
	strcpy(path, "/tmp/flowpair-compressed-XXXXXX");
	fd = mkstemp(path);
	return fd < 0 ? -1 : close(fd);
}

static int
end(void **state)
{
	(void)state;
	return unlink(path);
}

static size_t
pack_gzip(unsigned char *out, size_t room)
{
	z_stream z = {0};

	assert_int_equal(
	    deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_in = content;
	z.avail_in = CONTENT_BYTES;
	z.next_out = out;
	z.avail_out = (uInt)room;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	deflateEnd(&z);
	return room - z.avail_out;
}

static size_t
pack_zstd(unsigned char *out, size_t room)
{
	size_t n = ZSTD_compress(out, room, content, CONTENT_BYTES, 3);

	assert_false(ZSTD_isError(n));
	return n;
}

static void
write_file(const void *bytes, size_t n)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
}

static void
open_file(struct compressed *c)
{
	struct err e;

	assert_int_equal(compressed_open(path, c, &e), 0);
}

static size_t
read_all(struct compressed *c)
{
	return fread(got, 1, sizeof got, c->stream);
}

/* The file as it lies there reads as the content. */
static void
assert_reads_content(size_t raw)
{
	struct compressed c;
	size_t n;

	open_file(&c);
	n = read_all(&c);
	assert_int_equal(n, CONTENT_BYTES);
	assert_memory_equal(got, content, CONTENT_BYTES);
	assert_int_equal(c.size, raw);
	assert_int_equal(compressed_position(&c), raw);
	assert_null(compressed_error(&c));
	compressed_close(&c);
}

static void
plain_file_reads_as_it_is(void **state)
{
	(void)state;
	write_file(content, CONTENT_BYTES);
	assert_reads_content(CONTENT_BYTES);
}

static void
gzip_file_is_unpacked(void **state)
{
	size_t n = pack_gzip(packed, sizeof packed);

	(void)state;
	write_file(packed, n);
	assert_reads_content(n);
}

static void
zstd_file_is_unpacked(void **state)
{
	size_t n = pack_zstd(packed, sizeof packed);

	(void)state;
	write_file(packed, n);
	assert_reads_content(n);
}

static void
plain_file_may_be_read_through_its_descriptor(void **state)
{
	struct compressed c;
	char bytes[3];

	(void)state;
	write_file("abc", 3);
	open_file(&c);
	assert_true(c.is_plain);
	assert_int_equal(read(c.fd, bytes, 3), 3);
	assert_memory_equal(bytes, "abc", 3);
	compressed_close(&c);
}

static void
compressed_file_is_not_plain(void **state)
{
	struct compressed c;

	(void)state;
	write_file(packed, pack_gzip(packed, sizeof packed));
	open_file(&c);
	assert_false(c.is_plain);
	compressed_close(&c);
}

static void
two_gzip_members_read_as_one_text(void **state)
{
	size_t n = pack_gzip(packed, 2 * CONTENT_BYTES);
	struct compressed c;

	(void)state;
	memcpy(packed + n, packed, n);
	write_file(packed, 2 * n);
	open_file(&c);
	assert_int_equal(read_all(&c), 2 * CONTENT_BYTES);
	assert_memory_equal(got + CONTENT_BYTES, content, CONTENT_BYTES);
	compressed_close(&c);
}

static void
two_zstd_frames_read_as_one_text(void **state)
{
	size_t n = pack_zstd(packed, 2 * CONTENT_BYTES);
	struct compressed c;

	(void)state;
	memcpy(packed + n, packed, n);
	write_file(packed, 2 * n);
	open_file(&c);
	assert_int_equal(read_all(&c), 2 * CONTENT_BYTES);
	assert_memory_equal(got + CONTENT_BYTES, content, CONTENT_BYTES);
	compressed_close(&c);
}

static void
padding_after_gzip_is_ignored(void **state)
{
	size_t n = pack_gzip(packed, sizeof packed);
	struct compressed c;

	(void)state;
	memset(packed + n, 0, 512);
	write_file(packed, n + 512);
	open_file(&c);
	assert_int_equal(read_all(&c), CONTENT_BYTES);
	assert_false(ferror(c.stream));
	compressed_close(&c);
}

static void
assert_cut_short(size_t n)
{
	struct compressed c;
	size_t have;

	write_file(packed, n / 2);
	open_file(&c);
	have = read_all(&c);
	assert_in_range(have, 1, CONTENT_BYTES - 1);
	assert_memory_equal(got, content, have);
	assert_true(ferror(c.stream));
	assert_non_null(strstr(compressed_error(&c), "is truncated after"));
	compressed_close(&c);
}

static void
gzip_cut_short_gives_what_came_before(void **state)
{
	(void)state;
	assert_cut_short(pack_gzip(packed, sizeof packed));
}

static void
zstd_cut_short_gives_what_came_before(void **state)
{
	(void)state;
	assert_cut_short(pack_zstd(packed, sizeof packed));
}

static void
assert_damaged(size_t n)
{
	struct compressed c;

	memset(packed + n / 2, 0xa5, 64);
	write_file(packed, n);
	open_file(&c);
	read_all(&c);
	assert_true(ferror(c.stream));
	assert_non_null(strstr(compressed_error(&c), "damaged"));
	compressed_close(&c);
}

static void
damaged_gzip_is_a_read_error(void **state)
{
	(void)state;
	assert_damaged(pack_gzip(packed, sizeof packed));
}

static void
damaged_zstd_is_a_read_error(void **state)
{
	ZSTD_CCtx *z = ZSTD_createCCtx();
	size_t n;

	(void)state;
	ZSTD_CCtx_setParameter(z, ZSTD_c_checksumFlag, 1);
	n = ZSTD_compress2(z, packed, sizeof packed, content, CONTENT_BYTES);
	ZSTD_freeCCtx(z);
	assert_damaged(n);
}

static void
empty_file_is_plain_and_ends_at_once(void **state)
{
	struct compressed c;

	(void)state;
	write_file("", 0);
	open_file(&c);
	assert_true(c.is_plain);
	assert_int_equal(read_all(&c), 0);
	assert_false(ferror(c.stream));
	compressed_close(&c);
}

/* Opens "-" with a pipe as standard input that holds these bytes. */
static void
open_pipe(const void *bytes, size_t n, struct compressed *c)
{
	int ends[2], saved = dup(STDIN_FILENO);
	struct err e;

	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], bytes, n), n);
	close(ends[1]);
	dup2(ends[0], STDIN_FILENO);
	close(ends[0]);
	assert_int_equal(compressed_open("-", c, &e), 0);
	if (saved >= 0) {
		dup2(saved, STDIN_FILENO);
		close(saved);
	} else {
		close(STDIN_FILENO);
	}
}

static void
plain_pipe_gives_its_first_bytes_too(void **state)
{
	struct compressed c;

	(void)state;
	open_pipe("abcdef", 6, &c);
	assert_false(c.is_plain);
	assert_int_equal(c.size, 0);
	assert_int_equal(read_all(&c), 6);
	assert_memory_equal(got, "abcdef", 6);
	assert_int_equal(compressed_position(&c), 6);
	compressed_close(&c);
}

static void
pipe_shorter_than_a_magic_number_is_plain(void **state)
{
	struct compressed c;

	(void)state;
	open_pipe("a", 1, &c);
	assert_int_equal(read_all(&c), 1);
	compressed_close(&c);
}

static void
gzip_pipe_is_unpacked(void **state)
{
	/* printf hello | gzip -n */
	static const unsigned char hello[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xcb,
	    0x48, 0xcd, 0xc9, 0xc9, 7, 0, 0x86, 0xa6, 0x10, 0x36, 5, 0, 0, 0};
	struct compressed c;

	(void)state;
	open_pipe(hello, sizeof hello, &c);
	assert_int_equal(read_all(&c), 5);
	assert_memory_equal(got, "hello", 5);
	compressed_close(&c);
}

static void
missing_file_is_named(void **state)
{
	struct compressed c;
	struct err e;

	(void)state;
	assert_int_equal(compressed_open("/nowhere/x", &c, &e), -ENOENT);
	assert_string_equal(e.text, "/nowhere/x: No such file or directory");
}

static void
directory_is_refused(void **state)
{
	struct compressed c;
	struct err e;

	(void)state;
	assert_int_equal(compressed_open("/tmp", &c, &e), -EISDIR);
	assert_string_equal(e.text, "/tmp: is a directory (expected a file)");
}

static void
stream_may_be_taken_over(void **state)
{
	struct compressed c;

	(void)state;
	write_file(packed, pack_gzip(packed, sizeof packed));
	open_file(&c);
	assert_int_equal(fclose(c.stream), 0);
	c.stream = NULL;
	compressed_close(&c);
}

struct slow_pipe {
	const char *left;
	int end;
};

/* Brings the next byte, or says that reading is to end. */
static int
bring(int fd, void *data)
{
	struct slow_pipe *p = data;

	(void)fd;
	if (*p->left == '\0') {
		return -EINTR;
	}
	assert_int_equal(write(p->end, p->left++, 1), 1);
	return 0;
}

static void
who_waits_for_a_pipe_is_asked_before_each_read(void **state)
{
	struct slow_pipe data = {.left = "efg"};
	struct compressed c;
	char name[32], bytes[16];
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	data.end = ends[1];
	assert_int_equal(write(ends[1], "abcd", 4), 4); /* looked at when it opens */
	snprintf(name, sizeof name, "/dev/fd/%d", ends[0]);
	assert_int_equal(compressed_open(name, &c, NULL), 0);
	compressed_set_wait(&c, bring, &data);
	assert_int_equal(fread(bytes, 1, sizeof bytes, c.stream), 7);
	assert_memory_equal(bytes, "abcdefg", 7);
	assert_true(ferror(c.stream));
	assert_string_equal(compressed_error(&c), strerror(EINTR));
	compressed_close(&c);
	close(ends[0]);
	close(ends[1]);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
	    TEST(plain_file_reads_as_it_is),
	    TEST(gzip_file_is_unpacked),
	    TEST(zstd_file_is_unpacked),
	    TEST(plain_file_may_be_read_through_its_descriptor),
	    TEST(compressed_file_is_not_plain),
	    TEST(two_gzip_members_read_as_one_text),
	    TEST(two_zstd_frames_read_as_one_text),
	    TEST(padding_after_gzip_is_ignored),
	    TEST(gzip_cut_short_gives_what_came_before),
	    TEST(zstd_cut_short_gives_what_came_before),
	    TEST(damaged_gzip_is_a_read_error),
	    TEST(damaged_zstd_is_a_read_error),
	    TEST(empty_file_is_plain_and_ends_at_once),
	    TEST(plain_pipe_gives_its_first_bytes_too),
	    TEST(pipe_shorter_than_a_magic_number_is_plain),
	    TEST(gzip_pipe_is_unpacked),
	    TEST(who_waits_for_a_pipe_is_asked_before_each_read),
	    TEST(missing_file_is_named),
	    TEST(directory_is_refused),
	    TEST(stream_may_be_taken_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
