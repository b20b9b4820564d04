#include "collector/run/run.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collector/door/roster.h"
#include "collector/run/run_explain.h"
#include "collector/run/run_private.h"
#include "collector/store/store.h"
#include "common/base/clock.h"
#include "common/base/privileges.h"
#include "common/config/datadir.h"
#include "common/transport/transport.h"

static int
read_elements(struct run *r, const char *directory, struct err *e)
{
	const struct options *o = r->o;
	char path[PATH_MAX + 32];
	int rc;

	r->elements = elements_new((uint32_t)o->shared.own_pen);
	if (r->elements == NULL) {
		return err_set(e, -ENOMEM, "out of memory");
	}
	(void)snprintf(path, sizeof path, "%s/elements.xml", directory);
	rc = elements_read_xml(r->elements, path, e);
	for (unsigned i = 0; rc == 0 && i < o->shared.elements.count; i++) {
		rc = elements_read_xml(r->elements, o->shared.elements.items[i], e);
	}
	return rc;
}

static int
load_tables(struct run *r, const char *directory, struct err *e)
{
	const struct options *o = r->o;
	const struct tables_settings s = {
	    .schema_directory = directory,
	    .names = (const char *const *)o->table_names,
	    .name_count = o->table_count,
	    .lateness_ns = o->lateness_ns,
	    .skew_ns = o->skew_ns,
	    .max_keys = o->max_keys,
	};

	return tables_new(&s, r->elements, &r->tables, e);
}

int
run_new(const struct options *o, struct run **ret, struct err *e)
{
	struct run *r = calloc(1, sizeof *r);
	char directory[PATH_MAX];
	int rc;

	if (r == NULL) {
		return err_set(e, -ENOMEM, "out of memory");
	}
	r->o = o;
	r->begin_ns = clock_monotonic_ns();
	rc = datadir_find(o->shared.schemas, directory, e);
	if (rc == 0) {
		rc = read_elements(r, directory, e);
	}
	if (rc == 0) {
		rc = load_tables(r, directory, e);
	}
	if (rc < 0) {
		run_free(r);
		return rc;
	}
	*ret = r;
	return 0;
}

void
run_free(struct run *r)
{
	if (r == NULL) {
		return;
	}
	store_close(r->store);
	free(r->summary.udp);
	tables_free(r->tables);
	elements_free(r->elements);
	free(r);
}

void
run_tls_settings(const struct options *o, struct tls_settings *ret)
{
	*ret = (struct tls_settings){
	    .certificate = o->shared.certificate,
	    .key = o->shared.key,
	    .ca = o->shared.ca,
	    .crl = o->shared.crl,
	    .insecure_no_client_auth = o->insecure_no_client_auth,
	    .tls12 = o->shared.tls12,
	};
}

int
run_make_for_user(const char *path, const char *user, struct err *e)
{
	uid_t uid = (uid_t)-1;
	gid_t gid = (gid_t)-1;
	int rc = privileges_find(user, &uid, &gid, e);

	if (rc < 0) {
		return rc;
	}
	if (mkdir(path, 0750) < 0) {
		return errno == EEXIST ? 0
				       : err_set(e, -errno, "cannot create %s: %s",
					     path, strerror(errno));
	}
	if (chown(path, uid, gid) < 0) {
		return err_set(e, -errno, "cannot make %s the owner of %s: %s", user,
		    path, strerror(errno));
	}
	return 0;
}

int
run_check(struct run *r, struct err *e)
{
	struct tls_settings s;
	struct tls_context *c = NULL;
	struct roster *roster;
	int rc = store_check(r->tables, e);
	uid_t uid;
	gid_t gid;

	if (rc == 0 && r->o->shared.user != NULL) {
		rc = privileges_find(r->o->shared.user, &uid, &gid, e);
	}
	if (rc < 0) {
		return rc;
	}
	if (r->o->peers != NULL) {
		rc = roster_load(r->o->peers, &roster, e);
		if (rc < 0) {
			return rc;
		}
		roster_free(roster);
	}
	if (r->o->shared.certificate != NULL) {
		run_tls_settings(r->o, &s);
		rc = tls_context_new(&s, true, &c, e);
		if (rc < 0) {
			return rc;
		}
		tls_context_free(c);
	}
	return 0;
}

void
run_explain(const struct run *r)
{
	run_explain_tables(r->tables, stdout);
}

const char *
run_store_directory(const struct run *r)
{
	const char *target = r->o->store;

	return strncmp(target, "sqlite:", 7) == 0 ? target + 7 : target;
}

bool
run_summary(const struct run *r, struct summary *ret)
{
	struct rusage usage;

	*ret = r->summary;
	tables_counts(r->tables, &ret->tables);
	ret->cpu_ns = clock_cpu_ns();
	ret->wall_ns = clock_monotonic_ns() - r->begin_ns;
	if (getrusage(RUSAGE_SELF, &usage) == 0) {
		ret->memory_bytes = (uint64_t)usage.ru_maxrss * 1024;
	}
	return r->is_begun;
}
