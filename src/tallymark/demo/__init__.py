"""`tallymark demo`: a small service under HTTP load, whose metrics are shown live."""
