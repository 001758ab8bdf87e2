"""The vocabulary that passes between packages: a result, its differences, its controls.

Plain, immutable dataclasses, written as JSON and read again; nothing here decides anything.
"""
