/* Both ends of DTLS in one thread, over message sockets of the kernel: SOCK_SEQPACKET,
 * which loses nothing, as SCTP; SOCK_DGRAM, of which messages are thrown away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/tls/tls.h"
#include "tests/unit/common/tls/support_certificates.h"

/* One end, and what became of what it carried. */
struct end {
	struct tls_context *context;
	struct tls *tls;
	int fd, rc;
	struct err e;
	unsigned written, lose; /* lose: a bit for each message that gets lost */
	uint8_t key[64];
	unsigned keys, used_at;  /* used_at: messages written before use_key */
	uint8_t epochs[64];      /* of the messages written */
	size_t longest, records; /* records: most in one message */
};

static size_t
count_records(const uint8_t *bytes, size_t n)
{
	size_t count = 0;

	for (size_t at = 0; at + 13 <= n; count++) {
		at += 13 + ((size_t)bytes[at + 11] << 8 | bytes[at + 12]);
	}
	return count;
}

static ssize_t
end_read(void *data, void *bytes, size_t n)
{
	const struct end *x = data;
	ssize_t got = recv(x->fd, bytes, n, MSG_DONTWAIT);

	return got >= 0 ? got : -errno;
}

static ssize_t
end_write(void *data, const void *bytes, size_t n)
{
	struct end *x = data;
	unsigned i = x->written++;
	size_t records = count_records(bytes, n);
	ssize_t put;

	x->longest = n > x->longest ? n : x->longest;
	x->records = records > x->records ? records : x->records;
	if (i < sizeof x->epochs) {
		x->epochs[i] = ((const uint8_t *)bytes)[4];
	}
	if (i < 32 && (x->lose >> i & 1) != 0) {
		return (ssize_t)n;
	}
	put = send(x->fd, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (put < 0 && errno == EAGAIN) {
		x->written--;
	}
	return put >= 0 ? put : -errno;
}

static int
end_add_key(void *data, const uint8_t *key, size_t n)
{
	struct end *x = data;

	assert_int_equal(n, sizeof x->key);
	memcpy(x->key, key, n);
	x->keys++;
	return 0;
}

static int
end_use_key(void *data)
{
	struct end *x = data;

	assert_int_equal(x->keys, 1);
	assert_int_equal(x->used_at, 0);
	x->used_at = x->written;
	return 0;
}

struct pair {
	struct end client, server;
};

static struct tls_settings
settings_of(const char *name)
{
	char file[64];
	struct tls_settings s = {
	    .ca = support_certificate("ca.pem"), .alpn = "flowpair/1"};

	if (name != NULL) {
		snprintf(file, sizeof file, "%s.pem", name);
		s.certificate = support_certificate(file);
		snprintf(file, sizeof file, "%s.key", name);
		s.key = support_certificate(file);
	}
	return s;
}

static void
begin(struct end *x, const struct tls_settings *s, bool is_server, bool is_lossy,
    const char *name)
{
	struct tls_carrier carrier = {
	    .kind = is_lossy ? TLS_DATAGRAMS : TLS_MESSAGES,
	    .read = end_read,
	    .write = end_write,
	    .add_key = is_lossy ? NULL : end_add_key,
	    .use_key = is_lossy ? NULL : end_use_key,
	    .data = x,
	};

	assert_int_equal(tls_context_new(s, is_server, &x->context, NULL), 0);
	assert_int_equal(tls_new(x->context, &carrier, name, &x->tls, NULL), 0);
	x->rc = -EAGAIN;
}

static void
pair_begin(struct pair *p, bool is_lossy, const struct tls_settings *client,
    const struct tls_settings *server, const char *name)
{
	int ends[2], kind = is_lossy ? SOCK_DGRAM : SOCK_SEQPACKET;

	memset(p, 0, sizeof *p);
	assert_int_equal(socketpair(AF_UNIX, kind | SOCK_NONBLOCK, 0, ends), 0);
	p->client.fd = ends[0];
	p->server.fd = ends[1];
	begin(&p->client, client, false, is_lossy, name);
	begin(&p->server, server, true, is_lossy, NULL);
}

/* Goes on until both are open or have failed; milliseconds until something is sent
 * again count as nothing to do. */
static void
pair_shake(struct pair *p)
{
	for (int i = 0; i < 200; i++) {
		struct pollfd fds[2] = {
		    {p->client.fd, POLLIN, 0}, {p->server.fd, POLLIN, 0}};
		uint64_t a, b;
		if (p->client.rc == -EAGAIN) {
			p->client.rc = tls_handshake(p->client.tls, &p->client.e);
		}
		if (p->server.rc == -EAGAIN) {
			p->server.rc = tls_handshake(p->server.tls, &p->server.e);
		}
		if (p->client.rc != -EAGAIN && p->server.rc != -EAGAIN) {
			break;
		}
		/* A retransmission may be answered by an end that is open. */
		if (p->server.rc == 0) {
			char byte;
			assert_int_equal(
			    tls_read(p->server.tls, &byte, 1, NULL), -EAGAIN);
		}
		a = tls_timeout(p->client.tls);
		b = tls_timeout(p->server.tls);
		a = a < b ? a : b;
		poll(fds, 2, a > 1000000000 ? 1000 : (int)(a / 1000000));
	}
}

static void
pair_end(struct pair *p)
{
	tls_free(p->client.tls);
	tls_free(p->server.tls);
	tls_context_free(p->client.context);
	tls_context_free(p->server.context);
	close(p->client.fd);
	close(p->server.fd);
}

static void
pair_open(struct pair *p, bool is_lossy)
{
	struct tls_settings client = settings_of("exporter");
	struct tls_settings server = settings_of("collector");

	pair_begin(p, is_lossy, &client, &server, "localhost");
	pair_shake(p);
	if (p->client.rc != 0 || p->server.rc != 0) {
		fail_msg("%s / %s", p->client.e.text, p->server.e.text);
	}
}

static void
expect_sentence(const struct err *e, const char *part)
{
	if (strstr(e->text, part) == NULL) {
		fail_msg("\"%s\" does not say \"%s\"", e->text, part);
	}
}

static void
both_ends_know_each_other_by_their_certificates(void **state)
{
	char name[256];
	struct pair p;

	(void)state;
	pair_open(&p, false);
	tls_identity(p.server.tls, name);
	assert_string_equal(name, "exporter.example");
	tls_identity(p.client.tls, name);
	assert_string_equal(name, "localhost");
	pair_end(&p);
}

static void
a_message_arrives_as_it_was_written_up_to_16384_bytes(void **state)
{
	static const size_t sizes[] = {1, 16, 1400, 16383, 16384};
	static uint8_t sent[16385], got[65535];
	struct pair p;

	(void)state;
	memset(sent, 0x5a, sizeof sent);
	pair_open(&p, false);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		ssize_t n = (ssize_t)sizes[i];
		assert_int_equal(tls_write(p.client.tls, sent, sizes[i], NULL), n);
		assert_int_equal(tls_write(p.client.tls, sent, 3, NULL), 3);
		assert_int_equal(tls_read(p.server.tls, got, sizeof got, NULL), n);
		assert_memory_equal(got, sent, sizes[i]);
		assert_int_equal(tls_read(p.server.tls, got, sizeof got, NULL), 3);
	}
	assert_true(p.client.longest <= 18445);
	assert_int_equal(
	    tls_write(p.client.tls, sent, sizeof sent, &p.client.e), -EMSGSIZE);
	expect_sentence(&p.client.e, "a message of 16385 bytes is too long for DTLS");
	assert_int_equal(tls_write(p.client.tls, sent, 7, NULL), 7);
	assert_int_equal(tls_read(p.server.tls, got, sizeof got, NULL), 7);
	pair_end(&p);
}

