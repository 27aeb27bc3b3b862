/*
 * Somebody who commits without a pause, and nothing that concerns anybody: one element comes and goes in a set of his own.
 *
 *     committer FAMILY TABLE SET RATE
 *
 * RATE transactions a second.  Says "ready" after the first.
 */
#include "common.h"

int main(int count, char **arguments)
{
	struct transaction transaction = { arguments[1], arguments[2], arguments[3], NULL, 1 };
	struct mnl_socket *sets = open_netlink(NETLINK_NETFILTER, 0);
	const uint32_t key = htonl(0xC6336401);
	double pause = 1 / atof(arguments[count - 1]), due;
	int turn;

	for (turn = 0, due = now(); ; turn++, due += pause) {
		begin(&transaction);
		put_elements(&transaction, turn % 2 ? NFT_MSG_DELSETELEM : NFT_MSG_NEWSETELEM, &key, 1);
		commit(&transaction, sets);
		if (turn == 0) {
			puts("ready");
			fflush(stdout);
		}
		while (now() < due + pause)
			usleep(1e6 * (due + pause - now()) + 1);
	}
}
