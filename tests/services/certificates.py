"""Certificates for servers that speak TLS: one authority for all of a run, so that servers trust each other."""

from __future__ import annotations

from pathlib import Path

import trustme

_authority: list[trustme.CA] = []


def write_certificates(directory: Path) -> tuple[Path, Path, Path]:
    """Write the authority's certificate, a server's for 127.0.0.1 and localhost, and its key; return their paths."""
    if not _authority:
        _authority.append(trustme.CA())
    certificate = _authority[0].issue_cert("127.0.0.1", "localhost")
    paths = directory / "ca.pem", directory / "server.pem", directory / "server.key"
    _authority[0].cert_pem.write_to_path(str(paths[0]))
    certificate.cert_chain_pems[0].write_to_path(str(paths[1]))
    certificate.private_key_pem.write_to_path(str(paths[2]))
    return paths
