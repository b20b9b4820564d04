#include <openssl/err.h>
#include <string.h>

#include "common/tls/tls_private.h"

const char *
tls_openssl_reason(void)
{
	const char *reason = NULL;
	unsigned long code;

	while ((code = ERR_get_error()) != 0) {
		if (ERR_SYSTEM_ERROR(code)) {
			ERR_clear_error();
			return strerror(ERR_GET_REASON(code));
		}
		if (reason == NULL) {
			reason = ERR_reason_error_string(code);
		}
	}
	return reason != NULL ? reason : "unknown reason";
}
