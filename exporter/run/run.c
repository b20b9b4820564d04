#include "exporter/run/run.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/privileges.h"
#include "common/config/datadir.h"
#include "common/schemes/schemes.h"
#include "exporter/run/run_private.h"
#include "exporter/run/signals.h"

#define CLOSE_GRACE_NS (2 * NS_PER_SECOND)

static void
send_message(const uint8_t *message, size_t length, uint32_t records, void *data)
{
	struct run *r = data;

	run_push(r, message, length, records);
}

static void
send_record(const struct flow_record *record, void *data)
{
	const struct run *r = data;

	export_record(r->export, record, r->now_ns);
}

int
run_read_elements(const struct options *o, struct elements **ret, struct err *e)
{
	struct elements *s = elements_new((uint32_t)o->shared.own_pen);
	char directory[PATH_MAX], path[PATH_MAX + 32];
	int rc = -ENOMEM;

	if (s == NULL) {
		err_set(e, rc, "out of memory");
		goto out;
	}
	rc = datadir_find(o->shared.schemas, directory, e);
	if (rc < 0) {
		goto out;
	}
	(void)snprintf(path, sizeof path, "%s/elements.xml", directory);
	rc = elements_read_xml(s, path, e);
	for (unsigned i = 0; rc >= 0 && i < o->shared.elements.count; i++) {
		rc = elements_read_xml(s, o->shared.elements.items[i], e);
	}
	if (rc < 0) {
		goto out;
	}
	*ret = s;
	s = NULL;
	rc = 0;
out:
	elements_free(s);
	return rc;
}

/* What every target can carry. */
static int
fit_message_size(const struct options *o, uint32_t *size, struct err *e)
{
	*size = (uint32_t)o->message_size;
	for (unsigned i = 0; i < o->to.count; i++) {
		struct transport_uri to;
		int rc = schemes_parse_uri(o->to.items[i], &to, e);
		if (rc < 0) {
			return rc;
		}
		*size = transport_message_size(&to, *size);
	}
	return 0;
}

static int
open_export(struct run *r, struct err *e)
{
	const struct options *o = r->o;
	struct export_settings s = {
	    .templates_file = o->templates,
	    .domain = (uint32_t)o->domain,
	    .send = send_message,
	    .data = r,
	};
	char directory[PATH_MAX], path[PATH_MAX + 32];
	int rc;

	rc = fit_message_size(o, &s.message_size, e);
	if (rc < 0) {
		return rc;
	}
	if (s.templates_file == NULL) {
		rc = datadir_find(o->shared.schemas, directory, e);
		if (rc < 0) {
			return rc;
		}
		(void)snprintf(path, sizeof path, "%s/templates.yaml", directory);
		s.templates_file = path;
	}
	return export_new(&s, r->elements, &r->export, e);
}

/* Names of the observation points for the interface options records, numbered from 1 as
 * flow records have them. */
static int
name_interfaces(struct run *r, struct err *e)
{
	const struct options *o = r->o;
	unsigned n = options_is_live(o) ? o->interfaces.count : 1;
	struct export_interface *list = calloc(n, sizeof *list);
	int rc;

	if (list == NULL) {
		return err_set(e, -ENOMEM, "out of memory");
	}
	for (unsigned i = 0; i < n; i++) {
		list[i].index = i + 1;
		list[i].name = options_is_live(o) ? o->interfaces.items[i] : "file";
		list[i].description = options_is_live(o)    ? "live capture"
				      : o->files.count == 1 ? o->files.items[0]
							    : "capture files";
	}
	rc = export_set_interfaces(r->export, list, n);
	free(list);
	return rc < 0 ? err_set(e, rc, "out of memory") : 0;
}

static int
open_senders(struct run *r, struct err *e)
{
	const struct export_preamble *preamble = export_preamble(r->export, r->now_ns);

	if (preamble == NULL) {
		return err_set(e, -ENOMEM, "out of memory");
	}
	return run_open_senders(r, preamble, e);
}

static int
open_pipelines(struct run *r, struct err *e)
{
	const struct options *o = r->o;
	unsigned n = options_is_live(o) ? o->interfaces.count : 1;
	struct conversations_settings s = {
	    .max_conversations = (uint32_t)((o->max_conversations + n - 1) / n),
	    .idle_ns = o->idle_ns,
	    .active_ns = o->active_ns,
	    .idle_tcp_ns = o->idle_tcp_ns,
	    .idle_udp_ns = o->idle_udp_ns,
	    .idle_icmp_ns = o->idle_icmp_ns,
	    .close_grace_ns = CLOSE_GRACE_NS,
	    .is_adaptive = o->is_adaptive,
	    .adaptive_min_ns = o->adaptive_min_ns,
	    .adaptive_max_ns = o->adaptive_max_ns,
	    .adaptive_factor = (double)o->adaptive_factor,
	};

	r->pipelines = calloc(n, sizeof(struct pipeline *));
	r->open = calloc(n, sizeof(struct capture *));
	if (r->pipelines == NULL || r->open == NULL) {
		return err_set(e, -ENOMEM, "out of memory");
	}
	r->pipeline_count = n;
	for (unsigned i = 0; i < n; i++) {
		s.interface = i + 1;
		r->pipelines[i] = pipeline_new(&s, o->vlan_in_key, send_record, r);
		if (r->pipelines[i] == NULL) {
			return err_set(e, -ENOMEM,
			    "no memory for %llu conversations; use a smaller "
			    "--max-conversations",
			    (unsigned long long)o->max_conversations);
		}
	}
	return 0;
}

