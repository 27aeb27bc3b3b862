/*
 * How long a set stays damaged: the time between a transaction of one program and the next transaction of another.
 *
 *     gap TIMES
 *
 * Says "ready", then prints for each pair the microseconds between the two notifications.
 */
#include "common.h"

int main(int count, char **arguments)
{
	struct mnl_socket *watch = open_watch();
	int times = atoi(arguments[count - 1]);
	char buffer[8192];
	uint32_t first;
	double start;

	puts("ready");
	fflush(stdout);
	while (times-- > 0) {
		if (mnl_socket_recvfrom(watch, buffer, sizeof(buffer)) < 0)
			fail("nf_tables group");
		start = now();
		first = ((struct nlmsghdr *)buffer)->nlmsg_pid;
		do
			if (mnl_socket_recvfrom(watch, buffer, sizeof(buffer)) < 0)
				fail("nf_tables group");
		while (((struct nlmsghdr *)buffer)->nlmsg_pid == first);
		printf("%.1f\n", (now() - start) * 1e6);
		fflush(stdout);
	}
	return 0;
}
