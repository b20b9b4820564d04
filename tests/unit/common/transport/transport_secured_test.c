/* Both ends in one thread, over loopback: what is agreed, and how refusals read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/schemes/schemes.h"
#include "common/tls/tls.h"
#include "common/transport/transport_secured.h"
#include "common/transport/transport_tcp.h"
#include "tests/unit/common/tls/support_certificates.h"

/* A dialled and an accepted end, with what each of them said. */
struct pair {
	struct tls_context *client_context, *server_context;
	struct transport client, server;
	int client_rc, server_rc;
	struct err client_err, server_err;
	struct transport_listener place;
};

static struct tls_settings
settings_of(const char *name)
{
	char file[64];
	struct tls_settings s = {.ca = support_certificate("ca.pem")};

	if (name != NULL) {
		snprintf(file, sizeof file, "%s.pem", name);
		s.certificate = support_certificate(file);
		snprintf(file, sizeof file, "%s.key", name);
		s.key = support_certificate(file);
	}
	return s;
}

static void
listen_somewhere(struct transport_listener *place)
{
	struct transport_uri any;

	assert_int_equal(schemes_parse_uri("tls://*:0", &any, NULL), 0);
	assert_int_equal(transport_listen(&any, place, NULL), 0);
}

static void
wait_for(int fd, int milliseconds)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	poll(&p, 1, milliseconds);
}

/* Connects and goes on until each end is open or has failed. */
static void
pair_shake(struct pair *p, const struct tls_settings *client,
    const struct tls_settings *server, const char *host)
{
	struct transport_uri uri;
	char text[128];

	memset(p, 0, sizeof *p);
	assert_int_equal(
	    tls_context_new(client, false, &p->client_context, &p->client_err), 0);
	assert_int_equal(
	    tls_context_new(server, true, &p->server_context, &p->server_err), 0);
	listen_somewhere(&p->place);
	snprintf(text, sizeof text, "tls://%s:%u", host, p->place.port);
	assert_int_equal(schemes_parse_uri(text, &uri, NULL), 0);
	assert_int_equal(
	    transport_dial(&p->client, &uri, p->client_context, &p->client_err), 0);
	wait_for(p->place.fd, 5000);
	assert_int_equal(
	    transport_accept(&p->place, &p->server, p->server_context, &p->server_err),
	    0);
	p->client_rc = p->server_rc = -EAGAIN;
	for (int i = 0; i < 1000; i++) {
		if (p->client_rc == -EAGAIN) {
			p->client_rc =
			    p->client.ops->proceed(&p->client, &p->client_err);
		}
		if (p->server_rc == -EAGAIN) {
			p->server_rc =
			    p->server.ops->proceed(&p->server, &p->server_err);
		}
		if (p->server_rc != -EAGAIN && p->client_rc != -EAGAIN) {
			break;
		}
		wait_for(p->client.fd, 1);
	}
}

/* The client reads once as well: the server's word comes after its own handshake. */
static void
pair_open(struct pair *p, const struct tls_settings *client,
    const struct tls_settings *server, const char *host)
{
	char byte;

	pair_shake(p, client, server, host);
	if (p->client_rc == 0) {
		wait_for(p->client.fd, 5000);
		p->client_rc =
		    (int)p->client.ops->read(&p->client, &byte, 1, &p->client_err);
	}
}

static void
pair_close(struct pair *p)
{
	p->client.ops->close(&p->client);
	p->server.ops->close(&p->server);
	tls_context_free(p->client_context);
	tls_context_free(p->server_context);
	transport_unlisten(&p->place);
}

static void
expect_sentence(const struct err *e, const char *part)
{
	if (strstr(e->text, part) == NULL) {
		fail_msg("\"%s\" does not say \"%s\"", e->text, part);
	}
}

/* The client shows `name` and the server refuses it: why, in whose words. */
static void
expect_refused_client(const char *name, bool with_crl, enum tls_refusal why,
    const char *server_says, const char *client_says)
{
	struct tls_settings client = settings_of(name);
	struct tls_settings server = settings_of("collector");
	struct pair p;

	if (with_crl) {
		server.crl = support_certificate("crl.pem");
	}
	pair_open(&p, &client, &server, "localhost");
	assert_int_equal(p.server_rc, -EACCES);
	assert_int_equal(transport_refusal(&p.server), why);
	expect_sentence(&p.server_err, server_says);
	assert_int_equal(p.client_rc, -EACCES);
	assert_int_equal(transport_refusal(&p.client), TLS_REFUSED_BY_PEER);
	expect_sentence(&p.client_err, client_says);
	pair_close(&p);
}

