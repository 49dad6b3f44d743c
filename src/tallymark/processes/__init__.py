"""The live processes that share a registry, as `/proc` tells of them to whichever process is read."""
