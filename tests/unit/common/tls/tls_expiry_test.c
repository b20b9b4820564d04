#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/base/err.h"
#include "common/tls/tls_expiry.h"
#include "tests/unit/common/tls/support_certificates.h"

#define DAY_S ((uint64_t)86400)

static struct tls_expiry
read_papers(const char *certificate, const char *ca, const char *crl)
{
	struct tls_settings s = {.certificate = certificate, .ca = ca, .crl = crl};
	struct tls_expiry x;

	memset(&x, 0xff, sizeof x);
	tls_expiry_read(&s, &x);
	return x;
}

/* Both files, one after the other, in a file of its own. */
static const char *
bundle(const char *first, const char *second)
{
	const char *const files[] = {
	    support_certificate(first), support_certificate(second)};
	const char *path = support_certificate("bundle.pem");
	FILE *out = fopen(path, "w");
	char line[256];

	assert_non_null(out);
	for (unsigned i = 0; i < 2; i++) {
		FILE *in = fopen(files[i], "r");
		assert_non_null(in);
		while (fgets(line, sizeof line, in) != NULL) {
			fputs(line, out);
		}
		fclose(in);
	}
	fclose(out);
	return path;
}

static uint64_t
end_of(const char *file)
{
	return read_papers(support_certificate(file), NULL, NULL)
	    .end_s[TLS_PAPER_CERTIFICATE];
}

static void
each_paper_has_its_own_end(void **state)
{
	struct tls_expiry x = read_papers(support_certificate("exporter.pem"),
	    support_certificate("ca.pem"), support_certificate("crl.pem"));

	(void)state;
	/* An authority is made for a day longer than what it signs. */
	assert_true(x.end_s[TLS_PAPER_CERTIFICATE] > 0);
	assert_in_range(x.end_s[TLS_PAPER_CA] - x.end_s[TLS_PAPER_CERTIFICATE],
	    DAY_S - 60, DAY_S + 60);
	assert_true(x.end_s[TLS_PAPER_CRL] > 0);
}

static void
what_is_not_named_or_cannot_be_read_has_no_end(void **state)
{
	struct tls_expiry x = read_papers(NULL, NULL, NULL);

	(void)state;
	for (unsigned i = 0; i < TLS_PAPERS; i++) {
		assert_int_equal(x.end_s[i], 0);
	}
	x = read_papers("/nowhere/certificate.pem", support_certificate("exporter.key"),
	    support_certificate("ca.pem"));
	for (unsigned i = 0; i < TLS_PAPERS; i++) {
		assert_int_equal(x.end_s[i], 0);
	}
}

static void
of_several_authorities_the_first_end_counts(void **state)
{
	uint64_t early = end_of("expired.pem"), late = end_of("ca.pem");

	(void)state;
	assert_true(early < late);
	assert_int_equal(read_papers(NULL, bundle("ca.pem", "expired.pem"), NULL)
			     .end_s[TLS_PAPER_CA],
	    early);
	assert_int_equal(read_papers(NULL, bundle("expired.pem", "ca.pem"), NULL)
			     .end_s[TLS_PAPER_CA],
	    early);
}

static void
of_a_chain_our_own_certificate_counts_which_is_the_first(void **state)
{
	(void)state;
	assert_int_equal(read_papers(bundle("ca.pem", "expired.pem"), NULL, NULL)
			     .end_s[TLS_PAPER_CERTIFICATE],
	    end_of("ca.pem"));
}

static void
the_last_thirty_days_are_warned_of(void **state)
{
	struct tls_settings s = {.certificate = "mine.pem"};
	struct tls_expiry x = {.end_s[TLS_PAPER_CERTIFICATE] = 1800000000};
	uint64_t end = x.end_s[TLS_PAPER_CERTIFICATE];
	struct err e = {0};

	(void)state;
	assert_int_equal(
	    tls_expiry_warn(&s, &x, TLS_PAPER_CERTIFICATE, end - 30 * DAY_S, &e), 0);
	assert_int_equal(
	    tls_expiry_warn(&s, &x, TLS_PAPER_CERTIFICATE, end - 30 * DAY_S + 1, &e),
	    -ETIME);
	assert_string_equal(e.text, "the certificate in mine.pem expires on "
				    "2027-01-15T08:00:00Z, in 29 days: renew it");
}

static void
what_has_ended_is_said_to_have_from_its_last_second(void **state)
{
	struct tls_settings s = {.ca = "ca.pem", .crl = "crl.pem"};
	struct tls_expiry x = {
	    .end_s = {[TLS_PAPER_CA] = 1800000000, [TLS_PAPER_CRL] = 1800000000}};
	struct err e = {0};

	(void)state;
	assert_int_equal(
	    tls_expiry_warn(&s, &x, TLS_PAPER_CA, 1800000000 - 1, &e), -ETIME);
	assert_non_null(strstr(e.text, ", in 0 days: renew it"));
	assert_int_equal(tls_expiry_warn(&s, &x, TLS_PAPER_CA, 1800000000, &e), -ETIME);
	assert_string_equal(
	    e.text, "an authority in ca.pem expired on 2027-01-15T08:00:00Z: renew it");
	assert_int_equal(
	    tls_expiry_warn(&s, &x, TLS_PAPER_CRL, 1900000000, &e), -ETIME);
	assert_non_null(strstr(e.text, "a revocation list in crl.pem expired on "));
}

static void
what_never_ends_is_not_warned_of(void **state)
{
	struct tls_settings s = {.certificate = "mine.pem"};
	struct tls_expiry x = {0};

	(void)state;
	for (unsigned i = 0; i < TLS_PAPERS; i++) {
		assert_int_equal(
		    tls_expiry_warn(&s, &x, (enum tls_paper)i, 1900000000, NULL), 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_paper_has_its_own_end),
	    cmocka_unit_test(what_is_not_named_or_cannot_be_read_has_no_end),
	    cmocka_unit_test(of_several_authorities_the_first_end_counts),
	    cmocka_unit_test(of_a_chain_our_own_certificate_counts_which_is_the_first),
	    cmocka_unit_test(the_last_thirty_days_are_warned_of),
	    cmocka_unit_test(what_has_ended_is_said_to_have_from_its_last_second),
	    cmocka_unit_test(what_never_ends_is_not_warned_of),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
