"""How a question over the control socket is answered: at once, in pieces, or for as long as the client stays."""

from typing import Callable, Iterator, Union

Follow = Callable[[Callable[[str], None]], Callable[[], None]]      # begins to tell lines to what it is given; the result ends that
Say = Callable[[str], None]                     # called once, with all of it
Reply = Callable[[Union[str, Iterator[str], Follow]], None]         # called once
