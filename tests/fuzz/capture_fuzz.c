/* Whole capture files (pcap, pcapng, compressed or not), their packets decoded too;
 * with a filter must come what comes without one and passes it. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/capture/capture.h"
#include "exporter/decode/decode.h"
#include "tests/fuzz/support_memory_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static volatile uint8_t touched; /* so that the bytes are read indeed */

static uint64_t
read_all(const char *path, const char *filter)
{
	struct capture_settings s = {.filter = filter};
	struct capture_counts counts;
	struct capture_packet in;
	struct capture *c;
	struct decoder *d;
	struct packet out;
	struct err e;
	uint64_t n = 0;
	uint8_t sum = 0;

	if (capture_open_file(path, &s, &c, &e) < 0) {
		return 0;
	}
	d = decoder_new(false);
	while (capture_next(c, &in, &e) > 0) {
		if (in.captured > in.wire) {
			abort();
		}
		for (uint32_t i = 0; i < in.captured; i++) {
			sum ^= in.bytes[i];
		}
		decode_packet(d, &in, &out);
		n++;
	}
	capture_counts(c, &counts);
	if (counts.received != n) {
		abort();
	}
	touched = sum;
	decoder_free(d);
	capture_close(c);
	return n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	const char *path = memory_file(bytes, length);
	uint64_t n = read_all(path, NULL);

	if (read_all(path, "len >= 20") > n) {
		abort();
	}
	return 0;
}
