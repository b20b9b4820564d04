/* SIGHUP: checks whether the certificate, key, authorities and revocation lists now on
 * disk are valid, and says so.  Senders read them again themselves before they
 * reconnect (sender_renew()); open connections are not affected.  Process-wide; call
 * reload_init() before threads are started, so that none of them takes the signal. */
#ifndef EXPORTER_RUN_RELOAD_H
#define EXPORTER_RUN_RELOAD_H

#include "common/base/err.h"
#include "common/tls/tls.h"

void reload_init(void);
/* Starts the thread that waits for the signal until the program ends.  tls: NULL where
 * no --to is encrypted; its strings must stay valid. */
int reload_start(const struct tls_settings *tls, struct err *e);

#endif
