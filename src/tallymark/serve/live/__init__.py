"""The feed of the live page: a registry as JSON, whole or what changed of it, once a second while somebody looks."""