static int
open_live(struct run *r, struct err *e)
{
	const struct options *o = r->o;
	struct capture_settings s = {
	    .filter = o->filter,
	    .snaplen = (uint32_t)o->snaplen,
	    .ring_bytes = (uint32_t)o->ring_bytes,
	    .promiscuous = o->promiscuous,
	};

	for (unsigned i = 0; i < o->interfaces.count; i++) {
		int rc = capture_open_live(o->interfaces.items[i], &s, &r->open[i], e);
		if (rc < 0) {
			return rc;
		}
		pipeline_set_capture(r->pipelines[i], r->open[i]);
	}
	return 0;
}
/* Every file must be there before anything is sent; the first is opened. */
static int
open_files(struct run *r, struct err *e)
{
	const struct option_list *files = &r->o->files;

	for (unsigned i = 0; i < files->count; i++) {
		const char *path = files->items[i];
		if (strcmp(path, "-") != 0 && access(path, R_OK) != 0) {
			return err_set(e, -errno, "%s: %s", path, strerror(errno));
		}
	}
	return run_open_file(r, 0, e);
}

static int
name_captures(struct run *r, struct err *e)
{
	const struct option_list *list =
	    options_is_live(r->o) ? &r->o->interfaces : &r->o->files;

	r->captures = calloc(list->count, sizeof *r->captures);
	if (r->captures == NULL) {
		return err_set(e, -ENOMEM, "out of memory");
	}
	r->capture_count = list->count;
	for (unsigned i = 0; i < list->count; i++) {
		bool is_stdin =
		    !options_is_live(r->o) && strcmp(list->items[i], "-") == 0;
		r->captures[i].name = is_stdin ? "standard input" : list->items[i];
	}
	return 0;
}

static int
open_input(struct run *r, struct err *e)
{
	static const uint64_t units[] = {
	    [UNIT_MS] = NS_PER_MS, [UNIT_US] = NS_PER_US, [UNIT_S] = NS_PER_SECOND};
	const struct options *o = r->o;
	int rc;

	if (o->trace_csv != NULL) {
		return trace_open(o->trace_csv, units[o->trace_unit], &r->trace, e);
	}
	rc = open_pipelines(r, e);
	if (rc == 0) {
		rc = name_captures(r, e);
	}
	if (rc == 0) {
		rc = options_is_live(o) ? open_live(r, e) : open_files(r, e);
	}
	return rc;
}

/* Called by a signal handler. */
static void
hurry(void *data)
{
	run_hurry(data);
}

/* What turns packets into messages, and where they go. */
static int
open_all(struct run *r, struct err *e)
{
	int rc;

	if ((rc = run_read_elements(r->o, &r->elements, e)) < 0 ||
	    (rc = open_export(r, e)) < 0 || (rc = name_interfaces(r, e)) < 0 ||
	    (rc = open_input(r, e)) < 0) {
		return rc;
	}
	return open_senders(r, e);
}

int
run_new(const struct options *o, struct run **ret, struct err *e)
{
	struct run *r = calloc(1, sizeof *r);
	int rc = -ENOMEM;

	if (r == NULL) {
		return err_set(e, rc, "out of memory");
	}
	r->o = o;
	r->begin_ns = clock_monotonic_ns();
	r->begin_wall_ns = r->now_ns = clock_realtime_ns();
	rc = o->deliver_only
		 ? run_open_senders(
		       r, &(struct export_preamble){.bytes = (const uint8_t *)""}, e)
		 : open_all(r, e);
	if (rc < 0 || (rc = privileges_drop(o->shared.user, e)) < 0 ||
	    (rc = run_start_senders(r, e)) < 0) {
		goto out;
	}
	*ret = r;
	signals_on_hurry(hurry, r);
	r = NULL;
	rc = 0;
out:
	run_free(r);
	return rc;
}

void
run_free(struct run *r)
{
	if (r == NULL) {
		return;
	}
	signals_on_hurry(NULL, NULL);
	for (unsigned i = 0; i < r->pipeline_count; i++) {
		if (r->open[i] != NULL) {
			capture_close(r->open[i]);
		}
		pipeline_free(r->pipelines[i]);
	}
	free(r->open);
	free(r->pipelines);
	free(r->captures);
	trace_close(r->trace);
	run_free_senders(r);
	export_free(r->export);
	elements_free(r->elements);
	free(r);
}
int
run_input(struct run *r)
{
	int rc;

	r->second_ns = clock_monotonic_ns();
	run_metrics(r);
	if (r->o->deliver_only) {
		return 0;
	}
	if (r->trace != NULL) {
		return run_trace(r);
	}
	rc = options_is_live(r->o) ? run_live(r) : run_files(r);
	for (unsigned i = 0; i < r->pipeline_count; i++) {
		pipeline_flush(r->pipelines[i]);
	}
	return rc;
}

int
run_finish(struct run *r, struct err *e)
{
	r->now_ns = clock_realtime_ns();
	if (r->export != NULL) {
		run_send_statistics(r);
		export_flush(r->export, r->now_ns);
	}
	return run_finish_senders(r, e);
}
