/* pcapng files: sections, interfaces of different kinds, all packet blocks, any time
 * resolution.  (libpcap refuses a file whose interfaces differ in link type or snapshot
 * length, which dumpcap writes for more than one -i.) */
#ifndef COMMON_CAPTURE_CAPTURE_NG_H
#define COMMON_CAPTURE_CAPTURE_NG_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/capture/capture.h"
#include "common/capture/input.h"

struct capture_ng_interface;

struct capture_ng {
	struct input *source; /* borrowed */
	bool is_swapped;      /* this section is in the other byte order */
	bool has_ended, cut_short;
	uint64_t block_at;                       /* offset of the block at hand */
	struct capture_ng_interface *interfaces; /* of this section */
	uint32_t count;
};

/* Looks at the first bytes, which the source must hold unless the file is shorter. */
bool capture_ng_is(const struct input *source);
void capture_ng_begin(struct input *source, struct capture_ng *ret);
/* As capture_next(). */
int capture_ng_next(struct capture_ng *c, struct capture_packet *ret, struct err *e);
void capture_ng_end(struct capture_ng *c);

#endif
