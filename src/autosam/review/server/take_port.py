"""What the server needs before anything slow is done: its packages, and a port."""

import socket

from autosam.errors import ConfigError
from autosam.volumes.file_server import HOST, port_error


def require_server() -> None:
    """Say how to get the packages of the server, if they are missing.

    Raises
    ------
    ConfigError
        If one is not there.
    """
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"--serve needs the package {error.name}; pip install 'autosam[review]', or leave --serve out"
        ) from None


def take_port(port: int) -> socket.socket:
    """Listen at a port of this machine alone; 0 takes a free one.

    Raises
    ------
    ConfigError
        If it is in use.
    """
    try:
        return socket.create_server((HOST, port))
    except (OSError, OverflowError) as error:
        raise port_error(port, error) from error
