#include "tests/unit/exporter/decode/support_frame.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "common/base/cursor.h"

void
frame_hex(struct frame *f, const char *hex)
{
	unsigned byte;

	while (*hex != '\0') {
		if (*hex == ' ') {
			hex++;
			continue;
		}
		assert(f->length < FRAME_MAX && sscanf(hex, "%2x", &byte) == 1);
		f->bytes[f->length++] = (uint8_t)byte;
		hex += 2;
	}
}

void
frame_zeros(struct frame *f, uint32_t n)
{
	assert(f->length + n <= FRAME_MAX);
	memset(f->bytes + f->length, 0, n);
	f->length += n;
}

void
frame_ethernet(struct frame *f, uint16_t type)
{
	frame_hex(f, "02 00 00 00 00 02  02 00 00 00 00 01  00 00");
	store_u16(f->bytes + f->length - 2, type);
}

void
frame_ipv4(struct frame *f, const char *source, const char *destination,
    uint8_t protocol, uint16_t fragment, const char *payload)
{
	uint32_t begin = f->length;
	uint8_t *ip = f->bytes + begin;

	frame_hex(f, "45 00 00 00  12 34 00 00  40 00 00 00  00 00 00 00 00 00 00 00");
	assert(inet_pton(AF_INET, source, ip + 12) == 1);
	assert(inet_pton(AF_INET, destination, ip + 16) == 1);
	ip[9] = protocol;
	store_u16(ip + 6, fragment);
	frame_hex(f, payload);
	store_u16(ip + 2, (uint16_t)(f->length - begin));
}

void
frame_ipv6(struct frame *f, const char *source, const char *destination, uint8_t next,
    const char *payload)
{
	uint32_t begin = f->length;
	uint8_t *ip = f->bytes + begin;

	frame_hex(f, "60 00 00 00  00 00 00 40");
	frame_zeros(f, 32);
	assert(inet_pton(AF_INET6, source, ip + 8) == 1);
	assert(inet_pton(AF_INET6, destination, ip + 24) == 1);
	ip[6] = next;
	frame_hex(f, payload);
	store_u16(ip + 4, (uint16_t)(f->length - begin - 40));
}

struct capture_packet
frame_packet(const struct frame *f, int link_type)
{
	return (struct capture_packet){
	    .bytes = f->bytes,
	    .captured = f->length,
	    .wire = f->length,
	    .link_type = link_type,
	    .time_ns = 1000000000,
	};
}
