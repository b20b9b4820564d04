#include <errno.h>
#include <poll.h>

#include "common/base/clock.h"
#include "exporter/run/run_private.h"
#include "exporter/run/signals.h"

#define WAIT_MS 250
/* A capture whose last packet is at most this old is being made right now, so packet
 * time goes on while the pipe is silent.  An old capture that arrives slowly keeps its
 * own time. */
#define PRESENT_NS (5 * NS_PER_SECOND)

static bool
is_present(uint64_t packet_ns, uint64_t now_ns)
{
	return packet_ns <= now_ns ? now_ns - packet_ns <= PRESENT_NS
				   : packet_ns - now_ns <= PRESENT_NS;
}

/* Nothing to read.  Traces have no pipeline: their records are complete. */
static void
idle(struct run *r, uint64_t now_ns)
{
	struct pipeline *p = r->pipeline_count == 0 ? NULL : r->pipelines[0];

	if (p == NULL) {
		return;
	}
	pipeline_catch_up(p);
	if (packet_clock_packet(&r->pace, pipeline_time(p), now_ns)) {
		r->is_present = is_present(pipeline_time(p), r->now_ns);
	} else if (r->is_present) {
		packet_clock_tick(&r->pace, p, now_ns);
	}
}

int
run_await(int fd, void *run)
{
	struct run *r = run;
	struct pollfd polls[] = {{fd, POLLIN, 0}, {signals_fd(), POLLIN, 0}};
	int n;

	do {
		uint64_t now_ns;
		n = poll(polls, 2, WAIT_MS);
		if (n < 0 && errno != EINTR) {
			return -errno;
		}
		if (signals_stop_asked()) {
			return -EINTR;
		}
		now_ns = clock_monotonic_ns();
		r->now_ns = clock_realtime_ns();
		if (n <= 0) {
			idle(r, now_ns);
		}
		run_each_second(r, now_ns,
		    r->pipeline_count == 0 ? 0 : pipeline_time(r->pipelines[0]));
	} while (n <= 0);
	return 0;
}
