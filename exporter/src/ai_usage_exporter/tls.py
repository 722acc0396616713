"""TLS of every listener: one certificate, perhaps a CA that clients need a certificate of; renewed while running."""

from __future__ import annotations

import asyncio
import logging
import ssl
from typing import TYPE_CHECKING, Final, NamedTuple

import grpc

from ai_usage_exporter.errors import PermanentError

if TYPE_CHECKING:
    from pathlib import Path

    from ai_usage_exporter.config import Settings

LOOK_EVERY_S: Final = 10.0
"""How soon a certificate that was replaced on disk is used."""

_CERT, _KEY, _CLIENT_CA = "AI_USAGE_TLS_CERT", "AI_USAGE_TLS_KEY", "AI_USAGE_TLS_CLIENT_CA"

_log = logging.getLogger(__name__)


class _Files(NamedTuple):
    """Hold what the files held: PEM texts."""

    cert: bytes
    key: bytes
    client_ca: bytes | None


class Tls:
    """Hold the certificate in the forms that HTTP and gRPC listeners take; both follow when it is renewed."""

    def __init__(self, cert: Path, key: Path, client_ca: Path | None = None) -> None:
        """Read the files. Raises ``PermanentError`` naming the setting of the one that cannot be used."""
        self._paths = cert, key, client_ca
        self._files = self._read()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        """For HTTP: TLS 1.2 or newer."""
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.set_alpn_protocols(["http/1.1"])
        self._load_into(self.context)

    def grpc_credentials(self) -> grpc.ServerCredentials:
        """Return credentials that ask for the newest certificate at each handshake; gRPC allows TLS 1.2 and newer."""
        served = self._files

        def renewed() -> grpc.ServerCertificateConfiguration | None:  # None: nothing new
            nonlocal served
            if self._files is served:
                return None
            served = self._files
            return _grpc_configuration(served)

        credentials: grpc.ServerCredentials = grpc.dynamic_ssl_server_credentials(
            _grpc_configuration(served),
            renewed,  # type: ignore[arg-type] # the stubs leave out that it may return None
            require_client_authentication=served.client_ca is not None,
        )
        return credentials

    async def keep_renewed(self) -> None:
        """Look again and again whether the files were replaced; runs until cancelled. Bad ones change nothing."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                if self.renew():
                    _log.info("%s was replaced and is used from now on", _CERT)
            except PermanentError as error:
                _log.error("the certificate was replaced by one that cannot be used, the old one stays: %s", error)

    def renew(self) -> bool:
        """Use what the files hold now; tell whether that is something new. Raises ``PermanentError`` as at start."""
        before, found = self._files, self._read()
        if found == before:
            return False
        self._load_into(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
        self._load_into(self.context)
        self._files = found
        return True

    def _read(self) -> _Files:
        cert, key, client_ca = self._paths
        return _Files(
            _content(_CERT, cert),
            _content(_KEY, key),
            None if client_ca is None else _content(_CLIENT_CA, client_ca),
        )

    def _load_into(self, context: ssl.SSLContext) -> None:
        cert, key, client_ca = self._paths
        try:
            context.load_cert_chain(cert, key, password=_no_password)
        except ssl.SSLError as error:
            if error.reason == "KEY_VALUES_MISMATCH":
                raise PermanentError(f"{_KEY}: {key} is not the private key of the certificate in {cert}") from None
            raise PermanentError(
                f"{_CERT}, {_KEY}: {cert} and {key} cannot be used ({_words(error)}): they must be PEM, the key "
                "without a password"
            ) from None
        if client_ca is not None:
            try:
                context.load_verify_locations(client_ca)
            except ssl.SSLError as error:
                raise PermanentError(
                    f"{_CLIENT_CA}: {client_ca} holds no certificate in PEM form ({_words(error)})"
                ) from None
            context.verify_mode = ssl.CERT_REQUIRED


def load_tls(settings: Settings) -> Tls | None:
    """Return what the settings ask for, ``None`` for plain listeners. Raises ``PermanentError``."""
    cert, key, client_ca = settings.tls_cert, settings.tls_key, settings.tls_client_ca
    if cert is None and key is None and client_ca is None:
        return None
    if cert is None or key is None:
        missing, given = (_CERT, _KEY if key else _CLIENT_CA) if cert is None else (_KEY, _CERT)
        raise PermanentError(f"{missing} is not set: {given} needs it (a certificate, its private key, both PEM files)")
    return Tls(cert, key, client_ca)


def _grpc_configuration(files: _Files) -> grpc.ServerCertificateConfiguration:
    pairs = [(files.key, files.cert)]
    configuration: grpc.ServerCertificateConfiguration = grpc.ssl_server_certificate_configuration(
        pairs, root_certificates=files.client_ca
    )
    return configuration


def _content(setting: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise PermanentError(f"{setting}: cannot read {path}: {error.strerror}") from None


def _no_password() -> str:
    # Without it OpenSSL would ask on the terminal and wait.
    return ""


def _words(error: ssl.SSLError) -> str:
    return (error.reason or str(error)).replace("_", " ").lower()
