"""`tallymark demo`: a small service that is measured, driven over HTTP, and shown live."""