static void
a_full_carrier_takes_the_message_later_and_once(void **state)
{
	static uint8_t sent[16384], got[65535];
	unsigned out = 0, in = 0;
	struct pair p;
	ssize_t n;

	(void)state;
	pair_open(&p, false);
	while (in < 300) {
		while (out < 300) {
			sent[0] = (uint8_t)out;
			n = tls_write(p.client.tls, sent, sizeof sent, NULL);
			if (n == -EAGAIN) {
				assert_int_equal(tls_want(p.client.tls), POLLOUT);
				break;
			}
			assert_int_equal(n, sizeof sent);
			out++;
		}
		while ((n = tls_read(p.server.tls, got, sizeof got, NULL)) > 0) {
			assert_int_equal(n, sizeof sent);
			assert_int_equal(got[0], (uint8_t)in);
			in++;
		}
		assert_int_equal(n, -EAGAIN);
	}
	pair_end(&p);
}

static void
the_key_of_the_carrier_is_the_same_at_both_ends(void **state)
{
	struct pair p;

	(void)state;
	pair_open(&p, false);
	assert_int_equal(p.client.keys, 1);
	assert_int_equal(p.server.keys, 1);
	assert_memory_equal(p.client.key, p.server.key, sizeof p.client.key);
	pair_end(&p);
}

