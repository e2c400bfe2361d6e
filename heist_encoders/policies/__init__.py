"""Policies on frozen encodings: the planning head, how it learns, and artifacts that hold one."""
