#include <openssl/evp.h>
#include <stdlib.h>

#include "common/tls/tls.h"

struct digest {
	EVP_MD_CTX *md;
};

struct digest *
digest_new(void)
{
	struct digest *d = calloc(1, sizeof *d);

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
digest_add(struct digest *d, const void *bytes, size_t n)
{
	EVP_DigestUpdate(d->md, bytes, n);
}

void
digest_end(struct digest *d, uint8_t out[static 32])
{
	EVP_DigestFinal_ex(d->md, out, NULL);
	EVP_MD_CTX_free(d->md);
	free(d);
}
