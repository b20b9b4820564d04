#include "exporter/stop.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static volatile sig_atomic_t is_asked;
static int event = -1;

static void
ask(int signal)
{
	int saved = errno;
	uint64_t one = 1;
	ssize_t n;

	(void)signal;
	is_asked = 1;
	n = write(event, &one, sizeof one);
	(void)n; /* it is readable already */
	errno = saved;
}

int
stop_init(struct err *e)
{
	/* No SA_RESTART: reading from a pipe must end too. */
	struct sigaction a = {.sa_handler = ask, .sa_flags = (int)SA_RESETHAND};

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
stop_is_asked(void)
{
	return is_asked != 0;
}

int
stop_fd(void)
{
	return event;
}
