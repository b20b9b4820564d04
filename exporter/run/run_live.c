#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "exporter/run/packet_clock.h"
#include "exporter/run/run_private.h"
#include "exporter/run/signals.h"

#define CHUNK   1024u /* packets of one interface before the next one's turn */
#define WAIT_MS 250

#define DRAIN_NS      (NS_PER_SECOND / 5) /* twice the kernel's timeout for a block */
#define DRAIN_STEP_MS 20

struct live {
	struct run *r;
	struct pollfd *polls; /* one per interface, then stop */
	struct packet_clock *paces;
	unsigned alive;
};

/* Packets that the kernel drops from now on do not count. */
static void
end_interface(struct live *l, unsigned i)
{
	struct run *r = l->r;

	capture_counts(r->open[i], &r->captures[i].counts);
	capture_close(r->open[i]);
	r->open[i] = NULL;
	l->polls[i].fd = -1;
}

static void
lose(struct live *l, unsigned i, const struct err *e)
{
	log_error("%s", e->text);
	end_interface(l, i);
	l->alive--;
}

/* Reads one interface; true when more packets are waiting. */
static bool
read_interface(struct live *l, unsigned i, uint64_t now_ns)
{
	struct run *r = l->r;
	struct packet_clock *p = &l->paces[i];
	struct err e;
	int rc = pipeline_read(r->pipelines[i], CHUNK, &e);

	if (!packet_clock_packet(p, pipeline_time(r->pipelines[i]), now_ns) &&
	    rc == 0) {
		packet_clock_tick(p, r->pipelines[i], now_ns);
	}
	if (rc < 0) {
		lose(l, i, &e);
	}
	return rc > 0;
}

static bool
is_over(const struct live *l, uint64_t now_ns)
{
	const struct options *o = l->r->o;

	return run_is_stopped(l->r) || l->alive == 0 ||
	       (o->duration_ns != 0 && now_ns - l->r->begin_ns >= o->duration_ns) ||
	       (o->count != 0 && run_packets_read(l->r) >= o->count);
}

static void
loop(struct live *l)
{
	struct run *r = l->r;
	uint64_t now_ns = clock_monotonic_ns();

	while (!is_over(l, now_ns)) {
		bool is_busy = false;
		now_ns = clock_monotonic_ns();
		r->now_ns = clock_realtime_ns();
		for (unsigned i = 0; i < r->pipeline_count; i++) {
			if (r->open[i] != NULL && read_interface(l, i, now_ns)) {
				is_busy = true;
			}
		}
		run_each_second(r, now_ns, r->now_ns);
		if (!is_busy) {
			(void)poll(l->polls, r->pipeline_count + 1, WAIT_MS);
		}
	}
}

/* Packets from before the end may still be in a kernel buffer that is not full yet:
 * reads on until the kernel has handed it over.  Bounded in time, because traffic does
 * not stop. */
static void
drain(struct live *l)
{
	uint64_t end_ns = clock_monotonic_ns() + DRAIN_NS, now_ns;

	if (l->r->o->count != 0) {
		return;
	}
	while ((now_ns = clock_monotonic_ns()) < end_ns) {
		bool is_busy = false;
		for (unsigned i = 0; i < l->r->pipeline_count; i++) {
			if (l->r->open[i] != NULL && read_interface(l, i, now_ns)) {
				is_busy = true;
			}
		}
		if (!is_busy) {
			(void)poll(l->polls, l->r->pipeline_count, DRAIN_STEP_MS);
		}
	}
}

int
run_live(struct run *r)
{
	unsigned n = r->pipeline_count;
	struct live l = {
	    .r = r,
	    .polls = calloc(n + 1, sizeof *l.polls),
	    .paces = calloc(n, sizeof *l.paces),
	    .alive = n,
	};
	int rc = 0;

	if (l.polls == NULL || l.paces == NULL) {
		log_error("out of memory");
		rc = -ENOMEM;
		goto out;
	}
	for (unsigned i = 0; i < n; i++) {
		l.polls[i] = (struct pollfd){capture_fd(r->open[i]), POLLIN, 0};
		log_info("capturing on %s", capture_name(r->open[i]));
	}
	l.polls[n] = (struct pollfd){signals_fd(), POLLIN, 0};
	loop(&l);
	drain(&l);
	for (unsigned i = 0; i < n; i++) {
		if (r->open[i] != NULL) {
			end_interface(&l, i);
		}
	}
	rc = l.alive == 0 ? -EIO : 0;
out:
	free(l.polls);
	free(l.paces);
	return rc;
}
