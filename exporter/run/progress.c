#include "exporter/run/progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/digits.h"

#define BAR         24u
#define INTERVAL_NS 200000000ULL
#define LINE        160u

void
progress_begin(struct progress *p, bool is_forced, uint64_t now_ns)
{
	*p = (struct progress){
	    .is_on = is_forced || isatty(STDERR_FILENO) == 1,
	    .begin_ns = now_ns,
	    .next_ns = now_ns + INTERVAL_NS,
	};
}

/* "1:02:03", "2:03", "0:03" */
static void
print_time_left(char *out, size_t capacity, uint64_t seconds)
{
	unsigned long long h = seconds / 3600, m = seconds / 60 % 60, s = seconds % 60;

	if (h > 0) {
		(void)snprintf(out, capacity, "%llu:%02llu:%02llu", h, m, s);
	} else {
		(void)snprintf(out, capacity, "%llu:%02llu", m, s);
	}
}

static unsigned
terminal_width(void)
{
	struct winsize w;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &w) != 0 || w.ws_col == 0) {
		return 100;
	}
	return w.ws_col;
}

static void
print_line(char line[static LINE], const struct progress_point *at, uint64_t elapsed_ns)
{
	double seconds = (double)elapsed_ns / (double)NS_PER_SECOND;
	double share = at->all == 0 ? 0 : (double)at->done / (double)at->all;
	char rate[32], count[32], left[32] = "", bar[BAR + 1];
	unsigned full;

	share = share > 1 ? 1 : share;
	digits_short(rate, (uint64_t)((double)at->count / (seconds + 1e-9)));
	digits_short(count, at->count);
	if (at->all == 0) {
		(void)snprintf(line, LINE, " %s %s  %s/s", count, at->unit, rate);
		return;
	}
	full = (unsigned)(share * BAR);
	memset(bar, '#', full);
	memset(bar + full, '-', BAR - full);
	bar[BAR] = '\0';
	if (share > 0) {
		print_time_left(
		    left, sizeof left, (uint64_t)(seconds / share * (1 - share) + 0.5));
	}
	(void)snprintf(line, LINE, "%3u %% [%s] %s %s  %s/s  %s left",
	    (unsigned)(share * 100), bar, count, at->unit, rate, left);
}

void
progress_draw(struct progress *p, const struct progress_point *at, uint64_t now_ns)
{
	char line[LINE];
	unsigned width = terminal_width();

	print_line(line, at, now_ns - p->begin_ns);
	fprintf(stderr, "\r%.*s\033[K", (int)(width > 1 ? width - 1 : 1), line);
	(void)fflush(stderr);
	p->next_ns = now_ns + INTERVAL_NS;
}

void
progress_end(struct progress *p)
{
	if (p->is_on) {
		fputs("\r\033[K", stderr);
		(void)fflush(stderr);
	}
	p->is_on = false;
}
