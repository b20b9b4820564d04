#include "common/tls/tls_expiry.h"

#include <errno.h>
#include <limits.h>
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

/* The end of the next object of a file; false: there is none. */
static bool
read_certificate(FILE *f, uint64_t *ret)
{
	X509 *x = PEM_read_X509(f, NULL, NULL, NULL);

	note(x != NULL ? X509_get0_notAfter(x) : NULL, ret);
	X509_free(x);
	return x != NULL;
}

static bool
read_list(FILE *f, uint64_t *ret)
{
	X509_CRL *x = PEM_read_X509_CRL(f, NULL, NULL, NULL);

	note(x != NULL ? X509_CRL_get0_nextUpdate(x) : NULL, ret);
	X509_CRL_free(x);
	return x != NULL;
}

/* The earliest end of a file's first `most` objects; 0: there is none. */
static uint64_t
read_file(const char *path, bool (*read_next)(FILE *f, uint64_t *ret), unsigned most)
{
	FILE *f = path != NULL ? fopen(path, "re") : NULL;
	uint64_t end = 0;

	while (f != NULL && most > 0 && read_next(f, &end)) {
		most--;
	}
	if (f != NULL) {
		fclose(f);
	}
	return end;
}

void
tls_expiry_read(const struct tls_settings *s, struct tls_expiry *ret)
{
	ret->end_s[TLS_PAPER_CERTIFICATE] =
	    read_file(s->certificate, read_certificate, 1);
	ret->end_s[TLS_PAPER_CA] = read_file(s->ca, read_certificate, UINT_MAX);
	ret->end_s[TLS_PAPER_CRL] = read_file(s->crl, read_list, UINT_MAX);
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
		return err_set(e, -ETIME, "%s in %.300s expired on %s: renew it",
		    what[p], files[p], when);
	}
	return err_set(e, -ETIME, "%s in %.300s expires on %s, in %u days: renew it",
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
			    "When the first certificate or list in each file expires.");
			has_family = true;
		}
		metrics_add(m, "file", tls_paper_name(i), x->end_s[i]);
	}
}
