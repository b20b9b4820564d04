#include "tests/unit/common/capture/support_capture.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <endian.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct made_file made;
char made_path[64];
struct capture *made_capture;
struct capture_packet made_packet;
struct err made_err;
struct capture_settings made_all;

void
made_bytes(const void *bytes, size_t n)
{
	assert_true(made.length + n <= sizeof made.bytes);
	memcpy(made.bytes + made.length, bytes, n);
	made.length += n;
}

void
made_u16(uint16_t v)
{
	v = made.is_big ? htobe16(v) : htole16(v);
	made_bytes(&v, sizeof v);
}

void
made_u32(uint32_t v)
{
	v = made.is_big ? htobe32(v) : htole32(v);
	made_bytes(&v, sizeof v);
}

void
made_classic(bool is_big, uint32_t magic, uint32_t link_type)
{
	made.length = 0;
	made.is_big = is_big;
	made_u32(magic);
	made_u16(2);
	made_u16(4);
	made_u32(0);
	made_u32(0);
	made_u32(65535);
	made_u32(link_type);
}

void
made_classic_packet(
    uint32_t s, uint32_t fraction, const char *bytes, uint32_t captured, uint32_t wire)
{
	made_u32(s);
	made_u32(fraction);
	made_u32(captured);
	made_u32(wire);
	made_bytes(bytes, captured);
}

void
made_block_end(size_t at)
{
	uint32_t length;

	while (made.length % 4 != 0) {
		made_bytes("", 1);
	}
	length = (uint32_t)(made.length + 4 - at);
	made_u32(length);
	length = made.is_big ? htobe32(length) : htole32(length);
	memcpy(made.bytes + at + 4, &length, sizeof length);
}

void
made_section(bool is_big)
{
	size_t at = made.length;

	made.is_big = is_big;
	made_u32(0x0a0d0d0a);
	made_u32(0);
	made_u32(0x1a2b3c4d);
	made_u16(1);
	made_u16(0);
	made_u32(0xffffffff);
	made_u32(0xffffffff);
	made_block_end(at);
}

void
made_interface(uint16_t link_type, uint32_t snaplen, uint8_t resolution, int32_t offset)
{
	size_t at = made.length;

	made_u32(1);
	made_u32(0);
	made_u16(link_type);
	made_u16(0);
	made_u32(snaplen);
	if (resolution != 0) {
		made_u16(9);
		made_u16(1);
		made_bytes((uint8_t[4]){resolution}, 4);
	}
	if (offset != 0) {
		made_u16(14);
		made_u16(8);
		made_u32(made.is_big ? offset < 0 ? 0xffffffff : 0 : (uint32_t)offset);
		made_u32(made.is_big ? (uint32_t)offset : offset < 0 ? 0xffffffff : 0);
	}
	made_block_end(at);
}

void
made_enhanced(uint32_t interface, uint64_t ticks, const char *bytes, uint32_t captured,
    uint32_t wire)
{
	size_t at = made.length;

	made_u32(6);
	made_u32(0);
	made_u32(interface);
	made_u32((uint32_t)(ticks >> 32));
	made_u32((uint32_t)ticks);
	made_u32(captured);
	made_u32(wire);
	made_bytes(bytes, captured);
	made_block_end(at);
}

void
made_write(const void *bytes, size_t n)
{
	int fd = open(made_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, n), (ssize_t)n);
	close(fd);
}

int
made_open_with(const char *filter)
{
	struct capture_settings s = {.filter = filter};

	made_write(made.bytes, made.length);
	return capture_open_file(made_path, &s, &made_capture, &made_err);
}

void
made_open(void)
{
	assert_int_equal(made_open_with(NULL), 0);
}

int
made_next(void)
{
	return capture_next(made_capture, &made_packet, &made_err);
}

void
made_expect(uint64_t time_ns, const char *bytes, uint32_t captured, uint32_t wire)
{
	assert_int_equal(made_next(), 1);
	assert_int_equal(made_packet.time_ns, time_ns);
	assert_int_equal(made_packet.captured, captured);
	assert_int_equal(made_packet.wire, wire);
	assert_memory_equal(made_packet.bytes, bytes, captured);
}

struct capture_counts
made_counts(void)
{
	struct capture_counts c;

	capture_counts(made_capture, &c);
	return c;
}

int
made_set_up(void **state)
{
	int fd;

	(void)state;
	strcpy(made_path, "/tmp/capture_test.XXXXXX");
	fd = mkstemp(made_path);
	close(fd);
	made_capture = NULL;
	made.length = 0;
	made_err.text[0] = '\0';
	return fd < 0;
}

int
made_tear_down(void **state)
{
	(void)state;
	capture_close(made_capture);
	unlink(made_path);
	return 0;
}