static void
expect_switch(const struct end *x)
{
	assert_true(x->used_at > 0 && x->used_at < x->written);
	assert_int_equal(x->epochs[x->used_at - 1], 0);
	assert_int_equal(x->epochs[x->used_at], 1);
	assert_int_equal(x->records, 1);
}

static void
the_key_changes_between_the_last_plain_record_and_finished(void **state)
{
	struct pair p;

	(void)state;
	pair_open(&p, false);
	expect_switch(&p.client);
	expect_switch(&p.server);
	pair_end(&p);
}

static void
an_ordered_carrier_agrees_on_a_protocol_and_a_lossy_one_on_none(void **state)
{
	char protocol[TLS_PROTOCOL];
	struct pair p;

	(void)state;
	pair_open(&p, false);
	tls_protocol(p.client.tls, protocol);
	assert_string_equal(protocol, "flowpair/1");
	tls_protocol(p.server.tls, protocol);
	assert_string_equal(protocol, "flowpair/1");
	pair_end(&p);
	pair_open(&p, true);
	tls_protocol(p.client.tls, protocol);
	assert_string_equal(protocol, "");
	pair_end(&p);
}

static void
an_end_is_told_in_order(void **state)
{
	struct pair p;
	char byte;

	(void)state;
	pair_open(&p, false);
	assert_int_equal(tls_write(p.client.tls, "x", 1, NULL), 1);
	assert_int_equal(tls_shutdown(p.client.tls, NULL), 0);
	assert_int_equal(tls_read(p.server.tls, &byte, 1, NULL), 1);
	assert_int_equal(tls_read(p.server.tls, &byte, 1, NULL), 0);
	assert_int_equal(tls_shutdown(p.server.tls, NULL), 0);
	assert_int_equal(tls_read(p.client.tls, &byte, 1, NULL), 0);
	pair_end(&p);
}

static void
a_carrier_that_ends_without_close_notify_is_cut_off(void **state)
{
	struct pair p;
	char byte;

	(void)state;
	pair_open(&p, false);
	shutdown(p.client.fd, SHUT_RDWR);
	assert_int_equal(tls_read(p.server.tls, &byte, 1, &p.server.e), -ECONNABORTED);
	expect_sentence(&p.server.e, "cut off");
	pair_end(&p);
}

static void
a_carrier_that_ends_in_mid_handshake_is_refused(void **state)
{
	struct tls_settings client = settings_of("exporter");
	struct tls_settings server = settings_of("collector");
	struct pair p;

	(void)state;
	pair_begin(&p, false, &client, &server, "localhost");
	assert_int_equal(tls_handshake(p.client.tls, NULL), -EAGAIN);
	assert_int_equal(tls_handshake(p.server.tls, NULL), -EAGAIN);
	shutdown(p.client.fd, SHUT_RDWR);
	assert_int_equal(tls_handshake(p.server.tls, &p.server.e), -EPROTO);
	expect_sentence(&p.server.e, "during the handshake");
	assert_int_equal(tls_refusal(p.server.tls), TLS_REFUSED_CUT);
	pair_end(&p);
}

static void
expect_refused(bool is_lossy, const char *client_name, const char *server_name,
    const char *host, enum tls_refusal client_why, enum tls_refusal server_why)
{
	struct tls_settings client = settings_of(client_name);
	struct tls_settings server = settings_of(server_name);
	struct pair p;

	if (client_name != NULL && strcmp(client_name, "revoked") == 0) {
		server.crl = support_certificate("crl.pem");
	}
	pair_begin(&p, is_lossy, &client, &server, host);
	pair_shake(&p);
	assert_int_equal(p.client.rc, -EACCES);
	assert_int_equal(p.server.rc, -EACCES);
	assert_int_equal(tls_refusal(p.client.tls), client_why);
	assert_int_equal(tls_refusal(p.server.tls), server_why);
	pair_end(&p);
}

