#include "exporter/run/reload.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/tls/tls_expiry.h"

static struct tls_settings settings;
static bool is_secured;

/* The files are readable: warns of those that have expired or will soon. */
static void
tell_ends(void)
{
	uint64_t now_s = clock_realtime_ns() / NS_PER_SECOND;
	struct tls_expiry x;
	char when[32] = "no date";
	bool is_over = false;
	struct err e = {0};

	tls_expiry_read(&settings, &x);
	for (unsigned i = 0; i < TLS_PAPERS; i++) {
		is_over |= x.end_s[i] != 0 && x.end_s[i] <= now_s;
		if (tls_expiry_warn(&settings, &x, i, now_s, &e) < 0) {
			log_warning("%s", e.text);
		}
	}
	if (x.end_s[TLS_PAPER_CERTIFICATE] != 0) {
		clock_format_iso(x.end_s[TLS_PAPER_CERTIFICATE] * NS_PER_SECOND, when);
	}
	if (!is_over) {
		log_info("certificate, key, authorities and revocation lists are "
			 "valid; every new connection uses them (the certificate "
			 "expires on %s)",
		    when);
	}
}

static void
check(void)
{
	struct tls_context *fresh = NULL;
	struct err e = {0};

	if (!is_secured) {
		log_info("SIGHUP: no --to is encrypted; nothing to reload");
	} else if (tls_context_new(&settings, false, &fresh, &e) < 0) {
		log_error("%s; using the files read before", e.text);
	} else {
		tell_ends();
		tls_context_free(fresh);
	}
}

static void
only_hangup(sigset_t *ret)
{
	sigemptyset(ret);
	sigaddset(ret, SIGHUP);
}

static void *
wait_for_signals(void *unused)
{
	sigset_t hangup;
	int number;

	(void)unused;
	only_hangup(&hangup);
	while (sigwait(&hangup, &number) == 0) {
		check();
	}
	return NULL;
}

void
reload_init(void)
{
	sigset_t hangup;

	only_hangup(&hangup);
	pthread_sigmask(SIG_BLOCK, &hangup, NULL);
}

int
reload_start(const struct tls_settings *tls, struct err *e)
{
	pthread_t thread;
	int rc;

	is_secured = tls != NULL;
	if (tls != NULL) {
		settings = *tls;
	}
	rc = pthread_create(&thread, NULL, wait_for_signals, NULL);
	if (rc != 0) {
		return err_set(e, -rc,
		    "cannot start the thread that waits for "
		    "SIGHUP: %s",
		    strerror(rc));
	}
	(void)pthread_detach(thread);
	return 0;
}
