#include "exporter/export/export.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/address.h"
#include "common/base/clock.h"
#include "common/ipfix/message.h"
#include "common/ipfix/template.h"
#include "exporter/export/export_options.h"
#include "exporter/export/export_templates.h"

/* Puts records into messages and sends each full one.  There are two writers: one for
 * records, one for the preamble. */
struct writer {
	struct message message;
	bool is_open; /* message_begin was called */
	uint32_t domain;
	void (*send)(
	    const uint8_t *message, size_t length, uint32_t records, void *data);
	void *data;
	uint64_t messages, octets; /* sent */
};

struct export
{
	struct export_templates templates;
	struct encode_plan *options[EXPORT_OPTIONS];
	struct writer writer;
	uint64_t records; /* data records */
	struct export_interface *interfaces;
	unsigned interface_count;
	struct export_preamble preamble;
	uint8_t *preamble_bytes;
	size_t preamble_capacity;
	bool preamble_failed;
};

static void
writer_flush(struct writer *w, uint64_t now_ns)
{
	if (!w->is_open) {
		return;
	}
	w->is_open = false;
	size_t length = message_end(&w->message);
	if (length == 0) {
		return;
	}
	uint64_t seconds = now_ns / NS_PER_SECOND;
	message_set_export_time(
	    w->message.bytes, seconds > UINT32_MAX ? UINT32_MAX : (uint32_t)seconds);
	w->messages++;
	w->octets += length;
	w->send(w->message.bytes, length, w->message.records, w->data);
}

/* export_new() made sure that n bytes fit into an empty message. */
static uint8_t *
writer_reserve(struct writer *w, uint16_t set_id, size_t n, uint64_t now_ns)
{
	uint8_t *space = w->is_open ? message_reserve(&w->message, set_id, n) : NULL;
	if (space == NULL) {
		writer_flush(w, now_ns);
		message_begin(&w->message, w->domain, 0);
		w->is_open = true;
		space = message_reserve(&w->message, set_id, n);
	}
	return space;
}

static void
writer_put(
    struct writer *w, const struct encode_plan *p, const void *from, uint64_t now_ns)
{
	uint8_t *space =
	    writer_reserve(w, encode_template_id(p), encode_max_length(p), now_ns);
	message_commit(&w->message, encode_record(p, from, space), true);
}

static void
writer_put_template(
    struct writer *w, const struct encode_plan *p, uint16_t set_id, uint64_t now_ns)
{
	size_t n = encode_template(p, NULL);
	uint8_t *space = writer_reserve(w, set_id, n, now_ns);
	message_commit(&w->message, encode_template(p, space), false);
}

/* The longest record, or template record, that a plan brings. */
static size_t
longest(const struct encode_plan *p)
{
	size_t record = encode_max_length(p);
	size_t template = encode_template(p, NULL);
	return record > template ? record : template;
}

static int
check_message_size(const struct export *x, uint32_t size, struct err *e)
{
	size_t most = 0;
	for (unsigned i = 0; i < EXPORT_LISTS * EXPORT_VARIANTS; i++) {
		size_t n = longest(
		    x->templates.list[i / EXPORT_VARIANTS][i % EXPORT_VARIANTS].plan);
		most = n > most ? n : most;
	}
	for (unsigned i = 0; i < EXPORT_OPTIONS; i++) {
		size_t n = longest(x->options[i]);
		most = n > most ? n : most;
	}
	most += MESSAGE_HEADER + MESSAGE_SET_HEADER;
	if (size < most || size > MESSAGE_MAX) {
		return err_set(e, -EINVAL,
		    "invalid message size %u (with these templates expected %zu to %u)",
		    size, most, MESSAGE_MAX);
	}
	return 0;
}

int
export_new(const struct export_settings *s, const struct elements *elements,
    struct export **ret, struct err *e)
{
	struct export *x = calloc(1, sizeof *x);
	int rc = -ENOMEM;
	if (x == NULL) {
		err_set(e, rc, "out of memory");
		goto out;
	}
	rc = export_templates_read(s->templates_file, elements, &x->templates, e);
	if (rc < 0) {
		goto out;
	}
	rc = export_options_compile(elements, x->options, e);
	if (rc < 0) {
		goto out;
	}
	rc = check_message_size(x, s->message_size, e);
	if (rc < 0) {
		goto out;
	}
	x->writer =
	    (struct writer){.domain = s->domain, .send = s->send, .data = s->data};
	rc = message_init(&x->writer.message, s->message_size);
	if (rc < 0) {
		err_set(e, rc, "out of memory");
		goto out;
	}
	*ret = x;
	x = NULL;
out:
	export_free(x);
	return rc;
}

static void
free_interfaces(struct export *x)
{
	for (unsigned i = 0; i < x->interface_count; i++) {
		free((char *)x->interfaces[i].name);
		free((char *)x->interfaces[i].description);
	}
	free(x->interfaces);
	x->interfaces = NULL;
	x->interface_count = 0;
}

void
export_free(struct export *x)
{
	if (x == NULL) {
		return;
	}
	export_templates_done(&x->templates);
	for (unsigned i = 0; i < EXPORT_OPTIONS; i++) {
		encode_free(x->options[i]);
	}
	message_done(&x->writer.message);
	free_interfaces(x);
	free(x->preamble_bytes);
	free(x);
}

int
export_set_interfaces(struct export *x, const struct export_interface *list, unsigned n)
{
	free_interfaces(x);
	x->interfaces = calloc(n + 1u, sizeof *x->interfaces);
	if (x->interfaces == NULL) {
		return -ENOMEM;
	}
	for (; x->interface_count < n; x->interface_count++) {
		const struct export_interface *from = &list[x->interface_count];
		struct export_interface copy = {
		    .index = from->index,
		    .name = strdup(from->name == NULL ? "" : from->name),
		    .description =
			strdup(from->description == NULL ? "" : from->description),
		};
		x->interfaces[x->interface_count] = copy;
		if (copy.name == NULL || copy.description == NULL) {
			x->interface_count++;
			free_interfaces(x);
			return -ENOMEM;
		}
	}
	return 0;
}