static void
whoever_shows_the_wrong_certificate_is_refused_with_the_reason(void **state)
{
	static const struct {
		const char *client, *server, *host;
		enum tls_refusal client_why, server_why;
	} cases[] = {
	    {NULL, "collector", "localhost", TLS_REFUSED_BY_PEER,
		TLS_REFUSED_NO_CERTIFICATE},
	    {"stranger", "collector", "localhost", TLS_REFUSED_BY_PEER,
		TLS_REFUSED_UNKNOWN_CA},
	    {"expired", "collector", "localhost", TLS_REFUSED_BY_PEER,
		TLS_REFUSED_EXPIRED},
	    {"revoked", "collector", "localhost", TLS_REFUSED_BY_PEER,
		TLS_REFUSED_REVOKED},
	    {"exporter", "misnamed", "localhost", TLS_REFUSED_NAME,
		TLS_REFUSED_BY_PEER},
	    {"exporter", "nameless", "localhost", TLS_REFUSED_NAME,
		TLS_REFUSED_BY_PEER},
	    {"exporter", "collector", "192.0.2.1", TLS_REFUSED_NAME,
		TLS_REFUSED_BY_PEER},
	    {"exporter", "expired", "localhost", TLS_REFUSED_EXPIRED,
		TLS_REFUSED_BY_PEER},
	    {"exporter", "stranger", "localhost", TLS_REFUSED_UNKNOWN_CA,
		TLS_REFUSED_BY_PEER},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		for (int is_lossy = 0; is_lossy < 2; is_lossy++) {
			expect_refused(is_lossy, cases[i].client, cases[i].server,
			    cases[i].host, cases[i].client_why, cases[i].server_why);
		}
	}
}

/* Every flight of a handshake (hello, server's, client's, server's Finished) is sent
 * again when its first message gets lost. */
static void
a_lossy_carrier_opens_in_spite_of_losses(void **state)
{
	static const unsigned lost[][2] = {{1, 0}, {0, 1}, {2, 0}, {2, 2}, {0, 2}};

	(void)state;
	for (size_t i = 0; i < sizeof lost / sizeof *lost; i++) {
		struct tls_settings client = settings_of("exporter");
		struct tls_settings server = settings_of("collector");
		struct pair p;
		pair_begin(&p, true, &client, &server, "localhost");
		p.client.lose = lost[i][0];
		p.server.lose = lost[i][1];
		pair_shake(&p);
		if (p.client.rc != 0 || p.server.rc != 0) {
			fail_msg("%zu: %s / %s", i, p.client.e.text, p.server.e.text);
		}
		assert_true(lost[i][0] >> p.client.written == 0);
		assert_true(lost[i][1] >> p.server.written == 0);
		assert_int_equal(tls_timeout(p.client.tls), UINT64_MAX);
		assert_true(p.client.longest <= 1232 && p.server.longest <= 1232);
		pair_end(&p);
	}
}

static void
only_a_lossy_carrier_has_timers(void **state)
{
	struct tls_settings client = settings_of("exporter");
	struct tls_settings server = settings_of("collector");
	struct pair p;

	(void)state;
	for (int is_lossy = 0; is_lossy < 2; is_lossy++) {
		pair_begin(&p, is_lossy, &client, &server, "localhost");
		assert_int_equal(tls_timeout(p.client.tls), UINT64_MAX);
		assert_int_equal(tls_handshake(p.client.tls, NULL), -EAGAIN);
		assert_int_equal(tls_timeout(p.client.tls) < 2000000000, is_lossy == 1);
		pair_end(&p);
	}
}

static void
what_was_sent_twice_is_read_once(void **state)
{
	struct pair p;
	uint8_t copy[2000];
	char got[10];
	ssize_t n;

	(void)state;
	pair_open(&p, true);
	assert_int_equal(tls_write(p.client.tls, "abc", 3, NULL), 3);
	n = recv(p.server.fd, copy, sizeof copy, MSG_PEEK);
	assert_true(n > 0);
	assert_int_equal(send(p.client.fd, copy, (size_t)n, 0), n);
	assert_int_equal(tls_read(p.server.tls, got, sizeof got, NULL), 3);
	assert_int_equal(tls_read(p.server.tls, got, sizeof got, NULL), -EAGAIN);
	pair_end(&p);
}

