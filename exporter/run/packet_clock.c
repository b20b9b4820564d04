#include "exporter/run/packet_clock.h"

#include "common/base/clock.h"
#include "exporter/run/pipeline.h"

bool
packet_clock_packet(struct packet_clock *p, uint64_t packet_ns, uint64_t now_ns)
{
	if (packet_ns == p->packet_ns) {
		return false;
	}
	*p = (struct packet_clock){packet_ns, now_ns, now_ns};
	return true;
}

void
packet_clock_tick(struct packet_clock *p, struct pipeline *pipeline, uint64_t now_ns)
{
	if (p->packet_ns != 0 && now_ns - p->ticked_ns >= NS_PER_SECOND) {
		pipeline_tick(pipeline, p->packet_ns + (now_ns - p->monotonic_ns));
		p->ticked_ns = now_ns;
	}
}
