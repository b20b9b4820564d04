#include "tests/unit/common/tls/support_certificates.h"

#include <fcntl.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DAY 86400L

static char folder[64];
static const char *const names[] = {"ca", "other-ca", "collector", "exporter",
    "misnamed", "nameless", "expired", "future", "revoked", "client-only", "stranger"};

struct issuer {
	X509 *certificate;
	EVP_PKEY *key;
};

static void
check(int good, const char *what)
{
	if (!good) {
		fprintf(stderr, "support_certificates: %s failed\n", what);
		abort();
	}
}

const char *
support_certificate(const char *file)
{
	static char paths[8][160];
	static unsigned next;
	char *path = paths[next++ % 8];

	snprintf(path, sizeof paths[0], "%s/%s", support_certificates(), file);
	return path;
}

static FILE *
create(const char *name, const char *suffix)
{
	char path[160];
	FILE *f;
	int fd;

	snprintf(path, sizeof path, "%s/%s%s", folder, name, suffix);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	check(fd >= 0, path);
	f = fdopen(fd, "w");
	check(f != NULL, path);
	return f;
}

static void
extend(X509 *x, X509 *by, int nid, const char *value)
{
	X509V3_CTX context;
	X509_EXTENSION *extension;

	X509V3_set_ctx(&context, by, x, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	check(extension != NULL && X509_add_ext(x, extension, -1) == 1, value);
	X509_EXTENSION_free(extension);
}

/* from, to: days from now.  by: NULL makes an authority. */
static struct issuer
make(const char *name, const char *san, long from, long to, const struct issuer *by)
{
	static long serial = 1;
	struct issuer made = {X509_new(), EVP_EC_gen("P-256")};
	X509_NAME *subject = X509_get_subject_name(made.certificate);
	const struct issuer *signer = by != NULL ? by : &made;
	bool client_only = strcmp(name, "client-only") == 0;
	FILE *f;

	X509_set_version(made.certificate, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(made.certificate), serial++);
	X509_gmtime_adj(X509_getm_notBefore(made.certificate), from * DAY);
	X509_gmtime_adj(X509_getm_notAfter(made.certificate), to * DAY);
	X509_set_pubkey(made.certificate, made.key);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
	    (const unsigned char *)(strcmp(name, "nameless") == 0 ? "localhost" : name),
	    -1, -1, 0);
	X509_set_issuer_name(
	    made.certificate, X509_get_subject_name(signer->certificate));
	extend(made.certificate, signer->certificate, NID_basic_constraints,
	    by == NULL ? "critical,CA:TRUE" : "critical,CA:FALSE");
	if (client_only) {
		extend(made.certificate, signer->certificate, NID_ext_key_usage,
		    "clientAuth");
	}
	if (san != NULL) {
		extend(
		    made.certificate, signer->certificate, NID_subject_alt_name, san);
	}
	check(X509_sign(made.certificate, signer->key, EVP_sha256()) > 0, "X509_sign");
	f = create(name, ".pem");
	PEM_write_X509(f, made.certificate);
	fclose(f);
	f = create(name, ".key");
	PEM_write_PrivateKey(f, made.key, NULL, NULL, 0, NULL, NULL);
	fclose(f);
	return made;
}

static void
drop(struct issuer made)
{
	X509_free(made.certificate);
	EVP_PKEY_free(made.key);
}

static void
make_crl(const struct issuer *ca, const X509 *bad)
{
	X509_CRL *crl = X509_CRL_new();
	X509_REVOKED *entry = X509_REVOKED_new();
	ASN1_TIME *from = X509_gmtime_adj(NULL, -DAY), *to = X509_gmtime_adj(NULL, DAY);
	FILE *f = create("crl", ".pem");

	X509_CRL_set_version(crl, X509_CRL_VERSION_2);
	X509_CRL_set_issuer_name(crl, X509_get_subject_name(ca->certificate));
	X509_CRL_set1_lastUpdate(crl, from);
	X509_CRL_set1_nextUpdate(crl, to);
	X509_REVOKED_set_serialNumber(
	    entry, (ASN1_INTEGER *)X509_get0_serialNumber(bad));
	X509_REVOKED_set_revocationDate(entry, from);
	X509_CRL_add0_revoked(crl, entry);
	check(X509_CRL_sign(crl, ca->key, EVP_sha256()) > 0, "X509_CRL_sign");
	PEM_write_X509_CRL(f, crl);
	fclose(f);
	X509_CRL_free(crl);
	ASN1_TIME_free(from);
	ASN1_TIME_free(to);
}

static void
remove_folder(void)
{
	char path[160];

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		snprintf(path, sizeof path, "%s/%s.pem", folder, names[i]);
		unlink(path);
		snprintf(path, sizeof path, "%s/%s.key", folder, names[i]);
		unlink(path);
	}
	snprintf(path, sizeof path, "%s/crl.pem", folder);
	unlink(path);
	rmdir(folder);
}

const char *
support_certificates(void)
{
	static const char local[] = "DNS:localhost,IP:127.0.0.1,IP:::1";
	struct issuer ca, other, revoked;

	if (folder[0] != '\0') {
		return folder;
	}
	strcpy(folder, "/tmp/flowpair-certificates-XXXXXX");
	check(mkdtemp(folder) != NULL, "mkdtemp");
	atexit(remove_folder);
	ca = make("ca", NULL, -2, 2, NULL);
	other = make("other-ca", NULL, -2, 2, NULL);
	drop(make("collector", local, -1, 1, &ca));
	drop(make("exporter", "DNS:exporter.example,IP:127.0.0.1", -1, 1, &ca));
	drop(make("misnamed", "DNS:foo.example,DNS:bar.example", -1, 1, &ca));
	drop(make("nameless", NULL, -1, 1, &ca));
	drop(make("expired", local, -2, -1, &ca));
	drop(make("future", local, 1, 2, &ca));
	drop(make("client-only", local, -1, 1, &ca));
	drop(make("stranger", local, -1, 1, &other));
	revoked = make("revoked", local, -1, 1, &ca);
	make_crl(&ca, revoked.certificate);
	drop(revoked);
	drop(other);
	drop(ca);
	return folder;
}
