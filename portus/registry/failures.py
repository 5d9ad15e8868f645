"""Why no answer came from a registry, in words that tell an administrator what to mend."""

import errno
import socket
import ssl
from collections.abc import Iterator

import httpx

BREAKS_OFF = "breaks the connection off: is use_ssl right, and is it a registry?"


class TooLongError(ValueError):
    """An answer goes on beyond its bound."""


def what_to_mend(error: Exception) -> str:
    """Say in words why no answer came."""
    causes = list(_causes(error))
    text = " ".join(filter(None, dict.fromkeys(str(cause) for cause in causes))) or type(error).__name__
    return _of_the_connection(causes, text) or _of_the_talk(error) or f"cannot be reached ({text})."


def _of_the_connection(causes: list[BaseException], text: str) -> str:
    """Say what is wrong with host, port or TLS; "" when it is something else."""
    numbers = {cause.errno for cause in causes if isinstance(cause, OSError)}
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return "has a host name that is not found: check its spelling and this machine's DNS."
    if any(isinstance(cause, httpx.InvalidURL | UnicodeError) for cause in causes):
        return "has a host name that is none."
    if errno.ECONNREFUSED in numbers:
        return "refuses the connection: is it running, and is the port right?"
    if errno.ECONNRESET in numbers:
        return BREAKS_OFF
    return _of_tls(text) if any(isinstance(cause, ssl.SSLError) for cause in causes) or "[SSL" in text else ""


def _of_tls(text: str) -> str:
    if "Hostname mismatch" in text or "IP address mismatch" in text:
        return "has a certificate for another name: give it that host name here, or mend its certificate."
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return "has a certificate that this machine does not trust: add its CA to the system's certificates."
    return "does not speak TLS on this port: turn use_ssl off, or mend its certificate."


def _of_the_talk(error: Exception) -> str:
    """Say what went wrong once there was a connection, or when it took too long to get one."""
    match error:
        case TooLongError():
            return str(error)
        case httpx.ConnectTimeout():
            return "cannot be reached in time (registry.timeout): check host, port and firewall."
        case httpx.TimeoutException():
            return "does not answer in time (registry.read_timeout)."
        case httpx.ReadError() | httpx.WriteError():
            return BREAKS_OFF
        case httpx.RemoteProtocolError() | httpx.DecodingError():
            return "does not answer in HTTP: is it a registry, and is use_ssl right?"
    return ""


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
