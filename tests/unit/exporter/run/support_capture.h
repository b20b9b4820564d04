/* Captures for tests of exporter/run. */
#ifndef TESTS_EXPORTER_RUN_SUPPORT_CAPTURE_H
#define TESTS_EXPORTER_RUN_SUPPORT_CAPTURE_H

/* A capture of n UDP packets of one conversation, a tenth of a second apart; every tenth
 * packet is ARP. */
void capture_write(const char *path, unsigned n);

#endif
