"""Runs a program with a seccomp filter: seccomp.py FILTER PROGRAM [ARGUMENT...]. The filter is a file of struct sock_filter."""

import ctypes
import os
import sys

PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
PR_SET_NO_NEW_PRIVS = 38


class Program(ctypes.Structure):
    """struct sock_fprog (linux/filter.h)."""

    _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


with open(sys.argv[1], "rb") as file:
    operations = ctypes.create_string_buffer(file.read())
program = Program((len(operations) - 1) // 8, ctypes.addressof(operations))
libc = ctypes.CDLL(None, use_errno=True)
for what, how, more in [
    (PR_SET_NO_NEW_PRIVS, 1, None),
    (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program)),
]:
    if libc.prctl(what, ctypes.c_ulong(how), more, None, None) != 0:
        sys.exit(f"prctl {what}: {os.strerror(ctypes.get_errno())}")
os.execv(sys.argv[2], sys.argv[2:])
