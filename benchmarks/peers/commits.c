/*
 * Commits to somebody else's set as fast as the kernel does it: one element is added, deleted, added ...
 *
 *     commits FAMILY TABLE SET SECONDS
 *
 * Says "ready", and at the end the number of transactions.  With 0 seconds it goes on until somebody ends it.
 */
#include "common.h"

int main(int count, char **arguments)
{
	struct transaction transaction = { arguments[1], arguments[2], arguments[3], NULL, 1 };
	struct mnl_socket *sets = open_netlink(NETLINK_NETFILTER, 0);
	double seconds = atof(arguments[count - 1]), end = now() + seconds;
	uint32_t key = htonl(0xcb007101);
	unsigned long done = 0;

	puts("ready");
	fflush(stdout);
	while (seconds == 0 || now() < end) {
		struct nftnl_set *set = set_of(&transaction);

		put_element(set, key, NFT_MSG_DELSETELEM, 0);       /* so it has no comment, and is nobody else's to remove */
		begin(&transaction);
		put_set(&transaction, done++ % 2 == 0 ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM, set);
		commit(&transaction, sets);
	}
	printf("%lu\n", done);
	return 0;
}