static void
expect_refused_server(
    const char *name, const char *host, enum tls_refusal why, const char *client_says)
{
	struct tls_settings client = settings_of("exporter");
	struct tls_settings server = settings_of(name);
	struct pair p;

	pair_open(&p, &client, &server, host);
	assert_int_equal(p.client_rc, -EACCES);
	assert_int_equal(transport_refusal(&p.client), why);
	expect_sentence(&p.client_err, client_says);
	assert_int_equal(transport_refusal(&p.server), TLS_REFUSED_BY_PEER);
	pair_close(&p);
}

static void
expect_welcome(const struct tls_settings *client, const struct tls_settings *server,
    const char *host)
{
	struct pair p;

	pair_open(&p, client, server, host);
	if (p.server_rc != 0 || p.client_rc != -EAGAIN) {
		fail_msg("%s / %s", p.server_err.text, p.client_err.text);
	}
	assert_true(p.client.is_open && p.server.is_open);
	pair_close(&p);
}

static void
mutual_certificates_open_a_session_by_name_and_by_address(void **state)
{
	struct tls_settings client = settings_of("exporter");
	struct tls_settings server = settings_of("collector");

	(void)state;
	expect_welcome(&client, &server, "localhost");
	expect_welcome(&client, &server, "127.0.0.1");
	expect_welcome(&client, &server, "[::1]");
}

static void
the_server_names_the_client_by_its_certificate(void **state)
{
	struct tls_settings client = settings_of("exporter");
	struct tls_settings server = settings_of("collector");
	struct pair p;

	(void)state;
	pair_open(&p, &client, &server, "127.0.0.1");
	assert_string_equal(p.server.identity, "exporter.example");
	assert_string_equal(p.client.identity, "localhost");
	assert_memory_equal(p.server.peer.text, "127.0.0.1:", 10);
	pair_close(&p);
}

static void
bytes_arrive_and_the_end_is_told_in_order(void **state)
{
	struct tls_settings client = settings_of("exporter");
	struct tls_settings server = settings_of("collector");
	static uint8_t sent[300000], got[sizeof sent];
	size_t in = 0, out = 0;
	struct pair p;
	ssize_t n = -EAGAIN;

	(void)state;
	for (size_t i = 0; i < sizeof sent; i++) {
		sent[i] = (uint8_t)(i * 7 + i / 251);
	}
	pair_open(&p, &client, &server, "localhost");
	while (in < sizeof got) {
		if (out < sizeof sent) {
			n = p.client.ops->write(
			    &p.client, sent + out, sizeof sent - out, NULL);
			assert_true(n > 0 || n == -EAGAIN);
			out += n > 0 ? (size_t)n : 0;
		}
		n = p.server.ops->read(&p.server, got + in, sizeof got - in, NULL);
		assert_true(n > 0 || n == -EAGAIN);
		in += n > 0 ? (size_t)n : 0;
	}
	assert_memory_equal(sent, got, sizeof sent);
	assert_int_equal(p.client.ops->finish(&p.client, NULL), 0);
	wait_for(p.server.fd, 5000);
	assert_int_equal(p.server.ops->read(&p.server, got, sizeof got, NULL), 0);
	assert_int_equal(p.server.ops->finish(&p.server, NULL), 0);
	wait_for(p.client.fd, 5000);
	assert_int_equal(p.client.ops->read(&p.client, got, sizeof got, NULL), 0);
	pair_close(&p);
}

static void
a_stream_cut_off_without_close_notify_is_an_error(void **state)
{
	struct tls_settings client = settings_of("exporter");
	struct tls_settings server = settings_of("collector");
	struct pair p;
	char byte;

	(void)state;
	pair_open(&p, &client, &server, "localhost");
	p.client.ops->close(&p.client);
	wait_for(p.server.fd, 5000);
	assert_int_equal(
	    p.server.ops->read(&p.server, &byte, 1, &p.server_err), -ECONNABORTED);
	expect_sentence(&p.server_err, "cut off");
	pair_close(&p);
}

