"""Prints standard input in pieces of at most 80 characters."""

import sys

from sample import chunks

print("\n".join(chunks(sys.stdin.read(), 80)))
