#include "common/transport/transport.h"

#include "common/transport/scheme.h"

int
transport_dial(struct transport *t, const struct transport_uri *uri,
    struct tls_context *tls, struct err *e)
{
	int rc = transport_check_target(uri, e);

	*t = (struct transport){
	    .scheme = uri->scheme, .ops = uri->scheme->connection, .fd = -1};
	return rc < 0 ? rc : uri->scheme->dialer->dial(t, uri, tls, e);
}

uint64_t
transport_timeout(const struct transport *t)
{
	return t->ops->timeout == NULL ? UINT64_MAX : t->ops->timeout(t);
}

bool
transport_pending(const struct transport *t)
{
	return t->ops->pending != NULL && t->ops->pending(t);
}

enum tls_refusal
transport_refusal(const struct transport *t)
{
	return t->ops->refusal == NULL ? TLS_REFUSED_NONE : t->ops->refusal(t);
}

int
transport_recheck(struct transport *t, struct tls_context *tls, struct err *e)
{
	return t->ops->recheck == NULL ? 0 : t->ops->recheck(t, tls, e);
}
