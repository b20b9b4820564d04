#include "common/tls/tls_expiry.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <time.h>

#include "common/base/clock.h"
#include "common/base/metrics.h"
#include "common/tls/tls_private.h"

#define DAY_S  SECONDS_PER_DAY
#define WARN_S (30 * (uint64_t)DAY_S)

const char *
tls_paper_name(enum tls_paper p)
{
	static const char *const names[TLS_PAPERS] = {
	    [TLS_PAPER_CERTIFICATE] = "certificate",
	    [TLS_PAPER_CA] = "ca",
	    [TLS_PAPER_CRL] = "crl",
	};

	return (unsigned)p < TLS_PAPERS ? names[p] : "unknown";
}

/* Keeps the first end. */
static void
note(const ASN1_TIME *end, uint64_t *ret)
{
	struct tm tm;
	time_t s;

	if (end == NULL || ASN1_TIME_to_tm(end, &tm) != 1) {
		return;
	}
	s = timegm(&tm);
	if (s > 0 && (*ret == 0 || (uint64_t)s < *ret)) {
		*ret = (uint64_t)s;
	}
}

static uint64_t
read_certificates(const char *path, bool is_first_only)
{
	FILE *f = fopen(path, "re");
	uint64_t end = 0;
	X509 *x;

	while (f != NULL && (x = PEM_read_X509(f, NULL, NULL, NULL)) != NULL) {
		note(X509_get0_notAfter(x), &end);
		X509_free(x);
		if (is_first_only) {
			break;
		}
	}
	if (f != NULL) {
		fclose(f);
	}
	return end;
}

static uint64_t
read_lists(const char *path)
{
	FILE *f = fopen(path, "re");
	uint64_t end = 0;
	X509_CRL *x;

	while (f != NULL && (x = PEM_read_X509_CRL(f, NULL, NULL, NULL)) != NULL) {
		note(X509_CRL_get0_nextUpdate(x), &end);
		X509_CRL_free(x);
	}
	if (f != NULL) {
		fclose(f);
	}
	return end;
}

void
tls_expiry_read(const struct tls_settings *s, struct tls_expiry *ret)
{
	*ret = (struct tls_expiry){0};
	if (s->certificate != NULL) {
		ret->end_s[TLS_PAPER_CERTIFICATE] =
		    read_certificates(s->certificate, true);
	}
	if (s->ca != NULL) {
		ret->end_s[TLS_PAPER_CA] = read_certificates(s->ca, false);
	}
	if (s->crl != NULL) {
		ret->end_s[TLS_PAPER_CRL] = read_lists(s->crl);
	}
	ERR_clear_error(); /* the end of a file is an error to PEM */
}

int
tls_expiry_warn(const struct tls_settings *s, const struct tls_expiry *x,
    enum tls_paper p, uint64_t now_s, struct err *e)
{
	const char *const files[TLS_PAPERS] = {s->certificate, s->ca, s->crl};
	const char *const what[TLS_PAPERS] = {
	    "the certificate", "an authority", "a revocation list"};
	uint64_t end = x->end_s[p];
	char when[32];

	if (end == 0 || now_s + WARN_S <= end) {
		return 0;
	}
	clock_format_iso(end * NS_PER_SECOND, when);
	if (end <= now_s) {
		return err_set(e, -ETIME, "%s in %.300s ended on %s: renew it", what[p],
		    files[p], when);
	}
	return err_set(e, -ETIME, "%s in %.300s ends on %s, in %u days: renew it",
	    what[p], files[p], when, (unsigned)((end - now_s) / DAY_S));
}

void
tls_expiry_add(const struct tls_expiry *x, struct metrics *m)
{
	bool has_family = false;

	for (unsigned i = 0; i < TLS_PAPERS; i++) {
		if (x->end_s[i] == 0) {
			continue;
		}
		if (!has_family) {
			metrics_family(m,
			    "flowpair_certificate_expiry_timestamp_seconds",
			    METRICS_GAUGE,
			    "When what the files of this name hold ends, the first of "
			    "each.");
			has_family = true;
		}
		metrics_add(m, "file", tls_paper_name(i), x->end_s[i]);
	}
}