static void
writing_to_a_peer_that_is_gone_is_an_error_and_no_signal(void **state)
{
	struct tls_settings client = settings_of("exporter");
	struct tls_settings server = settings_of("collector");
	static const char bytes[1000];
	struct pair p;
	ssize_t n = 0;

	(void)state;
	pair_open(&p, &client, &server, "localhost");
	p.server.ops->close(&p.server);
	for (int i = 0; i < 1000 && n >= 0; i++) {
		n = p.client.ops->write(&p.client, bytes, sizeof bytes, &p.client_err);
		wait_for(p.client.fd, 1);
	}
	assert_true(n < 0 && n != -EAGAIN);
	expect_sentence(&p.client_err, "tls://localhost");
	pair_close(&p);
}

static void
a_client_without_certificate_is_refused(void **state)
{
	(void)state;
	expect_refused_client(NULL, false, TLS_REFUSED_NO_CERTIFICATE,
	    "presented no certificate",
	    "it requires a certificate and we presented none");
}

static void
a_client_of_an_unknown_authority_is_refused(void **state)
{
	(void)state;
	expect_refused_client("stranger", false, TLS_REFUSED_UNKNOWN_CA,
	    "was issued by other-ca, which no CA given here vouches for",
	    "it does not know the CA of our certificate");
}

/* It closes with our bytes unread, so that the next write meets a reset. */
static void
a_client_that_writes_before_it_listens_hears_why_too(void **state)
{
	struct tls_settings client = settings_of("stranger");
	struct tls_settings server = settings_of("collector");
	struct pair p;
	ssize_t n = 1;

	(void)state;
	pair_shake(&p, &client, &server, "localhost");
	assert_int_equal(p.client_rc, 0);
	assert_int_equal(p.client.ops->write(&p.client, "abc", 3, NULL), 3);
	p.server.ops->close(&p.server);
	while (n > 0) {
		n = p.client.ops->write(&p.client, "abc", 3, &p.client_err);
	}
	assert_int_equal(n, -EACCES);
	assert_int_equal(transport_refusal(&p.client), TLS_REFUSED_BY_PEER);
	expect_sentence(&p.client_err, "it does not know the CA of our certificate");
	pair_close(&p);
}

static void
an_expired_client_is_refused(void **state)
{
	(void)state;
	expect_refused_client("expired", false, TLS_REFUSED_EXPIRED,
	    "the certificate of localhost expired on", "our certificate has expired");
	expect_refused_client(
	    "future", false, TLS_REFUSED_NOT_YET, "is not valid before", "refused us");
}

static void
a_revoked_client_is_refused_when_there_is_a_crl(void **state)
{
	struct tls_settings client = settings_of("revoked");
	struct tls_settings server = settings_of("collector");

	(void)state;
	expect_welcome(&client, &server, "localhost");
	expect_refused_client("revoked", true, TLS_REFUSED_REVOKED, "was revoked by ca",
	    "our certificate was revoked");
}

static void
the_others_of_a_crl_stay_welcome(void **state)
{
	struct tls_settings client = settings_of("exporter");
	struct tls_settings server = settings_of("collector");

	(void)state;
	server.crl = support_certificate("crl.pem");
	client.crl = support_certificate("crl.pem");
	expect_welcome(&client, &server, "localhost");
}

static void
a_server_for_other_names_is_refused(void **state)
{
	(void)state;
	expect_refused_server("misnamed", "localhost", TLS_REFUSED_NAME,
	    "the certificate is for foo.example, bar.example; expected localhost");
	expect_refused_server("misnamed", "127.0.0.1", TLS_REFUSED_NAME,
	    "the certificate is for foo.example, bar.example; expected 127.0.0.1");
}

static void
a_common_name_is_no_server_name(void **state)
{
	(void)state;
	expect_refused_server("nameless", "localhost", TLS_REFUSED_NAME,
	    "no host (it has no subject alternative name); expected localhost");
}

static void
an_expired_server_is_refused(void **state)
{
	(void)state;
	expect_refused_server(
	    "expired", "localhost", TLS_REFUSED_EXPIRED, "expired on");
}

static void
a_server_of_an_unknown_authority_is_refused(void **state)
{
	(void)state;
	expect_refused_server(
	    "stranger", "localhost", TLS_REFUSED_UNKNOWN_CA, "issued by other-ca");
}

