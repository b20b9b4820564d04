/* TLS over TCP. */
#include "common/transport/transport_secured.h"

const struct transport_scheme transport_tls = {
    .name = "tls",
    .port = TRANSPORT_PORT_SECURE,
    .is_secure = true,
    .is_welcoming = true,
    .message_max = 65535,
    .dialer = &(const struct transport_dialer_ops){.dial = secured_dial},
    .listener = &secured_listener,
    .connection = &secured_connection,
    .carrier =
	&(const struct secured_carrier){
	    .scheme = &transport_tcp,
	    .kind = TLS_STREAM,
	    .size = sizeof(struct secured),
	},
};
