/* SIGHUP: whether the certificate, key, authorities and revocation lists that lie there
 * now are fit for use.  Senders read them anew themselves, before they connect again
 * (sender_renew()); connections that stand stay.  Process-wide; call reload_init()
 * before threads are started, so that none of them takes the signal. */
#ifndef EXPORTER_RUN_RELOAD_H
#define EXPORTER_RUN_RELOAD_H

#include "common/base/err.h"
#include "common/tls/tls.h"

void reload_init(void);
/* A thread that waits for the signal, for good.  tls: NULL where nothing is secured;
 * the strings it names stay valid. */
int reload_start(const struct tls_settings *tls, struct err *e);

#endif
