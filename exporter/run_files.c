#include <string.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "common/log.h"
#include "exporter/run_state.h"
#include "exporter/stop.h"

/* Bytes of all files, for progress; 0: one of them is a pipe. */
static uint64_t
size_of_files(const struct option_list *files)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < files->count; i++) {
		struct stat s;
		if (strcmp(files->items[i], "-") == 0 ||
		    stat(files->items[i], &s) != 0 || !S_ISREG(s.st_mode)) {
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
		progress_draw(&r->progress, now_ns, done + c.position, all,
		    run_packets_read(r), "packets");
	}
}

/* Packets still wanted by --count, at most a chunk. */
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

static int
read_file(struct run *r, uint64_t done, uint64_t all)
{
	struct err e;
	unsigned n;
	int rc = 0;

	while ((n = chunk(r)) > 0 && !run_is_stopped(r)) {
		rc = pipeline_read(r->pipelines[0], n, &e);
		if (rc <= 0) {
			break;
		}
		look_up(r, done, all);
	}
	if (rc < 0 && !stop_is_asked()) {
		log_error("%s", e.text);
		return rc;
	}
	return 0;
}

/* A damaged file ends where it is damaged; the next ones are read, and the exit status
 * tells. */
int
run_files(struct run *r)
{
	const struct option_list *files = &r->o->files;
	uint64_t all = size_of_files(files), done = 0;
	int worst = 0;

	if (r->o->progress != PROGRESS_NEVER) {
		progress_begin(&r->progress, r->o->progress == PROGRESS_ALWAYS,
		    clock_monotonic_ns());
	}
	for (unsigned i = 0; i < files->count && !run_is_stopped(r); i++) {
		struct err e;
		int rc = i == 0 ? 0 : run_open_file(r, i, &e);
		if (rc < 0) {
			log_error("%s", e.text);
		} else {
			rc = read_file(r, done, all);
			run_close_file(r, i);
			done += r->captures[i].counts.size;
		}
		worst = rc < 0 ? rc : worst;
	}
	progress_end(&r->progress);
	return worst;
}
