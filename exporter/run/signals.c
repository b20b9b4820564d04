#include "exporter/run/signals.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static atomic_int asked; /* signals so far; two may reach two threads at once */
static int event = -1;
static void (*volatile hurry_up)(void *data);
static void *volatile hurry_data;

static void
ask(int signal_number)
{
	int saved = errno;
	uint64_t one = 1;
	int times = atomic_fetch_add(&asked, 1) + 1;
	ssize_t n;

	n = write(event, &one, sizeof one);
	(void)n; /* it is readable already */
	if (times == 2 && hurry_up != NULL) {
		hurry_up(hurry_data);
	} else if (times > 2) {
		(void)signal(signal_number, SIG_DFL);
		(void)raise(signal_number);
	}
	errno = saved;
}

void
signals_on_hurry(void (*hurry)(void *data), void *data)
{
	hurry_up = NULL;
	hurry_data = data;
	hurry_up = hurry;
	if (hurry != NULL && atomic_load(&asked) >= 2) { /* both signals came earlier */
		hurry(data);
	}
}

int
signals_init(struct err *e)
{
	/* No SA_RESTART: reading from a pipe must end too. */
	struct sigaction a = {.sa_handler = ask};

	event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (event < 0) {
		return err_set(e, -errno, "eventfd: %s", strerror(errno));
	}
	(void)sigemptyset(&a.sa_mask);
	(void)sigaction(SIGINT, &a, NULL);
	(void)sigaction(SIGTERM, &a, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	return 0;
}

bool
signals_stop_asked(void)
{
	return asked > 0;
}

int
signals_fd(void)
{
	return event;
}
