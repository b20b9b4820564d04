/* flowpair-exporter: wires options to a run. */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "exporter/run/options.h"
#include "exporter/run/reload.h"
#include "exporter/run/run.h"
#include "exporter/run/signals.h"

enum { EXIT_OK, EXIT_FAILED, EXIT_OPERATOR };

static int
list_elements(const struct options *o, struct err *e)
{
	struct elements *s = NULL;
	int rc = run_read_elements(o, &s, e);

	if (rc == 0) {
		export_list_elements(stdout);
	}
	elements_free(s);
	return rc;
}

static int
print_spool(const struct options *o, const char *directory, struct err *e)
{
	struct spool_counts c;
	int rc = spool_status(directory, &c, e);

	if (rc == 0) {
		summary_print_spool(
		    directory, &c, o->shared.summary == SUMMARY_JSON, stdout);
	}
	return rc;
}

/* Of the spool, and of those inside, which several collectors have. */
static int
print_spools(const struct options *o, struct err *e)
{
	char inner[PATH_MAX];
	int rc = 0;

	for (unsigned n = 0; rc == 0; n++) {
		(void)snprintf(inner, sizeof inner, "%s/%u", o->spool, n + 1);
		if (!spool_is_there(inner)) {
			return n > 0 && !spool_is_there(o->spool)
				   ? 0
				   : print_spool(o, o->spool, e);
		}
		rc = print_spool(o, inner, e);
	}
	return rc;
}

static void
print_summary(struct run *r, const struct options *o)
{
	FILE *out = stdout;
	struct summary s;
	struct err e;

	for (unsigned i = 0; i < o->to.count; i++) {
		if (strcmp(o->to.items[i], "file:-") == 0 ||
		    strcmp(o->to.items[i], "file:/dev/stdout") == 0) {
			out = stderr;
		}
	}

	run_summary(r, &s);
	if (o->shared.summary == SUMMARY_TEXT) {
		summary_print_text(&s, out);
	} else if (o->shared.summary == SUMMARY_JSON) {
		summary_print_json(&s, out);
	}
	if (o->shared.metrics_file != NULL &&
	    summary_write_metrics(&s, o->shared.metrics_file, &e) < 0) {
		log_warning("%s", e.text);
	}
}

/* Who gives certificates believes that they protect something. */
static void
warn_unsecured(const struct options *o)
{
	const char *unused = option_shared_tls(&o->shared);

	if (unused != NULL && !options_is_secured(o)) {
		log_warning("%s has no effect: no --to is encrypted (tls://HOST, "
			    "dtls+sctp://HOST and dtls+udp://HOST are)",
		    unused);
	}
}

/* Input to its end, and delivered. */
static int
export_all(const struct options *o, struct err *e)
{
	struct run *r = NULL;
	int status = EXIT_OK;

	warn_unsecured(o);
	reload_init();
	if (signals_init(e) < 0 || run_new(o, &r, e) < 0) {
		log_error("%s", e->text);
		return EXIT_OPERATOR;
	}
	if (run_input(r) < 0) {
		status = EXIT_FAILED;
	}
	if (run_finish(r, e) < 0) {
		log_error("%s", e->text);
		status = EXIT_FAILED;
	}
	print_summary(r, o);
	run_free(r);
	return status;
}

int
main(int argc, char **argv)
{
	struct options o;
	struct err e;
	int status = EXIT_OK, rc;

	(void)argc;
	log_set_program("flowpair-exporter");
	rc = options_parse(argv, &o, &e);
	if (rc == 0 && (o.list_elements || o.spool_status)) {
		rc = o.list_elements ? list_elements(&o, &e) : print_spools(&o, &e);
		options_free(&o);
	} else if (rc == 0) {
		status = export_all(&o, &e);
		options_free(&o);
	}
	if (rc < 0) {
		log_error("%s", e.text);
		return EXIT_OPERATOR;
	}
	return status;
}
