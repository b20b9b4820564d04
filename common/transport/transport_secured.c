#include "common/transport/transport_secured.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static ssize_t
note(struct secured *s, ssize_t rc)
{
	if (rc < 0 && rc != -EAGAIN) {
		s->carrier_rc = (int)rc;
	}
	return rc;
}

static ssize_t
carrier_read(void *data, void *bytes, size_t n)
{
	struct secured *s = data;

	s->carrier_err.text[0] = '\0';
	return note(s, s->carrier.ops->read(&s->carrier, bytes, n, &s->carrier_err));
}

static ssize_t
carrier_write(void *data, const void *bytes, size_t n)
{
	struct secured *s = data;

	s->carrier_err.text[0] = '\0';
	s->carrier.stream = 0;
	return note(s, s->carrier.ops->write(&s->carrier, bytes, n, &s->carrier_err));
}

static const struct secured_carrier *
carrier_of(const struct secured *s)
{
	return s->carrier.scheme->carrier;
}

static int
carrier_add_key(void *data, const uint8_t *key, size_t n)
{
	struct secured *s = data;

	return (int)note(s, carrier_of(s)->add_key(s, key, n, &s->carrier_err));
}

static int
carrier_use_key(void *data)
{
	struct secured *s = data;

	return (int)note(s, carrier_of(s)->use_key(s, &s->carrier_err));
}

int
secured_complain(const struct secured *s, ssize_t rc, struct err *e)
{
	if (rc >= 0 || rc == -EAGAIN) {
		return (int)rc;
	}
	if (rc == s->carrier_rc && s->carrier_err.text[0] != '\0' && e != NULL) {
		*e = s->carrier_err;
	}
	return err_prefix(e, (int)rc, "%s", s->text);
}

/* The carrier is there: TLS begins. */
static int
begin(struct secured *s, struct tls_context *c, const char *host, struct err *e)
{
	const struct secured_carrier *how = carrier_of(s);
	const struct tls_carrier carrier = {
	    .kind = how->kind,
	    .read = carrier_read,
	    .write = carrier_write,
	    .add_key = how->add_key != NULL ? carrier_add_key : NULL,
	    .use_key = how->use_key != NULL ? carrier_use_key : NULL,
	    .data = s,
	};

	if (s->tls != NULL) {
		tls_carry(s->tls, &carrier);
		return 0;
	}
	return tls_new(c, &carrier, host, &s->tls, e);
}

void
secured_follow(struct transport *t)
{
	const struct secured *s = t->state;

	t->fd = s->carrier.fd;
	t->peer = s->carrier.peer;
}

/* Dialling. */

int
secured_dial(struct transport *t, const struct transport_uri *uri,
    struct tls_context *tls, struct err *e)
{
	const struct secured_carrier *how = uri->scheme->carrier;
	struct secured *s = calloc(1, how->size);
	int rc;

	if (s == NULL) {
		return err_set(e, -ENOMEM, "no memory to connect to %s", uri->text);
	}
	t->state = s;
	s->context = tls;
	memcpy(s->host, uri->host, sizeof s->host);
	memcpy(s->text, uri->text, sizeof s->text);
	s->carrier = (struct transport){
	    .scheme = uri->scheme, .ops = how->scheme->connection, .fd = -1};
	rc = how->scheme->dialer->dial(&s->carrier, uri, NULL, e);
	secured_follow(t);
	if (rc < 0) {
		secured_close(t);
	}
	return rc;
}

/* Listening. */

static int
secured_listen(
    struct transport_listener *l, const struct transport_uri *uri, struct err *e)
{
	return uri->scheme->carrier->scheme->listener->listen(l, uri, e);
}

int
secured_take(struct transport *t, const struct transport *carrier, struct tls *tls,
    struct tls_context *context, struct err *e)
{
	struct secured *s = calloc(1, t->scheme->carrier->size);
	struct transport lost = *carrier;
	int rc;

