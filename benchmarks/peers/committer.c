/*
 * Somebody who commits without end, and nothing that concerns anybody: one element comes and goes in a set of his own.
 *
 *     committer FAMILY TABLE SET RATE
 *
 * RATE transactions a second (0: as many as the kernel does).  Says "ready" after the first.
 */
#include "common.h"

int main(int count, char **arguments)
{
	struct transaction transaction = { arguments[1], arguments[2], arguments[3], NULL, 1 };
	struct mnl_socket *sets = open_netlink(NETLINK_NETFILTER, 0);
	double rate = atof(arguments[count - 1]), pause = rate > 0 ? 1 / rate : 0, due = now();
	const uint32_t key = htonl(0xC6336401);
	unsigned long turn;

	for (turn = 0; ; turn++, due += pause) {
		struct nftnl_set *set = set_of(&transaction);

		put_element(set, key, NFT_MSG_DELSETELEM, 0);       /* without a comment, and so nobody else's to remove */
		begin(&transaction);
		put_set(&transaction, turn % 2 ? NFT_MSG_DELSETELEM : NFT_MSG_NEWSETELEM, set);
		commit(&transaction, sets);
		if (turn == 0) {
			puts("ready");
			fflush(stdout);
		}
		while (pause > 0 && now() < due + pause)
			usleep(1e6 * (due + pause - now()) + 1);
	}
}
