/* SCTP in user space, its packets carried in UDP (RFC 6951), by libusrsctp: for hosts
 * whose kernel has no SCTP.  This folder is compiled only where the library is;
 * common/schemes/schemes.c registers it. */
#ifndef COMMON_SCTP_USER_SCTP_USER_H
#define COMMON_SCTP_USER_SCTP_USER_H

#include "common/sctp/sctp_stack.h"

extern const struct sctp_stack sctp_user;

#endif
