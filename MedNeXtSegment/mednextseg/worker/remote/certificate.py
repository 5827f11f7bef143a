"""The server's certificate: self-signed, made once, known by its fingerprint. Needs the package cryptography."""

import datetime
import os
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mednextseg.worker.remote.pinning import fingerprint_of

# Clients compare the fingerprint and nothing else, so an end would only be an outage.
_DAYS = 365 * 30


def server_context(folder: Path) -> tuple[ssl.SSLContext, str]:
    """TLS 1.2 or newer with the certificate in `folder`, made where there is none, and its fingerprint.

    Raises:
        OSError: where it cannot be made or read.
    """
    file = folder / "certificate.pem"
    if not file.exists():
        _make(file)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(file)
    certificate = x509.load_pem_x509_certificate(file.read_bytes())
    return context, fingerprint_of(certificate.public_bytes(serialization.Encoding.DER))


def _make(file: Path) -> None:
    """Write key and certificate, readable by this user only, whole or not at all."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mednextseg serve")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=_DAYS))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    temporary = file.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as stream:
        stream.write(private + certificate.public_bytes(serialization.Encoding.PEM))
    temporary.replace(file)
