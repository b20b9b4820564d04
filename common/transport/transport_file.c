/* IPFIX files (RFC 5655): messages appended as they come, synced at the end.  Written
 * in place, so that a reader may follow; blocking, as files are. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/transport/scheme.h"
#include "common/transport/socket.h"

static int
file_dial(struct transport *t, const struct transport_uri *uri, struct tls_context *tls,
    struct err *e)
{
	int code;

	(void)tls;
	snprintf(t->peer.text, sizeof t->peer.text, "%.127s", uri->host);
	if (strcmp(uri->host, "-") == 0) {
		t->fd = STDOUT_FILENO;
		snprintf(t->peer.text, sizeof t->peer.text, "standard output");
	} else {
		t->fd = open(uri->host, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	}
	if (t->fd < 0) {
		code = errno;
		return err_set(
		    e, -code, "cannot write %s: %s", uri->host, strerror(code));
	}
	t->is_open = true;
	return 0;
}

static ssize_t
file_read(struct transport *t, void *bytes, size_t n, struct err *e)
{
	(void)bytes;
	(void)n;
	return err_set(e, -ENOTSUP, "%s can only be written", t->peer.text);
}

/* Standard output may have been made non-blocking by the program that gave it to us: it
 * is waited for here, since callers do not wait for files. */
static ssize_t
file_write(struct transport *t, const void *bytes, size_t n, struct err *e)
{
	struct pollfd p = {.fd = t->fd, .events = POLLOUT};
	ssize_t put;
	int code;

	while (
	    (put = write(t->fd, bytes, n)) < 0 && (errno == EAGAIN || errno == EINTR)) {
		(void)poll(&p, 1, -1);
	}
	code = errno;
	if (put >= 0) {
		return put;
	}
	return err_set(e, -code, "cannot write %s: %s", t->peer.text, strerror(code));
}

static int
file_finish(struct transport *t, struct err *e)
{
	struct stat s;
	int code;

	/* Pipes and terminals have nothing to sync. */
	if (fstat(t->fd, &s) == 0 && !S_ISREG(s.st_mode)) {
		return 0;
	}
	if (fsync(t->fd) == 0) {
		return 0;
	}
	code = errno;
	return err_set(e, -code, "cannot sync %s: %s", t->peer.text, strerror(code));
}

static void
file_close(struct transport *t)
{
	if (t->fd > STDOUT_FILENO) {
		close(t->fd);
	}
	t->fd = -1;
	t->is_open = false;
}

const struct transport_scheme transport_file = {
    .name = "file",
    .is_file = true,
    .message_max = 65535,
    .dialer = &(const struct transport_dialer_ops){.dial = file_dial},
    .connection =
	&(const struct transport_ops){
	    .proceed = transport_proceed_open,
	    .read = file_read,
	    .write = file_write,
	    .finish = file_finish,
	    .want = transport_want_socket,
	    .close = file_close,
	},
};
