#include "common/tls/digest.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

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
			digest_free(d);
			d = NULL;
		}
	}
	return d;
}

void
digest_free(struct digest *d)
{
	if (d != NULL) {
		EVP_MD_CTX_free(d->md);
		free(d);
	}
}

void
digest_add(struct digest *d, const void *bytes, size_t n)
{
	EVP_DigestUpdate(d->md, bytes, n);
}

int
digest_format(const struct digest *d, char out[static DIGEST_TEXT])
{
	EVP_MD_CTX *copy = EVP_MD_CTX_new();
	uint8_t bytes[32];
	int rc = -ENOMEM;

	if (copy != NULL && EVP_MD_CTX_copy_ex(copy, d->md) == 1 &&
	    EVP_DigestFinal_ex(copy, bytes, NULL) == 1) {
		for (unsigned i = 0; i < sizeof bytes; i++) {
			snprintf(out + (size_t)2 * i, 3, "%02x", bytes[i]);
		}
		rc = 0;
	}
	EVP_MD_CTX_free(copy);
	return rc;
}
