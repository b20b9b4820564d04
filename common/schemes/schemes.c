#include "common/schemes/schemes.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "common/sctp/sctp.h"
#include "common/sctp/sctp_stack.h"
#ifdef FLOWPAIR_USRSCTP
#include "common/sctp_user/sctp_user.h"
#endif

/* In the order of help and manuals. */
static const struct transport_scheme *const schemes[] = {&transport_tcp, &transport_tls,
    &transport_sctp, &transport_dtls_sctp, &transport_udp, &transport_dtls_udp,
    &transport_file};
#define COUNT (sizeof schemes / sizeof *schemes)

static char dialled[320], listened[320]; /* texts, written once */

static void
write_text(char *out, size_t n, bool is_listening)
{
	const struct transport_scheme *list[COUNT];
	size_t count = 0, have = 0;

	for (size_t i = 0; i < COUNT; i++) {
		if (!is_listening || schemes[i]->listener != NULL) {
			list[count++] = schemes[i];
		}
	}
	for (size_t i = 0; i < count; i++) {
		const char *before = i == 0 ? "" : i + 1 < count ? ", " : " or ";
		have += (size_t)snprintf(
		    out + have, n - have, "%s%s:", before, list[i]->name);
		have += (size_t)(list[i]->is_file
				     ? snprintf(out + have, n - have, "PATH")
				     : snprintf(out + have, n - have, "//HOST[:%u]",
					   (unsigned)list[i]->port));
	}
}

/* Once, before the first use of a scheme. */
static void
start(void)
{
	write_text(dialled, sizeof dialled, false);
	write_text(listened, sizeof listened, true);
#ifdef FLOWPAIR_USRSCTP /* libusrsctp was there when this was built */
	sctp_stack_set_user(&sctp_user);
#endif
}

static pthread_once_t once = PTHREAD_ONCE_INIT;

const char *
schemes_text(bool is_listening)
{
	pthread_once(&once, start);
	return is_listening ? listened : dialled;
}

static int
complain(const char *text, const char *name, struct err *e)
{
	const char *names[COUNT], *nearest;

	for (size_t i = 0; i < COUNT; i++) {
		names[i] = schemes[i]->name;
	}
	nearest = err_nearest(name, names, COUNT);
	return err_set(e, -EINVAL,
	    "\"%s\": unknown transport \"%s\"%s%s%s (expected %s)", text, name,
	    nearest != NULL ? ", did you mean \"" : "", nearest != NULL ? nearest : "",
	    nearest != NULL ? "\"?" : "", schemes_text(false));
}

const struct transport_scheme *
schemes_find(const char *name)
{
	for (size_t i = 0; i < COUNT; i++) {
		if (strcmp(name, schemes[i]->name) == 0) {
			return schemes[i];
		}
	}
	return NULL;
}

int
schemes_parse_uri(const char *text, struct transport_uri *ret, struct err *e)
{
	size_t n = strcspn(text, ":");
	char name[16];

	pthread_once(&once, start);
	if (text[n] != ':') {
		return err_set(e, -EINVAL, "\"%s\": no transport given (expected %s)",
		    text, schemes_text(false));
	}
	snprintf(name, sizeof name, "%.*s", (int)n, text);
	for (size_t i = 0; i < COUNT; i++) {
		if (strcasecmp(name, schemes[i]->name) == 0) {
			return transport_uri_read(schemes[i], text, ret, e);
		}
	}
	return complain(text, name, e);
}

bool
schemes_any_secure(const char *const *uris, unsigned count)
{
	struct transport_uri uri;
	bool is_secure = false;

	for (unsigned i = 0; i < count && !is_secure; i++) {
		is_secure = schemes_parse_uri(uris[i], &uri, NULL) == 0 &&
			    uri.scheme->is_secure;
	}
	return is_secure;
}
