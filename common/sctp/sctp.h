/* IPFIX over SCTP: the rows of sctp:// (transport_sctp.c) and dtls+sctp://
 * (transport_dtls_sctp.c), and the names of their options. */
#ifndef COMMON_SCTP_SCTP_H
#define COMMON_SCTP_SCTP_H

#include "common/transport/scheme.h"

extern const struct transport_scheme transport_sctp, transport_dtls_sctp;

/* For their rows.  Over DTLS there is one ordered stream, all of it reliable. */
extern const char *const sctp_option_names[], *const sctp_secure_option_names[];
/* The check of struct transport_dialer_ops. */
int sctp_check_target(const struct transport_uri *uri, struct err *e);

#endif
