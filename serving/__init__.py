"""Serving exported styles: a client, a small server of TF Serving's protocol, deployment files."""
