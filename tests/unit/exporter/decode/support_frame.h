/* Frames for tests, written as people read them: addresses as text, the rest as hex. */
#ifndef TESTS_EXPORTER_DECODE_SUPPORT_FRAME_H
#define TESTS_EXPORTER_DECODE_SUPPORT_FRAME_H

#include <stdint.h>

#include "common/capture/capture.h"

#define FRAME_MAX 4096

#define FRAME_ETHERNET 1
#define FRAME_RAW      12

struct frame {
	uint8_t bytes[FRAME_MAX];
	uint32_t length;
};

/* Appends hex digits; blanks are for reading. */
void frame_hex(struct frame *f, const char *hex);
void frame_zeros(struct frame *f, uint32_t n);
/* An Ethernet header. */
void frame_ethernet(struct frame *f, uint16_t type);
/* An IPv4 header and its payload.  fragment: the header's flags and offset word. */
void frame_ipv4(struct frame *f, const char *source, const char *destination,
    uint8_t protocol, uint16_t fragment, const char *payload);
void frame_ipv6(struct frame *f, const char *source, const char *destination,
    uint8_t next, const char *payload);
/* The frame as it would be captured whole. */
struct capture_packet frame_packet(const struct frame *f, int link_type);

#endif
