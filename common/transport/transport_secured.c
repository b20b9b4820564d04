#include "common/transport/transport_secured.h"

static struct tls *
tls_of(const struct transport *t)
{
	struct tls *const *first = t->state;

	return first == NULL ? NULL : *first;
}

bool
secured_pending(const struct transport *t)
{
	const struct tls *tls = tls_of(t);

	return tls != NULL && tls_pending(tls);
}

enum tls_refusal
secured_refusal(const struct transport *t)
{
	const struct tls *tls = tls_of(t);

	return tls == NULL ? TLS_REFUSED_NONE : tls_refusal(tls);
}

int
secured_judge_anew(struct transport *t, struct tls_context *tls, struct err *e)
{
	return tls_judge_anew(tls_of(t), tls, e);
}
