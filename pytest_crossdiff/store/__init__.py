"""Keeps artefacts: one folder for each key, whole or not there, checked at every read.

A key is the digest of everything that an artefact depends on.  `artefact.read_or_build` is what
the engine calls; locks let one of several processes build, and the others wait.
"""
