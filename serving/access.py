"""Who may ask: TLS, certificates of clients, tokens."""

import hmac
import ssl

import grpc

from tfstyle.serving.status import StatusError

OPEN = "/grpc.health.v1.Health/"  # probes have no tokens


def credentials(config):
    """Return gRPC's credentials of a `ServeConfig`, or None without TLS.

    Raises:
        OSError: If a file cannot be read.
        ValueError: If a file is not what it should be.
    """
    if config.ssl_key is None:
        return None
    pair = config.ssl_key.read_bytes(), config.ssl_cert.read_bytes()
    authority = config.ssl_client_ca and config.ssl_client_ca.read_bytes()
    context = ssl.create_default_context()
    try:
        context.load_cert_chain(config.ssl_cert, config.ssl_key)
        if authority is not None:
            context.load_verify_locations(config.ssl_client_ca)
    except ssl.SSLError as error:
        raise ValueError(
            "`ssl_key` and `ssl_cert` must be a key and its certificate in PEM, `ssl_client_ca` "
            f"certificates. Received: '{config.ssl_key}', '{config.ssl_cert}' and "
            f"'{config.ssl_client_ca}' ({error})."
        ) from error
    return grpc.ssl_server_credentials([pair], authority, require_client_auth=authority is not None)


def authorizer(config):
    """Return a function of an `authorization` header, or None, that raises `StatusError` unless
    the header holds a token of `config.token_file`; without such a file everybody may ask.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If there is no token in it.
    """
    if config.token_file is None:
        return lambda header: None
    tokens = [token.encode() for token in config.token_file.read_text("utf-8").split()]
    if not tokens:
        raise ValueError(f"`token_file` must hold a token a line. Received: '{config.token_file}'.")

    def authorize(header):
        kind, _, sent = (header or "").partition(" ")
        known = [hmac.compare_digest(sent.strip().encode(), token) for token in tokens]
        if kind.lower() != "bearer" or not any(known):
            raise StatusError("UNAUTHENTICATED", "Send authorization: Bearer TOKEN")

    return authorize


class TokenCheck(grpc.ServerInterceptor):
    """Refuses calls without a token, whichever service they ask.

    Args:
        authorize: What `authorizer` returned.
    """

    def __init__(self, authorize):
        self._authorize = authorize

    def intercept_service(self, continuation, details):
        if details.method.startswith(OPEN):
            return continuation(details)
        try:
            self._authorize(dict(details.invocation_metadata).get("authorization"))
        except StatusError as error:
            refusal = error  # the name of the clause ends with it

            def refuse(request, context):
                context.abort(grpc.StatusCode[refusal.code], refusal.message)

            return grpc.unary_unary_rpc_method_handler(refuse)
        return continuation(details)
