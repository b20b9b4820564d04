/* Capture files made byte by byte, for tests, and what is read of them. */
#ifndef TESTS_COMMON_CAPTURE_SUPPORT_CAPTURE_H
#define TESTS_COMMON_CAPTURE_SUPPORT_CAPTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/capture/capture.h"

struct made_file {
	uint8_t bytes[1 << 20];
	size_t length;
	bool is_big;
};

extern struct made_file made; /* numbers in the byte order that is asked for */
extern char made_path[64];
extern struct capture *made_capture;
extern struct capture_packet made_packet;
extern struct err made_err;
extern struct capture_settings made_all;

#define MADE_TEST(f) cmocka_unit_test_setup_teardown(f, made_set_up, made_tear_down)

void made_bytes(const void *bytes, size_t n);
void made_u16(uint16_t v);
void made_u32(uint32_t v);
void made_classic(bool is_big, uint32_t magic, uint32_t link_type);
void made_classic_packet(
    uint32_t s, uint32_t fraction, const char *bytes, uint32_t captured, uint32_t wire);
/* Ends the block that began at `at`: pads, and writes both lengths. */
void made_block_end(size_t at);
void made_section(bool is_big);
/* resolution: if_tsresol, 0: without the option.  offset: if_tsoffset, likewise. */
void made_interface(
    uint16_t link_type, uint32_t snaplen, uint8_t resolution, int32_t offset);
void made_enhanced(uint32_t interface, uint64_t ticks, const char *bytes,
    uint32_t captured, uint32_t wire);
void made_write(const void *bytes, size_t n);
/* Writes what was made to made_path, and opens it as made_capture. */
int made_open_with(const char *filter);
void made_open(void);
int made_next(void);
void made_expect(uint64_t time_ns, const char *bytes, uint32_t captured, uint32_t wire);
struct capture_counts made_counts(void);
int made_set_up(void **state);
int made_tear_down(void **state);

#endif
