#include "common/transport/transport_listener.h"

#include <errno.h>
#include <string.h>

#include "common/transport/scheme.h"

int
transport_listen(
    const struct transport_uri *uri, struct transport_listener *ret, struct err *e)
{
	struct transport_listener l = {.scheme = uri->scheme, .fd = -1};
	int rc;

	if (uri->scheme->listener == NULL) {
		return err_set(e, -EINVAL,
		    "cannot listen at \"%s\": %s: URIs are for sending only", uri->text,
		    uri->scheme->name);
	}
	memcpy(l.text, uri->text, sizeof l.text);
	rc = uri->scheme->listener->listen(&l, uri, e);
	if (rc == 0) {
		*ret = l;
	}
	return rc;
}

int
transport_accept(struct transport_listener *l, struct transport *t,
    struct tls_context *tls, struct err *e)
{
	*t = (struct transport){
	    .scheme = l->scheme, .ops = l->scheme->connection, .fd = -1};
	return l->scheme->listener->accept(l, t, tls, e);
}

void
transport_unlisten(struct transport_listener *l)
{
	if (l->scheme != NULL) {
		l->scheme->listener->unlisten(l);
	}
	*l = (struct transport_listener){.fd = -1};
}
