/* Classic pcap files (version 2.4, both byte orders, micro- and nanoseconds), read in
 * place: three times as fast as libpcap, which reads all other formats. */
#ifndef COMMON_CAPTURE_CAPTURE_CLASSIC_H
#define COMMON_CAPTURE_CAPTURE_CLASSIC_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/capture/capture.h"
#include "common/capture/input.h"

struct capture_classic {
	struct input *source; /* borrowed */
	bool is_swapped;
	bool has_ended, cut_short; /* in the middle of a packet */
	uint32_t fraction_ns;      /* what one unit of the second half of a time is */
	int link_type;             /* LINKTYPE_* */
};

#define CAPTURE_CLASSIC_HEADER 24

/* Looks at the first bytes, which the source must hold unless the file is shorter.
 * True: a file for this reader; *ret is filled and the header read. */
bool capture_classic_begin(struct input *source, struct capture_classic *ret);
/* As capture_next(). */
int capture_classic_next(
    struct capture_classic *c, struct capture_packet *ret, struct err *e);

#endif
