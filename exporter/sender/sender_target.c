/* The collectors that a sender may deliver to. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/hash.h"
#include "common/base/log.h"
#include "common/schemes/schemes.h"
#include "exporter/sender/sender_private.h"

static int
make_context(const struct sender *s, struct tls_context **ret, struct err *e)
{
	struct tls_settings tls = s->settings.tls;

	tls.alpn = s->settings.is_plain ? NULL : DELIVERY_ALPN;
	return tls_context_new(&tls, false, ret, e);
}

void
sender_renew(struct sender *s)
{
	struct sender_target *t = &s->targets[s->at];
	struct tls_context *fresh = NULL;
	struct err e;

	if (t->tls == NULL) {
		return;
	}
	if (make_context(s, &fresh, &e) == 0) {
		tls_context_free(t->tls);
		t->tls = fresh;
		s->is_told_stale = false;
	} else if (!s->is_told_stale) {
		log_warning("%s; using the files read before", e.text);
		s->is_told_stale = true;
	}
}

static int
open_target(struct sender *s, struct sender_target *t, const char *uri, struct err *e)
{
	int rc = schemes_parse_uri(uri, &t->uri, e);

	if (rc == 0) {
		rc = transport_check_target(&t->uri, e);
	}
	if (rc == 0 && t->uri.scheme->is_secure) {
		rc = make_context(s, &t->tls, e);
	}
	if (rc == 0 && t->uri.scheme->is_file && s->target_count > 1) {
		rc = err_set(e, -EINVAL,
		    "%s: a file cannot be one of several "
		    "failover targets",
		    t->uri.text);
	}
	if (rc == 0 && t->uri.scheme->is_file && s->settings.spool_directory != NULL) {
		rc = err_set(e, -EINVAL,
		    "%s: --spool works with collectors only; a file needs none",
		    t->uri.text);
	}
	if (rc == 0 && t->uri.scheme->is_file) {
		rc = transport_dial(&s->transport, &t->uri, NULL, e);
		s->is_dialled = rc == 0;
	}
	return rc;
}

int
sender_open_targets(struct sender *s, struct err *e)
{
	int rc = 0;

	s->targets = calloc(s->settings.uri_count, sizeof *s->targets);
	if (s->targets == NULL) {
		return err_set(e, -ENOMEM, "out of memory");
	}
	s->target_count = s->settings.uri_count;
	for (unsigned i = 0; i < s->target_count && rc == 0; i++) {
		rc = open_target(s, &s->targets[i], s->settings.uris[i], e);
	}
	return rc;
}

uint64_t
sender_target_key(const struct transport_uri *uri)
{
	uint64_t key = hash_bytes(uri->host, strlen(uri->host), uri->port);

	return key == 0 ? 1 : key;
}

/* Finds the target that the held messages were sent to. */
void
sender_find_target(struct sender *s)
{
	uint64_t then = spool_target(s->spool);

	if (s->target_count == 1 && (then == 0 || s->opened.held_messages == 0)) {
		then = sender_target_key(&s->targets[0].uri);
		spool_set_target(s->spool, then);
	}
	for (s->sent_to = 0; then != 0 && s->sent_to < s->target_count; s->sent_to++) {
		if (sender_target_key(&s->targets[s->sent_to].uri) == then) {
			return;
		}
	}
}