static void
foreign_messages_in_a_session_are_passed_over(void **state)
{
	static const uint8_t rubbish[] = {0, 10, 0, 16, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
	struct pair p;
	char got[10];

	(void)state;
	pair_open(&p, true);
	assert_int_equal(send(p.client.fd, rubbish, sizeof rubbish, 0), sizeof rubbish);
	assert_int_equal(tls_write(p.client.tls, "abc", 3, NULL), 3);
	assert_int_equal(tls_read(p.server.tls, got, sizeof got, NULL), 3);
	pair_end(&p);
}

/* A client of OpenSSL's own in place of ours. */
static SSL *
foreign_client(struct pair *p, int version)
{
	SSL_CTX *c = SSL_CTX_new(DTLS_client_method());
	SSL *ssl;

	SSL_CTX_set_security_level(c, 0);
	SSL_CTX_set_min_proto_version(c, version);
	SSL_CTX_set_max_proto_version(c, version);
	SSL_CTX_set_options(c, SSL_OP_NO_QUERY_MTU);
	SSL_CTX_use_certificate_chain_file(c, support_certificate("exporter.pem"));
	SSL_CTX_use_PrivateKey_file(
	    c, support_certificate("exporter.key"), SSL_FILETYPE_PEM);
	ssl = SSL_new(c);
	SSL_CTX_free(c);
	SSL_set_mtu(ssl, 1400);
	SSL_set_fd(ssl, p->client.fd);
	SSL_set_connect_state(ssl);
	for (int i = 0; i < 20 && p->server.rc == -EAGAIN; i++) {
		SSL_do_handshake(ssl);
		p->server.rc = tls_handshake(p->server.tls, &p->server.e);
	}
	SSL_do_handshake(ssl);
	return ssl;
}

static void
a_client_of_dtls_1_0_is_refused(void **state)
{
	struct tls_settings client = settings_of("exporter");
	struct tls_settings server = settings_of("collector");
	struct pair p;

	(void)state;
	pair_begin(&p, true, &client, &server, "localhost");
	SSL_free(foreign_client(&p, DTLS1_VERSION));
	assert_int_equal(p.server.rc, -EPROTO);
	assert_int_equal(tls_refusal(p.server.tls), TLS_REFUSED_VERSION);
	pair_end(&p);
}

static void
who_renegotiates_is_cut_off(void **state)
{
	struct tls_settings client = settings_of("exporter");
	struct tls_settings server = settings_of("collector");
	struct pair p;
	char byte;
	SSL *ssl;

	(void)state;
	pair_begin(&p, true, &client, &server, "localhost");
	ssl = foreign_client(&p, DTLS1_2_VERSION);
	assert_int_equal(p.server.rc, 0);
	assert_int_equal(SSL_write(ssl, "x", 1), 1);
	assert_int_equal(tls_read(p.server.tls, &byte, 1, NULL), 1);
	assert_int_equal(SSL_renegotiate(ssl), 1);
	SSL_do_handshake(ssl);
	assert_int_equal(tls_read(p.server.tls, &byte, 1, &p.server.e), -EPROTO);
	assert_int_equal(tls_refusal(p.server.tls), TLS_REFUSED_RENEGOTIATION);
	SSL_free(ssl);
	pair_end(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(both_ends_know_each_other_by_their_certificates),
	    cmocka_unit_test(a_message_arrives_as_it_was_written_up_to_16384_bytes),
	    cmocka_unit_test(a_full_carrier_takes_the_message_later_and_once),
	    cmocka_unit_test(the_key_of_the_carrier_is_the_same_at_both_ends),
	    cmocka_unit_test(
		the_key_changes_between_the_last_plain_record_and_finished),
	    cmocka_unit_test(
		an_ordered_carrier_agrees_on_a_protocol_and_a_lossy_one_on_none),
	    cmocka_unit_test(an_end_is_told_in_order),
	    cmocka_unit_test(a_carrier_that_ends_without_close_notify_is_cut_off),
	    cmocka_unit_test(a_carrier_that_ends_in_mid_handshake_is_refused),
	    cmocka_unit_test(
		whoever_shows_the_wrong_certificate_is_refused_with_the_reason),
	    cmocka_unit_test(a_lossy_carrier_opens_in_spite_of_losses),
	    cmocka_unit_test(only_a_lossy_carrier_has_timers),
	    cmocka_unit_test(what_was_sent_twice_is_read_once),
	    cmocka_unit_test(a_client_of_dtls_1_0_is_refused),
	    cmocka_unit_test(who_renegotiates_is_cut_off),
	    cmocka_unit_test(foreign_messages_in_a_session_are_passed_over),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