static void
a_certificate_for_clients_only_is_no_server(void **state)
{
	(void)state;
	expect_refused_server(
	    "client-only", "localhost", TLS_REFUSED_CERTIFICATE, "cannot be accepted");
}

static void
a_server_may_ask_nobody_when_told_so(void **state)
{
	struct tls_settings client = settings_of(NULL);
	struct tls_settings server = settings_of("collector");

	(void)state;
	server.insecure_no_client_auth = true;
	server.ca = NULL;
	expect_welcome(&client, &server, "localhost");
}

static void
expect_protocol(const char *offered, const char *known, const char *agreed)
{
	struct tls_settings client = settings_of("exporter");
	struct tls_settings server = settings_of("collector");
	struct pair p;

	client.alpn = offered;
	server.alpn = known;
	pair_open(&p, &client, &server, "localhost");
	assert_int_equal(p.client_rc, -EAGAIN);
	assert_string_equal(p.client.protocol, agreed);
	assert_string_equal(p.server.protocol, agreed);
	pair_close(&p);
}

static void
a_protocol_that_both_ends_know_is_agreed_on(void **state)
{
	(void)state;
	expect_protocol("flowpair/1", "flowpair/1", "flowpair/1");
}

static void
a_protocol_that_one_end_knows_not_is_no_error(void **state)
{
	(void)state;
	expect_protocol("flowpair/1", NULL, "");
	expect_protocol(NULL, "flowpair/1", "");
	expect_protocol("flowpair/2", "flowpair/1", "");
}

/* Makes t the server of a socket that this peer dialled. */
static void
take(struct transport *t, const char *peer, int fd, struct tls_context *context)
{
	struct transport carrier = {.fd = -1};

	strcpy(carrier.peer.text, peer);
	transport_tcp_take(&carrier, fd);
	*t = (struct transport){
	    .scheme = &transport_tls, .ops = transport_tls.connection, .fd = -1};
	assert_int_equal(secured_take(t, &carrier, NULL, context, NULL), 0);
}

/* What a server makes of bytes that do not begin a handshake. */
static enum tls_refusal
refusal_of_bytes(const void *bytes, size_t n, struct err *e)
{
	struct tls_settings server = settings_of("collector");
	struct tls_context *context = NULL;
	struct transport t;
	enum tls_refusal why;
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
	assert_int_equal(tls_context_new(&server, true, &context, e), 0);
	take(&t, "here", ends[0], context);
	assert_int_equal(write(ends[1], bytes, n), n);
	close(ends[1]);
	assert_true(t.ops->proceed(&t, e) < 0);
	why = transport_refusal(&t);
	t.ops->close(&t);
	tls_context_free(context);
	return why;
}

static void
plain_ipfix_to_a_secured_port_is_refused(void **state)
{
	static const uint8_t message[64] = {0, 10, 0, 64, 0x5a};
	struct err e = {0};

	(void)state;
	assert_int_equal(
	    refusal_of_bytes(message, sizeof message, &e), TLS_REFUSED_PROTOCOL);
	assert_true(strlen(e.text) > 10);
	assert_int_equal(
	    refusal_of_bytes("GET / HTTP/1.0\r\n\r\n", 18, &e), TLS_REFUSED_PROTOCOL);
	expect_sentence(&e, "does not speak TLS");
}

static void
a_handshake_cut_short_is_refused(void **state)
{
	static const uint8_t hello[] = {22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3};
	struct err e = {0};

	(void)state;
	assert_int_equal(refusal_of_bytes(hello, sizeof hello, &e), TLS_REFUSED_CUT);
	expect_sentence(&e, "during the handshake");
	assert_int_equal(refusal_of_bytes(hello, 0, &e), TLS_REFUSED_CUT);
}

/* A client of OpenSSL's own that speaks TLS 1.2 and nothing newer, and a server of ours
 * at the other end of a socket. */
struct old_pair {
	SSL_CTX *client_context;
	SSL *client;
	struct tls_context *server_context;
	struct transport server;
	int fd, server_rc;
	struct err e;
};

