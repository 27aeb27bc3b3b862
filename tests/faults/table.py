"""Which system calls netmgr makes, and the errors that each may plausibly end with.

What is not here cannot fail in a way that a kernel really has (UNFAILING, with the reason), or is memory: where there is none, the kernel
ends processes, and Python does not go on either.
"""

from typing import Dict, NamedTuple, Tuple

FIRST, THIRD, ALWAYS = "1", "3", "1+"

FAULTS: Dict[str, Tuple[str, ...]] = {
    # descriptors
    "openat": ("EMFILE", "ENFILE", "EACCES", "EIO"),
    "close": ("EIO",),
    "dup": ("EMFILE",),
    "fcntl": ("EINVAL",),
    "ioctl": ("ENOTTY",),
    "lseek": ("ESPIPE",),
    "read": ("EIO", "EISDIR"),
    "pread64": ("EIO",),
    "write": ("EAGAIN", "ENOSPC", "EPIPE"),
    "epoll_create1": ("EMFILE", "ENOMEM"),
    "epoll_ctl": ("ENOMEM", "ENOSPC"),
    "epoll_wait": ("EINTR", "EBADF"),
    "poll": ("ENOMEM",),
    "pipe2": ("EMFILE",),
    # another process
    "clone": ("EAGAIN", "ENOMEM"),
    "wait4": ("ECHILD",),
    # files
    "newfstatat": ("EACCES", "EIO", "ENOENT"),
    "readlink": ("EACCES",),
    "access": ("EACCES",),
    "getcwd": ("ENOENT",),
    "getdents64": ("EIO",),
    "mkdir": ("EACCES", "ENOSPC"),
    "rename": ("EACCES", "ENOSPC"),
    "unlink": ("EACCES", "EBUSY", "EROFS"),
    "chmod": ("EPERM",),
    "fchmod": ("EPERM",),
    "fchownat": ("EPERM",),
    "ftruncate": ("EIO",),
    "flock": ("ENOLCK", "EWOULDBLOCK"),
    # sockets
    "socket": ("EMFILE", "ENOBUFS", "EACCES"),
    "socketpair": ("EMFILE",),
    "bind": ("EACCES", "EADDRINUSE", "ENOMEM"),
    "connect": ("EAGAIN", "ECONNREFUSED", "ENOBUFS"),
    "listen": ("EADDRINUSE",),
    "accept4": ("ECONNABORTED", "EMFILE", "ENOBUFS"),
    "getsockname": ("ENOBUFS",),
    "getsockopt": ("ENOBUFS", "ENOPROTOOPT"),
    "setsockopt": ("EPERM", "ENOMEM", "ENOBUFS"),
    "sendto": ("EAGAIN", "ENOBUFS", "EPERM", "EMSGSIZE"),
    "recvfrom": ("EAGAIN", "ECONNRESET", "ENOBUFS", "EIO"),
    "recvmsg": ("EAGAIN", "ENOBUFS", "EIO"),
    # rights
    "prctl": ("EINVAL", "EPERM"),
    "capset": ("EPERM",),
    "setgroups": ("EPERM",),
}

UNFAILING = {
    "memory": ("mmap", "munmap", "mprotect", "mremap", "brk", "madvise"),
    "a question about itself": ("geteuid", "getuid", "getegid", "getgid", "getpid", "gettid", "uname", "sysinfo", "prlimit64", "umask",
                                "getrandom", "clock_gettime", "times", "getrusage"),
    "threads and signals": ("futex", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "set_robust_list", "set_tid_address", "rseq",
                            "sigaltstack", "restart_syscall", "sched_getaffinity", "tgkill", "kill", "clock_nanosleep"),
    "the beginning and the end": ("execve", "arch_prctl", "exit", "exit_group"),
}


# What the kernel says once: it has taken the connection or the overrun away with it, or tells when there is something again.
PASSING = {"EINTR", "EAGAIN", "ECONNABORTED"}
PASSING_AT = {("recvfrom", "ENOBUFS"), ("recvmsg", "ENOBUFS")}


class Fault(NamedTuple):
    """A system call that ends with this error: the first one, the third one, or each."""

    call: str
    error: str
    when: str

    def __str__(self) -> str:
        return "%s-%s-%s" % self


def faults() -> Tuple[Fault, ...]:
    """All of them; what passes does not last."""
    return tuple(Fault(call, error, when) for call, errors in FAULTS.items() for error in errors for when in (FIRST, THIRD, ALWAYS)
                 if when != ALWAYS or not (error in PASSING or (call, error) in PASSING_AT))
