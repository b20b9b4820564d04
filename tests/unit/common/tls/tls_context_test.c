#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <sys/stat.h>

#include "common/tls/tls.h"
#include "tests/unit/common/tls/support_certificates.h"
#include "tests/unit/common/transport/support_dtls_pair.h"

static void
expect_bad_settings(const struct tls_settings *s, bool is_server, const char *part)
{
	struct tls_context *c = NULL;
	struct err e = {0};

	assert_true(tls_context_new(s, is_server, &c, &e) < 0);
	assert_null(c);
	expect_sentence(&e, part);
}

static void
a_key_that_others_can_read_is_refused(void **state)
{
	struct tls_settings s = settings_of("collector");
	struct tls_context *c = NULL;

	(void)state;
	assert_int_equal(chmod(s.key, 0640), 0);
	expect_bad_settings(&s, true, "can be read by others (mode 0640)");
	assert_int_equal(chmod(s.key, 0400), 0);
	assert_int_equal(tls_context_new(&s, true, &c, NULL), 0);
	tls_context_free(c);
	assert_int_equal(chmod(s.key, 0600), 0);
}

static void
wrong_files_are_named(void **state)
{
	struct tls_settings s = settings_of("collector");

	(void)state;
	s.key = support_certificate("exporter.key");
	expect_bad_settings(&s, true, "exporter.key does not fit the certificate");
	s = settings_of("collector");
	s.key = NULL;
	expect_bad_settings(&s, true, "the key is missing");
	s = settings_of("collector");
	s.ca = "/nowhere/ca.pem";
	expect_bad_settings(&s, false, "/nowhere/ca.pem: No such file");
	s = settings_of("collector");
	s.certificate = s.key;
	expect_bad_settings(&s, true, "cannot read a certificate");
	s = settings_of("collector");
	s.key = s.certificate;
	expect_bad_settings(&s, true, "no private key");
	s = settings_of("collector");
	s.crl = s.certificate;
	expect_bad_settings(&s, true, "revocation lists");
}

static void
a_server_needs_a_certificate_and_an_authority(void **state)
{
	struct tls_settings s = settings_of(NULL);

	(void)state;
	expect_bad_settings(&s, true, "needs a certificate");
	s = settings_of("collector");
	s.ca = NULL;
	expect_bad_settings(&s, true, "needs the CA");
}

static void
a_protocol_with_a_long_name_is_refused_at_once(void **state)
{
	struct tls_settings s = settings_of("collector");
	struct tls_context *c = NULL;
	struct err e = {0};

	(void)state;
	s.alpn = "sixteen letters+";
	assert_int_equal(tls_context_new(&s, true, &c, &e), -EINVAL);
	expect_sentence(&e, "too long");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_key_that_others_can_read_is_refused),
	    cmocka_unit_test(wrong_files_are_named),
	    cmocka_unit_test(a_server_needs_a_certificate_and_an_authority),
	    cmocka_unit_test(a_protocol_with_a_long_name_is_refused_at_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
