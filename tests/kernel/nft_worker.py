"""libnftables in a process of its own: one JSON object a line in, one out.  Run by any Python; it needs nothing but the library.

{"text": ...} or {"file": ...} is run as nft would, with {"check": true} nothing is committed; the answer is {"error": ...}, "" when all is
well.  The contexts, and with them their sockets, stay: closing one after a commit waits for an RCU grace period.
"""

import ctypes
import json
import sys


def main() -> None:
    """Answer until the end of the input."""
    library = ctypes.CDLL("libnftables.so.1")
    library.nft_ctx_new.restype = ctypes.c_void_p
    library.nft_ctx_get_error_buffer.restype = ctypes.c_char_p
    real, dry = (ctypes.c_void_p(library.nft_ctx_new(0)) for _ in range(2))
    library.nft_ctx_set_dry_run(dry, ctypes.c_bool(True))
    for line in sys.stdin:
        command = json.loads(line)
        print(json.dumps({"error": run(library, dry if command.get("check") else real, command)}), flush=True)


def run(library: ctypes.CDLL, context: ctypes.c_void_p, command: "dict[str, str]") -> str:
    """What nft has to say when it fails."""
    library.nft_ctx_buffer_error(context)
    library.nft_ctx_buffer_output(context)
    if "file" in command:
        failed = library.nft_run_cmd_from_filename(context, command["file"].encode())
    else:
        failed = library.nft_run_cmd_from_buffer(context, command["text"].encode())
    error: str = library.nft_ctx_get_error_buffer(context).decode("utf-8", "replace")
    return (error or "it failed without a word") if failed else ""


if __name__ == "__main__":
    main()
