#include "common/base/privileges.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

int
privileges_find(const char *user, uid_t *ret_uid, gid_t *ret_gid, struct err *e)
{
	const struct passwd *p;

	errno = 0;
	p = getpwnam(user);
	if (p == NULL) {
		return err_set(e, errno != 0 ? -errno : -ENOENT,
		    "--user %s: no such user on this host", user);
	}
	*ret_uid = p->pw_uid;
	*ret_gid = p->pw_gid;
	return 0;
}

static int
complain(const char *user, struct err *e)
{
	return err_set(e, -errno, "--user %s: %s (only root can become another user)",
	    user, strerror(errno));
}

int
privileges_lower(const char *user, struct err *e)
{
	uid_t uid = (uid_t)-1;
	gid_t gid = (gid_t)-1;
	int rc = privileges_find(user, &uid, &gid, e);

	if (rc < 0) {
		return rc;
	}
	if (initgroups(user, gid) != 0 || setegid(gid) != 0 || seteuid(uid) != 0) {
		return complain(user, e);
	}
	return 0;
}

int
privileges_raise(struct err *e)
{
	if (seteuid(getuid()) != 0 || setegid(getgid()) != 0) {
		return err_set(
		    e, -errno, "cannot become root again: %s", strerror(errno));
	}
	return 0;
}

int
privileges_drop(const char *user, struct err *e)
{
	uid_t uid = (uid_t)-1;
	gid_t gid = (gid_t)-1;
	int rc;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
		return err_set(
		    e, -errno, "cannot set no_new_privs: %s", strerror(errno));
	}
	if (user == NULL) {
		return 0;
	}
	rc = privileges_find(user, &uid, &gid, e);
	if (rc < 0) {
		return rc;
	}
	if (initgroups(user, gid) != 0 || setresgid(gid, gid, gid) != 0 ||
	    setresuid(uid, uid, uid) != 0) {
		return complain(user, e);
	}
	if (uid != 0 && setuid(0) == 0) {
		return err_set(
		    e, -EPERM, "--user %s: cannot drop root privileges", user);
	}
	return 0;
}
