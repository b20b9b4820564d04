#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "exporter/run/run_private.h"
#include "exporter/run/signals.h"

static bool
is_regular(const char *path, struct stat *ret)
{
	return strcmp(path, "-") != 0 && stat(path, ret) == 0 && S_ISREG(ret->st_mode);
}

/* Size of all files together, for progress; 0: one of them is a pipe. */
static uint64_t
size_of_files(const struct option_list *files)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < files->count; i++) {
		struct stat s;
		if (!is_regular(files->items[i], &s)) {
			return 0;
		}
		sum += (uint64_t)s.st_size;
	}
	return sum;
}

static void
look_up(struct run *r, uint64_t done, uint64_t all)
{
	uint64_t now_ns = clock_monotonic_ns();

	r->now_ns = clock_realtime_ns();
	run_statistics(r, pipeline_time(r->pipelines[0]));
	run_metrics(r);
	if (progress_is_due(&r->progress, now_ns)) {
		struct capture_counts c;
		capture_counts(r->open[0], &c);
		progress_draw(&r->progress,
		    &(struct progress_point){
			done + c.position, all, run_packets_read(r), "packets"},
		    now_ns);
	}
}

/* Packets to read next: a chunk, or what --count leaves. */
static unsigned
chunk(const struct run *r)
{
	uint64_t read;

	if (r->o->count == 0) {
		return RUN_CHUNK;
	}
	read = run_packets_read(r);
	if (read >= r->o->count) {
		return 0;
	}
	return r->o->count - read < RUN_CHUNK ? (unsigned)(r->o->count - read)
					      : RUN_CHUNK;
}

static uint64_t
unknown_so_far(const struct run *r)
{
	struct pipeline_counts c;

	pipeline_counts(r->pipelines[0], &c);
	return c.dropped[PACKET_LINK_UNKNOWN];
}

/* A capture of an unsupported link type must not look like one without traffic. */
static void
tell_unknown(const struct run *r, unsigned i, uint64_t before)
{
	uint64_t n = unknown_so_far(r) - before;

	if (n > 0) {
		log_warning("%s: skipped %" PRIu64 " packets of an unsupported link "
			    "type (Ethernet, Linux cooked, raw IP, PPP, Cisco HDLC "
			    "and loopback are supported)",
		    r->o->files.items[i], n);
	}
}

static void
tell_cut_short(const struct run *r, unsigned i)
{
	if (r->captures[i].counts.cut_short > 0 && !signals_stop_asked()) {
		log_warning("%s: ends in the middle of a packet; the packets before "
			    "it are counted",
		    r->o->files.items[i]);
	}
}

static int
read_file(struct run *r, uint64_t done, uint64_t all)
{
	struct err e;
	unsigned n;
	int rc = 0;

	capture_set_wait(r->open[0], run_await, r);
	while ((n = chunk(r)) > 0 && !run_is_stopped(r)) {
		rc = pipeline_read(r->pipelines[0], n, &e);
		if (rc <= 0) {
			break;
		}
		look_up(r, done, all);
	}
	if (rc < 0 && !signals_stop_asked()) {
		log_error("%s", e.text);
		return rc;
	}
	return 0;
}

/* Opening a pipe may block for long: send earlier records first. */
static int
open_next(struct run *r, unsigned i, struct err *e)
{
	struct stat s;

	if (!is_regular(r->o->files.items[i], &s)) {
		export_flush(r->export, r->now_ns);
	}
	return run_open_file(r, i, e);
}

/* A damaged file ends where it is damaged; the remaining files are read, and the exit
 * status reports the failure. */
int
run_files(struct run *r)
{
	const struct option_list *files = &r->o->files;
	uint64_t all = size_of_files(files), done = 0;
	int worst = 0;

	if (r->o->shared.progress != PROGRESS_NEVER) {
		progress_begin(&r->progress, r->o->shared.progress == PROGRESS_ALWAYS,
		    clock_monotonic_ns());
	}
	for (unsigned i = 0; i < files->count && !run_is_stopped(r); i++) {
		struct err e;
		int rc = i == 0 ? 0 : open_next(r, i, &e);
		if (rc < 0) {
			log_error("%s", e.text);
		} else {
			uint64_t unknown = unknown_so_far(r);
			rc = read_file(r, done, all);
			tell_unknown(r, i, unknown);
			run_close_file(r, i);
			tell_cut_short(r, i);
			done += r->captures[i].counts.size;
		}
		worst = rc < 0 ? rc : worst;
	}
	progress_end(&r->progress);
	return worst;
}
