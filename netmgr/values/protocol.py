"""Protocol as typing has it, for type checkers; at run time nobody asks which class follows one, and they are classes as any other."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Protocol as Protocol
else:
    class Protocol:
        """What typing does to these classes takes time at each start."""
