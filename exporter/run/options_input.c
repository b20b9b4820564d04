#include "exporter/run/options_input.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

bool
options_is_live(const struct options *o)
{
	return o->interfaces.count > 0;
}

static int
check_kinds(const struct options *o, struct err *e)
{
	unsigned kinds =
	    (o->interfaces.count > 0) + (o->files.count > 0) + (o->trace_csv != NULL);

	if (o->deliver_only) {
		return kinds == 0 && o->spool != NULL
			   ? 0
			   : err_set(e, -EINVAL,
				 "--deliver-only sends what a spool holds: give "
				 "--spool DIR, and no input");
	}
	if (kinds != 1) {
		return err_set(e, -EINVAL,
		    kinds == 0
			? "no input: give -i INTERFACE, -r FILE or --trace-csv FILE"
			: "-i, -r and --trace-csv exclude each other: give one kind of "
			  "input");
	}
	if (o->shared.user != NULL && !options_is_live(o)) {
		return err_set(e, -EINVAL,
		    "--user is only for live capture (-i): reading files needs no "
		    "privileges");
	}
	return 0;
}

/* Each interface is captured on its own: one given twice would count every packet
 * twice. */
static int
check_interfaces(const struct options *o, struct err *e)
{
	for (unsigned i = 1; i < o->interfaces.count; i++) {
		for (unsigned k = 0; k < i; k++) {
			if (strcmp(o->interfaces.items[i], o->interfaces.items[k]) ==
			    0) {
				return err_set(e, -EINVAL,
				    "-i %s is given twice and would count every packet "
				    "twice",
				    o->interfaces.items[i]);
			}
		}
	}
	return 0;
}

/* Opening the output would empty the input before it is read. */
static int
check_overwriting(const struct options *o, const char *input, struct err *e)
{
	struct stat in, out;

	if (stat(input, &in) < 0 || !S_ISREG(in.st_mode)) {
		return 0;
	}
	for (unsigned i = 0; i < o->to.count; i++) {
		const char *to = o->to.items[i];
		if (strncmp(to, "file:", 5) == 0 && stat(to + 5, &out) == 0 &&
		    in.st_dev == out.st_dev && in.st_ino == out.st_ino) {
			return err_set(e, -EINVAL,
			    "--to %s would overwrite %s, which is also the input; name "
			    "another file",
			    to, input);
		}
	}
	return 0;
}

int
options_check_input(const struct options *o, struct err *e)
{
	int rc = check_kinds(o, e);

	if (rc == 0) {
		rc = check_interfaces(o, e);
	}
	if (rc == 0 && o->trace_csv != NULL) {
		rc = check_overwriting(o, o->trace_csv, e);
	}
	for (unsigned i = 0; i < o->files.count && rc == 0; i++) {
		rc = check_overwriting(o, o->files.items[i], e);
	}
	return rc;
}
