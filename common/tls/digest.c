#include <openssl/evp.h>
#include <stdlib.h>

#include "common/tls/tls.h"

struct tls_digest {
	EVP_MD_CTX *md;
};

struct tls_digest *
tls_digest_new(void)
{
	struct tls_digest *d = calloc(1, sizeof *d);

	if (d != NULL) {
		d->md = EVP_MD_CTX_new();
		if (d->md == NULL ||
		    EVP_DigestInit_ex(d->md, EVP_sha256(), NULL) != 1) {
			EVP_MD_CTX_free(d->md);
			free(d);
			d = NULL;
		}
	}
	return d;
}

void
tls_digest_add(struct tls_digest *d, const void *bytes, size_t n)
{
	EVP_DigestUpdate(d->md, bytes, n);
}

void
tls_digest_end(struct tls_digest *d, uint8_t out[static 32])
{
	EVP_DigestFinal_ex(d->md, out, NULL);
	EVP_MD_CTX_free(d->md);
	free(d);
}
