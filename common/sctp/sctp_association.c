#include "common/sctp/sctp_association.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/sctp/sctp.h"

#define PPID_PLAIN 0  /* IANA has no payload protocol identifier for IPFIX */
#define PPID_DTLS  47 /* RFC 6083 section 4.1 */

int
association_settings(const struct transport_uri *uri, bool is_listening,
    struct sctp_settings *ret, struct err *e)
{
	int rc = sctp_settings_read(uri, ret, e);

	ret->has_auth = uri->scheme->is_secure;
	ret->is_listening = is_listening;
	return rc < 0 ? rc : ret->stack->check(ret, uri, e);
}

int
sctp_check_target(const struct transport_uri *uri, struct err *e)
{
	struct sctp_settings settings;

	return association_settings(uri, false, &settings, e);
}

uint32_t
association_protocol(const struct association *a)
{
	return a->settings.has_auth ? PPID_DTLS : PPID_PLAIN;
}

int
association_broken(const struct transport *t, int code, struct err *e)
{
	if (code == -ENOTCONN || code == -EPIPE || code == -ENOENT) {
		code = -ECONNRESET;
	}
	return err_set(
	    e, code, "the connection with %s broke: %s", t->peer.text, strerror(-code));
}

void
association_close(struct transport *t)
{
	struct association *a = t->state;

	if (a != NULL) {
		a->stack->close(&a->socket);
		transport_target_done(&a->target);
		free(a->part);
		free(a);
	}
	t->state = NULL;
	t->fd = -1;
	t->is_open = false;
}

static bool
has_ipv6(const struct sockaddr_storage *list, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (list[i].ss_family == AF_INET6) {
			return true;
		}
	}
	return false;
}

/* One socket can have addresses of both families if it is an IPv6 one. */
int
association_family(const struct sctp_settings *s, const struct addrinfo *a)
{
	return has_ipv6(s->address, s->addresses) || has_ipv6(s->local, s->locals)
		   ? AF_INET6
		   : a->ai_family;
}

unsigned
association_addresses(const struct sctp_settings *s, const struct addrinfo *a,
    struct sockaddr_storage list[SCTP_ADDRESSES + 1])
{
	memset(list, 0, sizeof *list);
	memcpy(list, a->ai_addr, a->ai_addrlen);
	memcpy(list + 1, s->address, s->addresses * sizeof *list);
	return s->addresses + 1;
}

int
association_opened(struct transport *t)
{
	struct association *a = t->state;
	uint16_t agreed;
	int rc = a->stack->streams(&a->socket, &agreed);

	if (rc < 0) {
		return rc;
	}
	t->streams = agreed < a->settings.streams ? agreed : a->settings.streams;
	t->is_open = true;
	transport_target_done(&a->target);
	return 0;
}

static int
say_key(const struct transport *t, int rc, struct err *e)
{
	return rc == 0 ? 0
		       : err_set(e, rc,
			     "%s: its SCTP does not authenticate chunks, which DTLS "
			     "needs (RFC 6083): %s",
			     t->peer.text, strerror(-rc));
}

int
association_add_key(
    struct transport *t, uint16_t id, const uint8_t *key, size_t n, struct err *e)
{
	struct association *a = t->state;

	return say_key(t, a->stack->add_key(&a->socket, id, key, n), e);
}

int
association_activate_key(struct transport *t, uint16_t id, struct err *e)
{
	struct association *a = t->state;

	return say_key(t, a->stack->activate_key(&a->socket, id), e);
}

int
association_drop_key(struct transport *t, uint16_t id, struct err *e)
{
	struct association *a = t->state;

	return say_key(t, a->stack->drop_key(&a->socket, id), e);
}

int
association_drained(struct transport *t, struct err *e)
{
	struct association *a = t->state;
	int rc = a->stack->drained(&a->socket);

	return rc == 0 || rc == -EAGAIN ? rc : association_broken(t, rc, e);
}
