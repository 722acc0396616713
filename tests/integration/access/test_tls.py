"""TLS on every listener, with certificates of a CA of the test's own."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import TYPE_CHECKING, NamedTuple

import grpc
import grpc.aio
import pytest
import trustme

from ai_usage_exporter.config import Address, Settings
from ai_usage_exporter.errors import PermanentError
from ai_usage_exporter.server import Server
from ai_usage_exporter.tls import Tls, load_tls
from tests.conformance.spans import body_of, span
from tests.conformance.wire import EXPORT
from tests.integration.access.installation import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

FREE = Address("127.0.0.1", 0)
TIMEOUT_S = 10


class Files(NamedTuple):
    cert: Path
    key: Path
    ca: Path


def write_certificate(ca: trustme.CA, folder: Path, name: str = "127.0.0.1") -> Files:
    """Write a certificate, its key and its CA."""
    folder.mkdir(exist_ok=True, parents=True)
    files = Files(folder / "cert.pem", folder / "key.pem", folder / "ca.pem")
    issued = ca.issue_cert(name)
    files.cert.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(files.key)
    ca.cert_pem.write_to_path(files.ca)
    return files


@pytest.fixture
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def files(ca: trustme.CA, tmp_path: Path) -> Files:
    return write_certificate(ca, tmp_path / "server")


@contextlib.asynccontextmanager
async def serving(database_url: str, files: Files, client_ca: Path | None = None) -> AsyncIterator[Server]:
    settings = Settings(
        database_url=database_url,
        otlp_grpc_listen=FREE,
        otlp_http_listen=FREE,
        api_listen=FREE,
        tls_cert=files.cert,
        tls_key=files.key,
        tls_client_ca=client_ca,
    )
    async with Server(settings) as server:
        yield server


async def http_answer(address: Address, context: ssl.SSLContext | None, path: str = "/livez") -> bytes:
    """Ask over HTTP and return the status line, or nothing when the connection is refused or cut off."""
    method = "POST" if path.startswith("/v1") else "GET"
    kind = "content-type: application/x-protobuf\r\ncontent-length: 0\r\n" if method == "POST" else ""
    try:
        async with asyncio.timeout(TIMEOUT_S):
            reader, writer = await asyncio.open_connection(*address, ssl=context)
            writer.write(f"{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{kind}\r\n".encode())
            line = await reader.readline()
            writer.close()
            return line
    except (ssl.SSLError, ConnectionError):
        return b""


async def grpc_answer(
    address: Address, *, ca: bytes | None = None, client: Files | None = None, is_plain: bool = False
) -> grpc.StatusCode:
    """Send one call over gRPC and return the code."""
    credentials = grpc.ssl_channel_credentials(
        ca, client and client.key.read_bytes(), client and client.cert.read_bytes()
    )
    channel = (
        grpc.aio.insecure_channel(str(address)) if is_plain else grpc.aio.secure_channel(str(address), credentials)
    )
    async with channel:
        try:
            await channel.unary_unary(EXPORT)(body_of(span()), timeout=TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            return error.code()
        return grpc.StatusCode.OK


def trusting(files: Files, client: Files | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=files.ca)
    if client is not None:
        context.load_cert_chain(client.cert, client.key)
    return context


async def test_every_listener_speaks_tls_and_nothing_else(database_url: str, files: Files, tmp_path: Path) -> None:
    stranger = write_certificate(trustme.CA(), tmp_path / "stranger")
    async with serving(database_url, files) as server:
        rpc, http, api = (server.addresses[name] for name in ("otlp_grpc", "otlp_http", "api"))
        for address, path in ((http, "/v1/traces"), (api, "/livez")):
            assert (await http_answer(address, trusting(files), path)).startswith(b"HTTP/1.1 200")
            assert not (await http_answer(address, trusting(stranger), path)).startswith(b"HTTP"), "of another CA"
            assert not (await http_answer(address, None, path)).startswith(b"HTTP"), "plaintext"
        assert await grpc_answer(rpc, ca=files.ca.read_bytes()) is grpc.StatusCode.OK
        assert await grpc_answer(rpc, ca=stranger.ca.read_bytes()) is grpc.StatusCode.UNAVAILABLE
        assert await grpc_answer(rpc, is_plain=True) is grpc.StatusCode.UNAVAILABLE
        # Who spoke plaintext has not disturbed anybody.
        assert await grpc_answer(rpc, ca=files.ca.read_bytes()) is grpc.StatusCode.OK


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_old_versions_are_refused(database_url: str, files: Files, version: ssl.TLSVersion) -> None:
    context = trusting(files)
    is_old = version is ssl.TLSVersion.TLSv1_1
    with pytest.warns(DeprecationWarning, match="TLSv1_1 is deprecated") if is_old else contextlib.nullcontext():
        context.minimum_version = version
        context.maximum_version = version
    if is_old:
        context.set_ciphers("ALL:@SECLEVEL=0")  # else the client would not even offer it
    async with serving(database_url, files) as server:
        for name in ("otlp_grpc", "otlp_http", "api"):
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    _, writer = await asyncio.open_connection(*server.addresses[name], ssl=context)
                spoken = writer.get_extra_info("ssl_object").version()
                writer.close()
            except (ssl.SSLError, ConnectionError):
                spoken = None
            expected = None if is_old else version.name.replace("_", ".")
            assert spoken == expected, name


async def test_with_a_client_ca_only_its_clients_are_served(
    database_url: str, files: Files, ca: trustme.CA, tmp_path: Path
) -> None:
    clients = trustme.CA()
    client = write_certificate(clients, tmp_path / "client", "sender.example")
    stranger = write_certificate(trustme.CA(), tmp_path / "stranger", "sender.example")
    of_server_ca = write_certificate(ca, tmp_path / "same", "sender.example")
    async with serving(database_url, files, client.ca) as server:
        rpc, http, api = (server.addresses[name] for name in ("otlp_grpc", "otlp_http", "api"))
        root = files.ca.read_bytes()
        for address, path in ((http, "/v1/traces"), (api, "/livez")):
            assert (await http_answer(address, trusting(files, client), path)).startswith(b"HTTP/1.1 200")
            for nobody in (None, stranger, of_server_ca):
                assert not (await http_answer(address, trusting(files, nobody), path)).startswith(b"HTTP")
        assert await grpc_answer(rpc, ca=root, client=client) is grpc.StatusCode.OK
        for nobody in (None, stranger, of_server_ca):
            assert await grpc_answer(rpc, ca=root, client=nobody) is grpc.StatusCode.UNAVAILABLE


async def test_a_replaced_certificate_is_used_without_a_restart(
    database_url: str, files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("ai_usage_exporter.tls.LOOK_EVERY_S", 0.1)
    later = write_certificate(trustme.CA(), tmp_path / "later")
    async with serving(database_url, files) as server:
        rpc, http = server.addresses["otlp_grpc"], server.addresses["otlp_http"]
        assert (await http_answer(http, trusting(files), "/v1/traces")).startswith(b"HTTP/1.1 200")
        files.key.write_bytes(later.key.read_bytes())  # half of it: the old one stays
        await until(lambda: asyncio.sleep(0, "is not the private key of the certificate" in caplog.text))
        assert (await http_answer(http, trusting(files), "/v1/traces")).startswith(b"HTTP/1.1 200")
        files.cert.write_bytes(later.cert.read_bytes())
        await until(lambda: http_answer(http, trusting(later), "/v1/traces"))
        assert await grpc_answer(rpc, ca=later.ca.read_bytes()) is grpc.StatusCode.OK
        assert await grpc_answer(rpc, ca=files.ca.read_bytes()) is grpc.StatusCode.UNAVAILABLE


def settings_of(**paths: Path) -> Settings:
    return Settings(**{f"tls_{name}": path for name, path in paths.items()})


def test_files_that_cannot_be_used_are_named_with_their_setting(files: Files, ca: trustme.CA, tmp_path: Path) -> None:
    missing, text = tmp_path / "missing.pem", tmp_path / "text.pem"
    text.write_text("no certificate")
    other = write_certificate(ca, tmp_path / "other")
    protected = tmp_path / "protected.pem"
    protected.write_bytes(
        files.key.read_bytes().replace(b"BEGIN", b"BEGIN ENCRYPTED").replace(b"END", b"END ENCRYPTED")
    )
    for paths, words in (
        ({"cert": files.cert}, "AI_USAGE_TLS_KEY is not set: AI_USAGE_TLS_CERT needs it"),
        ({"key": files.key}, "AI_USAGE_TLS_CERT is not set: AI_USAGE_TLS_KEY needs it"),
        ({"client_ca": files.ca}, "AI_USAGE_TLS_CERT is not set: AI_USAGE_TLS_CLIENT_CA needs it"),
        ({"cert": missing, "key": files.key}, f"AI_USAGE_TLS_CERT: cannot read {missing}: No such file"),
        ({"cert": files.cert, "key": tmp_path}, f"AI_USAGE_TLS_KEY: cannot read {tmp_path}: Is a directory"),
        ({"cert": files.cert, "key": other.key}, "is not the private key of the certificate in"),
        ({"cert": text, "key": files.key}, "they must be PEM"),
        ({"cert": files.cert, "key": protected}, "the key without a password"),
        ({"cert": files.cert, "key": files.key, "client_ca": text}, f"AI_USAGE_TLS_CLIENT_CA: {text} holds no cert"),
    ):
        with pytest.raises(PermanentError) as refused:
            load_tls(settings_of(**paths))
        assert words in str(refused.value)
        assert "\n" not in str(refused.value)
        assert "PRIVATE" not in str(refused.value)
    assert load_tls(Settings()) is None
    assert isinstance(load_tls(settings_of(cert=files.cert, key=files.key, client_ca=files.ca)), Tls)
