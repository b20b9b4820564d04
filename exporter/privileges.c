#include "exporter/privileges.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

int
privileges_drop(const char *user, struct err *e)
{
	const struct passwd *p;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
		return err_set(e, -errno, "no_new_privs: %s", strerror(errno));
	}
	if (user == NULL) {
		return 0;
	}
	errno = 0;
	p = getpwnam(user);
	if (p == NULL) {
		return err_set(e, errno != 0 ? -errno : -ENOENT,
		    "--user %s: there is no such user on this host", user);
	}
	if (initgroups(user, p->pw_gid) != 0 ||
	    setresgid(p->pw_gid, p->pw_gid, p->pw_gid) != 0 ||
	    setresuid(p->pw_uid, p->pw_uid, p->pw_uid) != 0) {
		return err_set(e, -errno,
		    "--user %s: %s (only root can become another user)", user,
		    strerror(errno));
	}
	if (p->pw_uid != 0 && setuid(0) == 0) {
		return err_set(
		    e, -EPERM, "--user %s: root privileges did not go away", user);
	}
	return 0;
}
