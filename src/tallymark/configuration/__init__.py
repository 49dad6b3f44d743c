"""What a deployment asks for, in environment variables: `tm.configure()`."""