/* Appends a finished message to the preamble. */
static void
keep_message(const uint8_t *message, size_t length, uint32_t records, void *data)
{
	struct export *x = data;
	size_t needed = x->preamble.length + length;
	if (needed > x->preamble_capacity) {
		uint8_t *bytes = realloc(x->preamble_bytes, needed * 2);
		if (bytes == NULL) {
			x->preamble_failed = true;
			return;
		}
		x->preamble_bytes = bytes;
		x->preamble_capacity = needed * 2;
	}
	uint8_t *to = x->preamble_bytes + x->preamble.length;
	memcpy(to, message, length);
	message_set_sequence(to, x->preamble.records);
	x->preamble.length = needed;
	x->preamble.records += records;
}

static void
put_options_templates(const struct export *x, struct writer *w, uint64_t now_ns)
{
	for (unsigned i = 0; i < EXPORT_OPTIONS; i++) {
		writer_put_template(w, x->options[i], OPTIONS_TEMPLATE_SET_ID, now_ns);
	}
}

static void
put_types(const struct export *x, struct writer *w, uint64_t now_ns)
{
	for (unsigned i = 0; i < x->templates.described_count; i++) {
		struct export_option_type r =
		    export_option_type(x->templates.described[i]);
		writer_put(w, x->options[EXPORT_OPTION_TYPE], &r, now_ns);
	}
}

static void
put_templates(const struct export *x, struct writer *w, uint64_t now_ns)
{
	for (unsigned i = 0; i < EXPORT_LISTS; i++) {
		for (unsigned k = 0; k < EXPORT_VARIANTS; k++) {
			writer_put_template(
			    w, x->templates.list[i][k].plan, TEMPLATE_SET_ID, now_ns);
		}
	}
}

static void
put_keys(const struct export *x, struct writer *w, uint64_t now_ns)
{
	for (unsigned i = 0; i < EXPORT_LISTS; i++) {
		for (unsigned k = 0; k < EXPORT_VARIANTS; k++) {
			const struct export_template *t = &x->templates.list[i][k];
			struct export_option_keys r = {
			    .template_id = encode_template_id(t->plan),
			    .key_fields = t->key_fields,
			};
			writer_put(w, x->options[EXPORT_OPTION_KEYS], &r, now_ns);
		}
	}
}

static void
put_interfaces(const struct export *x, struct writer *w, uint64_t now_ns)
{
	for (unsigned i = 0; i < x->interface_count; i++) {
		struct export_option_interface r = {
		    .index = x->interfaces[i].index,
		    .name = x->interfaces[i].name,
		    .description = x->interfaces[i].description,
		};
		writer_put(w, x->options[EXPORT_OPTION_INTERFACE], &r, now_ns);
	}
}

/* Types come before the templates that use them: a reader looks elements up when it
 * reads a template. */
const struct export_preamble *
export_preamble(struct export *x, uint64_t now_ns)
{
	if (x->preamble.bytes != NULL) {
		return &x->preamble;
	}
	struct writer w = {.domain = x->writer.domain, .send = keep_message, .data = x};
	if (message_init(&w.message, x->writer.message.capacity) < 0) {
		return NULL;
	}
	put_options_templates(x, &w, now_ns);
	put_types(x, &w, now_ns);
	put_templates(x, &w, now_ns);
	put_keys(x, &w, now_ns);
	put_interfaces(x, &w, now_ns);
	writer_flush(&w, now_ns);
	message_done(&w.message);
	if (x->preamble_failed) {
		return NULL;
	}
	x->preamble.bytes = x->preamble_bytes;
	return &x->preamble;
}

void
export_record(struct export *x, const struct flow_record *r, uint64_t now_ns)
{
	unsigned list = r->is_trace ? EXPORT_TRACE : EXPORT_PACKET;
	unsigned variant = r->has_reverse ? EXPORT_BIFLOW : 0;
	if (!address_is_ipv4(&r->source) || !address_is_ipv4(&r->destination)) {
		variant |= EXPORT_IPV6;
	}
	writer_put(&x->writer, x->templates.list[list][variant].plan, r, now_ns);
	x->records++;
}

void
export_statistics(struct export *x, const struct export_statistics *s, uint64_t now_ns)
{
	writer_flush(&x->writer, now_ns); /* so that every record so far is counted */
	struct export_option_metering metering = {
	    .domain = x->writer.domain,
	    .start_ns = s->first_ns,
	    .packets = s->packets,
	    .octets = s->octets,
	    .flows = x->records,
	    .ignored_packets = s->ignored_packets,
	    .dropped_packets = s->dropped_packets,
	};
	uint64_t not_sent =
	    s->not_sent_records < x->records ? s->not_sent_records : x->records;
	struct export_option_exporting exporting = {
	    .process = x->writer.domain,
	    .messages = x->writer.messages,
	    .records = x->records - not_sent,
	    .octets = x->writer.octets,
	    .not_sent_flows = not_sent,
	};
	writer_put(&x->writer, x->options[EXPORT_OPTION_METERING], &metering, now_ns);
	writer_put(&x->writer, x->options[EXPORT_OPTION_EXPORTING], &exporting, now_ns);
}

void
export_flush(struct export *x, uint64_t now_ns)
{
	writer_flush(&x->writer, now_ns);
}

uint64_t
export_records(const struct export *x)
{
	return x->records;
}
