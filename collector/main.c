/* flowpair-collector: wires options to a run. */
#include <errno.h>
#include <stdio.h>

#include "collector/run/options.h"
#include "collector/run/run.h"
#include "common/base/log.h"

enum { EXIT_OK, EXIT_FAILED, EXIT_OPERATOR };

static void
print_summary(struct run *r, const struct options *o)
{
	struct summary s;
	struct err e;

	if (!run_summary(r, &s)) {
		return;
	}
	if (o->shared.summary == SUMMARY_TEXT) {
		summary_print_text(&s, stdout);
	} else if (o->shared.summary == SUMMARY_JSON) {
		summary_print_json(&s, stdout);
	}
	if (o->shared.metrics_file != NULL &&
	    summary_write_metrics(&s, o->shared.metrics_file, &e) < 0) {
		log_warning("%s", e.text);
	}
}

/* The operator's mistakes have their own status. */
static int
status_of(int rc)
{
	switch (rc) {
	case 0:
		return EXIT_OK;
	case -EINVAL:
	case -ENOENT:
	case -EACCES:
	case -EISDIR:
	case -ENOTDIR:
	case -EADDRINUSE:
	case -EADDRNOTAVAIL:
		return EXIT_OPERATOR;
	default:
		return EXIT_FAILED;
	}
}

/* Certificates suggest that only their owners can send; here, anyone can. */
static void
warn_unsecured(const struct options *o)
{
	const char *unused = option_shared_tls(&o->shared);

	if (unused != NULL && o->listen.count > 0 && !options_is_secured(o)) {
		log_warning("%s has no effect: no --listen is encrypted (tls://HOST, "
			    "dtls+sctp://HOST and dtls+udp://HOST are)",
		    unused);
	}
}

static int
collect(const struct options *o, struct err *e)
{
	struct run *r = NULL;
	int rc = run_new(o, &r, e);

	warn_unsecured(o);
	if (rc < 0) {
		log_error("%s", e->text);
		return EXIT_OPERATOR;
	}
	if (o->check || o->explain) {
		rc = run_check(r, e);
		if (rc == 0 && o->explain) {
			run_explain(r);
		}
		if (rc < 0) {
			log_error("%s", e->text);
		}
		run_free(r);
		return rc < 0 ? EXIT_OPERATOR : EXIT_OK;
	}
	rc = o->files.count > 0 ? run_import(r) : run_listen(r);
	print_summary(r, o);
	run_free(r);
	return status_of(rc);
}

int
main(int argc, char **argv)
{
	struct options o;
	struct err e = {""};
	int status = EXIT_OK, rc;

	(void)argc;
	log_set_program("flowpair-collector");
	rc = options_parse(argv, &o, &e);
	if (rc == 0) {
		status = collect(&o, &e);
		options_free(&o);
	}
	if (rc < 0) {
		log_error("%s", e.text);
		return EXIT_OPERATOR;
	}
	return status;
}
