/* Operations that every transport over TLS or DTLS has.  The state of such a transport
 * begins with its struct tls *, NULL while the carrier connects. */
#ifndef COMMON_TRANSPORT_TRANSPORT_SECURED_H
#define COMMON_TRANSPORT_TRANSPORT_SECURED_H

#include "common/tls/tls.h"
#include "common/transport/transport.h"

/* Of struct transport_ops. */
bool secured_pending(const struct transport *t);
enum tls_refusal secured_refusal(const struct transport *t);
int secured_judge_anew(struct transport *t, struct tls_context *tls, struct err *e);

#endif
