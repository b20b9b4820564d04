/* Certificates for tests, made when first asked for, in a temporary folder that is
 * removed at exit:
 *   ca.pem other-ca.pem crl.pem   two authorities; the first revokes revoked.pem
 *   NAME.pem NAME.key             from ca.pem: collector, exporter (localhost,
 *                                 127.0.0.1, ::1; exporter.example), misnamed
 *                                 (foo.example, bar.example), nameless (CN=localhost,
 *                                 no SAN), expired, future, revoked, client-only; from
 *                                 other-ca.pem: stranger */
#ifndef TESTS_COMMON_TLS_SUPPORT_CERTIFICATES_H
#define TESTS_COMMON_TLS_SUPPORT_CERTIFICATES_H

/* The folder. */
const char *support_certificates(void);
/* Path of a file in it; of a few calls at a time. */
const char *support_certificate(const char *file);

#endif
