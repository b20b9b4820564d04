/* flowpair-exporter: wires options to a run. */
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "exporter/options.h"
#include "exporter/run.h"
#include "exporter/stop.h"

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

static void
print_summary(struct run *r, const struct options *o)
{
	bool is_taken =
	    strcmp(o->to, "file:-") == 0 || strcmp(o->to, "file:/dev/stdout") == 0;
	FILE *out = is_taken ? stderr : stdout;
	struct summary s;

	run_summary(r, &s);
	if (o->summary == SUMMARY_TEXT) {
		summary_print_text(&s, out);
	} else if (o->summary == SUMMARY_JSON) {
		summary_print_json(&s, out);
	}
}

/* Input to its end, and delivered. */
static int
export_all(const struct options *o, struct err *e)
{
	struct run *r = NULL;
	int status = EXIT_OK;

	if (stop_init(e) < 0 || run_new(o, &r, e) < 0) {
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

	log_set_program("flowpair-exporter");
	rc = options_parse(argc, argv, &o, &e);
	if (rc == 0 && o.list_elements) {
		rc = list_elements(&o, &e);
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
