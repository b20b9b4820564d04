#include "collector/run/metrics_timer.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/tls/tls_expiry.h"

#define EVERY_NS   (10 * NS_PER_SECOND)
#define PUBLISH_NS NS_PER_SECOND

struct metrics_timer {
	struct metrics_timer_settings settings;
	struct loop *loop;
	struct loop_timer timer;
	struct tls_expiry expiry;
	uint64_t warned_ns;    /* monotonic */
	bool is_told;          /* a failure to write the file has been logged */
	uint64_t published_ns; /* the processing thread's */
	pthread_mutex_t lock;  /* of what follows */
	struct process_counts process;
	struct tables_counts tables;
};

static void
warn(struct metrics_timer *t, uint64_t now_ns)
{
	uint64_t now_s = clock_realtime_ns() / NS_PER_SECOND;
	struct err e;

	t->warned_ns = now_ns;
	for (unsigned i = 0; i < TLS_PAPERS; i++) {
		if (tls_expiry_warn(&t->settings.tls, &t->expiry, i, now_s, &e) < 0) {
			log_warning("%s", e.text);
		}
	}
}

static void
write_file(struct metrics_timer *t)
{
	struct summary s = {.is_live = true, .expiry = t->expiry};
	struct rusage usage;
	struct err e;

	t->settings.sum_up(&s, t->settings.data);
	pthread_mutex_lock(&t->lock);
	s.process = t->process;
	s.tables = t->tables;
	pthread_mutex_unlock(&t->lock);
	s.cpu_ns = clock_cpu_ns();
	if (getrusage(RUSAGE_SELF, &usage) == 0) {
		s.memory_bytes = (uint64_t)usage.ru_maxrss * 1024;
	}
	if (summary_write_metrics(&s, t->settings.path, &e) == 0) {
		t->is_told = false;
	} else if (!t->is_told) {
		log_warning("%s; retrying", e.text);
		t->is_told = true;
	}
	free(s.udp);
}

static void
expired(struct loop_timer *timer, uint64_t now_ns)
{
	struct metrics_timer *t = timer->data;

	loop_timer_set(t->loop, timer, now_ns + EVERY_NS);
	if (now_ns - t->warned_ns >= NS_PER_DAY) {
		warn(t, now_ns);
	}
	if (t->settings.path != NULL) {
		write_file(t);
	}
}

void
metrics_timer_reload(struct metrics_timer *t)
{
	tls_expiry_read(&t->settings.tls, &t->expiry);
	warn(t, clock_monotonic_ns());
}

int
metrics_timer_new(const struct metrics_timer_settings *s, struct loop *loop,
    struct metrics_timer **ret, struct err *e)
{
	struct metrics_timer *t = calloc(1, sizeof *t);

	if (t == NULL) {
		return err_set(e, -ENOMEM, "out of memory");
	}
	t->settings = *s;
	t->loop = loop;
	pthread_mutex_init(&t->lock, NULL);
	t->timer = (struct loop_timer){.expired = expired, .data = t};
	metrics_timer_reload(t);
	loop_timer_set(loop, &t->timer, clock_monotonic_ns());
	*ret = t;
	return 0;
}

void
metrics_timer_publish(struct metrics_timer *t, const struct process *p,
    const struct tables *tables, uint64_t now_ns)
{
	if (now_ns - t->published_ns < PUBLISH_NS) {
		return;
	}
	t->published_ns = now_ns;
	pthread_mutex_lock(&t->lock);
	process_counts(p, &t->process);
	tables_counts(tables, &t->tables);
	pthread_mutex_unlock(&t->lock);
}

const struct tls_expiry *
metrics_timer_expiry(const struct metrics_timer *t)
{
	return &t->expiry;
}

void
metrics_timer_free(struct metrics_timer *t)
{
	if (t != NULL) {
		loop_timer_clear(t->loop, &t->timer);
		pthread_mutex_destroy(&t->lock);
		free(t);
	}
}
