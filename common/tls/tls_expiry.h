/* When the files that the TLS settings name expire. */
#ifndef COMMON_TLS_TLS_EXPIRY_H
#define COMMON_TLS_TLS_EXPIRY_H

#include "common/tls/tls.h"

struct metrics;
enum tls_paper { TLS_PAPER_CERTIFICATE, TLS_PAPER_CA, TLS_PAPER_CRL, TLS_PAPERS };
struct tls_expiry {
	/* Seconds since 1970; 0: there is none, or it never expires.  Of our
	 * certificate; the earliest of the authorities; the earliest of the revocation
	 * lists. */
	uint64_t end_s[TLS_PAPERS];
};
const char *tls_paper_name(enum tls_paper p); /* "certificate" */
void tls_expiry_read(const struct tls_settings *settings, struct tls_expiry *ret);
/* 0, or -ETIME with the sentence: it expires within 30 days, or has expired. */
int tls_expiry_warn(const struct tls_settings *settings, const struct tls_expiry *x,
    enum tls_paper p, uint64_t now_s, struct err *e);

/* As the family flowpair_certificate_expiry_timestamp_seconds. */
void tls_expiry_add(const struct tls_expiry *x, struct metrics *m);

#endif