	if (s == NULL) {
		lost.ops->close(&lost);
		tls_free(tls);
		return err_set(e, -ENOMEM, "no memory for the peer %s", lost.peer.text);
	}
	t->state = s;
	s->tls = tls;
	s->carrier = *carrier;
	s->carrier.scheme = t->scheme;
	memcpy(s->text, carrier->peer.text, sizeof carrier->peer.text);
	secured_follow(t);
	rc = begin(s, context, NULL, e);
	if (rc < 0) {
		secured_close(t);
	}
	return rc;
}

static int
secured_accept(struct transport_listener *l, struct transport *t,
    struct tls_context *tls, struct err *e)
{
	const struct transport_scheme *scheme = l->scheme->carrier->scheme;
	struct transport carrier = {
	    .scheme = l->scheme, .ops = scheme->connection, .fd = -1};
	int rc = scheme->listener->accept(l, &carrier, NULL, e);

	if (rc == 0 && secured_take(t, &carrier, NULL, tls, e) < 0) {
		rc = -ECONNABORTED;
	}
	return rc;
}

static void
secured_unlisten(struct transport_listener *l)
{
	l->scheme->carrier->scheme->listener->unlisten(l);
}

const struct transport_listener_ops secured_listener = {
    .listen = secured_listen,
    .accept = secured_accept,
    .unlisten = secured_unlisten,
};

/* Connections. */

int
secured_proceed(struct transport *t, struct err *e)
{
	struct secured *s = t->state;
	int rc;

	if (t->is_open) {
		return 0;
	}
	if (s->tls == NULL) {
		rc = s->carrier.ops->proceed(&s->carrier, e);
		secured_follow(t);
		if (rc == 0) {
			rc = begin(s, s->context, s->host, e);
		}
		if (rc < 0) {
			return rc;
		}
	}
	rc = tls_handshake(s->tls, e);
	if (rc == 0) {
		t->is_open = true;
		tls_identity(s->tls, t->identity);
		tls_protocol(s->tls, t->protocol);
	}
	return secured_complain(s, rc, e);
}

ssize_t
secured_read(struct transport *t, void *bytes, size_t n, struct err *e)
{
	struct secured *s = t->state;
	ssize_t got = tls_read(s->tls, bytes, n, e);

	return got >= 0 ? got : secured_complain(s, got, e);
}

ssize_t
secured_write(struct transport *t, const void *bytes, size_t n, struct err *e)
{
	struct secured *s = t->state;
	ssize_t put = tls_write(s->tls, bytes, n, e);

	return put >= 0 ? put : secured_complain(s, put, e);
}

int
secured_finish(struct transport *t, struct err *e)
{
	struct secured *s = t->state;

	return secured_complain(s, tls_shutdown(s->tls, e), e);
}

uint32_t
secured_want(const struct transport *t)
{
	const struct secured *s = t->state;

	return s->tls == NULL ? s->carrier.ops->want(&s->carrier) : tls_want(s->tls);
}

uint64_t
secured_timeout(const struct transport *t)
{
	const struct secured *s = t->state;

	return s->tls == NULL ? UINT64_MAX : tls_timeout(s->tls);
}

bool
secured_pending(const struct transport *t)
{
	const struct secured *s = t->state;

	return s != NULL && s->tls != NULL && tls_pending(s->tls);
}

enum tls_refusal
secured_refusal(const struct transport *t)
{
	const struct secured *s = t->state;

	return s == NULL || s->tls == NULL ? TLS_REFUSED_NONE : tls_refusal(s->tls);
}

int
secured_recheck(struct transport *t, struct tls_context *tls, struct err *e)
{
	const struct secured *s = t->state;

	return tls_recheck(s->tls, tls, e);
}

void
secured_close(struct transport *t)
{
	struct secured *s = t->state;

	if (s != NULL) {
		tls_free(s->tls);
		s->carrier.ops->close(&s->carrier);
		free(s);
	}
	t->state = NULL;
	t->fd = -1;
	t->is_open = false;
}

const struct transport_ops secured_connection = {
    .proceed = secured_proceed,
    .read = secured_read,
    .write = secured_write,
    .finish = secured_finish,
    .want = secured_want,
    .timeout = secured_timeout,
    .pending = secured_pending,
    .refusal = secured_refusal,
    .recheck = secured_recheck,
    .close = secured_close,
};