static void
old_pair_shake(struct old_pair *p, bool tls12)
{
	struct tls_settings s = settings_of("collector");
	int ends[2], rc = 0;

	memset(p, 0, sizeof *p);
	s.tls12 = tls12;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
	assert_int_equal(tls_context_new(&s, true, &p->server_context, NULL), 0);
	take(&p->server, "old", ends[0], p->server_context);
	p->fd = ends[1];
	p->client_context = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_max_proto_version(p->client_context, TLS1_2_VERSION);
	SSL_CTX_use_certificate_chain_file(
	    p->client_context, support_certificate("exporter.pem"));
	SSL_CTX_use_PrivateKey_file(
	    p->client_context, support_certificate("exporter.key"), SSL_FILETYPE_PEM);
	p->client = SSL_new(p->client_context);
	SSL_set_fd(p->client, p->fd);
	SSL_set_connect_state(p->client);
	p->server_rc = -EAGAIN;
	for (int i = 0; i < 20 && (rc != 1 || p->server_rc == -EAGAIN); i++) {
		rc = SSL_do_handshake(p->client);
		if (p->server_rc == -EAGAIN) {
			p->server_rc = p->server.ops->proceed(&p->server, &p->e);
		}
	}
}

static void
old_pair_close(struct old_pair *p)
{
	SSL_free(p->client);
	SSL_CTX_free(p->client_context);
	p->server.ops->close(&p->server);
	tls_context_free(p->server_context);
	close(p->fd);
}

static void
a_client_of_an_old_version_is_refused(void **state)
{
	struct old_pair p;

	(void)state;
	old_pair_shake(&p, false);
	assert_int_equal(p.server_rc, -EPROTO);
	assert_int_equal(transport_refusal(&p.server), TLS_REFUSED_VERSION);
	expect_sentence(&p.e, "supports none of our TLS versions");
	old_pair_close(&p);
	old_pair_shake(&p, true);
	assert_int_equal(p.server_rc, 0);
	old_pair_close(&p);
}

static void
who_renegotiates_is_cut_off(void **state)
{
	struct old_pair p;
	char bytes[64];

	(void)state;
	old_pair_shake(&p, true);
	assert_int_equal(p.server_rc, 0);
	assert_int_equal(SSL_renegotiate(p.client), 1);
	SSL_do_handshake(p.client);
	assert_int_equal(
	    p.server.ops->read(&p.server, bytes, sizeof bytes, &p.e), -EPROTO);
	assert_int_equal(transport_refusal(&p.server), TLS_REFUSED_RENEGOTIATION);
	expect_sentence(&p.e, "tried to renegotiate");
	old_pair_close(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(mutual_certificates_open_a_session_by_name_and_by_address),
	    cmocka_unit_test(the_server_names_the_client_by_its_certificate),
	    cmocka_unit_test(bytes_arrive_and_the_end_is_told_in_order),
	    cmocka_unit_test(a_stream_cut_off_without_close_notify_is_an_error),
	    cmocka_unit_test(writing_to_a_peer_that_is_gone_is_an_error_and_no_signal),
	    cmocka_unit_test(a_client_without_certificate_is_refused),
	    cmocka_unit_test(a_client_of_an_unknown_authority_is_refused),
	    cmocka_unit_test(a_client_that_writes_before_it_listens_hears_why_too),
	    cmocka_unit_test(an_expired_client_is_refused),
	    cmocka_unit_test(a_revoked_client_is_refused_when_there_is_a_crl),
	    cmocka_unit_test(the_others_of_a_crl_stay_welcome),
	    cmocka_unit_test(a_server_for_other_names_is_refused),
	    cmocka_unit_test(a_common_name_is_no_server_name),
	    cmocka_unit_test(an_expired_server_is_refused),
	    cmocka_unit_test(a_server_of_an_unknown_authority_is_refused),
	    cmocka_unit_test(a_certificate_for_clients_only_is_no_server),
	    cmocka_unit_test(a_server_may_ask_nobody_when_told_so),
	    cmocka_unit_test(a_protocol_that_both_ends_know_is_agreed_on),
	    cmocka_unit_test(a_protocol_that_one_end_knows_not_is_no_error),
	    cmocka_unit_test(plain_ipfix_to_a_secured_port_is_refused),
	    cmocka_unit_test(a_handshake_cut_short_is_refused),
	    cmocka_unit_test(a_client_of_an_old_version_is_refused),
	    cmocka_unit_test(who_renegotiates_is_cut_off),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
